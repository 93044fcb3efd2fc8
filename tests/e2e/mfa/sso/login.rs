//! What works: a login without a password, a session without a key.

use anyhow::Result;
use serde_json::json;
use tapgate_api::path;
use tapgate_lab::program;

use super::{REST, Scene};
use crate::world::{ASKED, text};

#[test]
fn somebody_without_password_and_key_logs_in_and_opens_a_session() -> Result<()> {
    let scene = Scene::new()?;
    let by_claim = "kind: role\nversion: v7\nmetadata: { name: access-prod }\nspec:\n  options: { require_session_mfa: true }\n  \
                    allow:\n    node_labels: { env: prod }\n    logins: ['{{external.logins}}']\n";
    scene.world.put(by_claim)?;
    let mark = scene.world.mark();
    let ran = scene.log_in("ann")?.success()?;
    assert!(ran.stdout.contains("Logged in as  ann"), "{ran}");
    assert!(ran.stdout.contains("access-dev, access-prod"), "{ran}");
    assert!(ran.stderr.contains("Signed in at the identity provider"), "{ran}");
    scene.browser.wait_for("Your terminal goes on")?;
    let ours = format!("https://{}/", scene.world.address);
    let said: Vec<String> = scene.browser.console()?.into_iter().filter(|entry| entry.contains(&ours)).collect();
    assert_eq!(said, Vec::<String>::new(), "the pages break no policy of their own");
    let login = scene.world.await_record(mark, "auth.login", |record| text(record, "user") == "ann")?;
    assert_eq!(text(&login, "method"), "sso");
    let tapped = scene.world.await_record(mark, "mfa.succeeded", |record| text(record, "purpose") == "login")?;
    assert_eq!(text(&tapped["proof"], "method"), "sso");

    // dev1 wants no tap, prod3 does, under the login that the provider's claim names.
    let dev = scene.ann.tap(["ssh", &scene.world.at("dev1"), "echo dev"])?.success()?;
    assert_eq!(dev.stdout, "dev\n", "{dev}");
    let ran = scene.ssh("ann", "echo here")?.success()?;
    assert_eq!(ran.stdout, "here\n", "{ran}");
    assert!(ran.stderr.starts_with(ASKED), "{ran}");
    let start = scene.world.await_record(mark, "session.start", |record| record["tap"].is_object())?;
    assert_eq!(text(&start["tap"], "method"), "sso");
    // Within the window the agent needs no provider.
    let again = scene.ann.tap(["ssh", &scene.world.at("prod3"), "echo again"])?.success()?;
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("again\n", ""));
    Ok(())
}

#[test]
fn auto_goes_to_the_provider_by_which_the_login_came() -> Result<()> {
    let scene = Scene::logged_in()?;
    let waiting = scene.start(["ssh", &scene.world.at("prod3"), "echo here"])?;
    scene.sign_in(&waiting, "Approve a session", "ann")?;
    assert_eq!(waiting.finish()?.success()?.stdout, "here\n");
    // Without a key the gate itself says so, and a client that wants a key is told what else there is.
    scene.ann.tap(["logout"])?.success()?;
    scene.log_in("ann")?.success()?;
    let ran = scene.ann.tap(["--mfa-mode=browser", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(ran.stderr.contains("you have no security key here") && ran.stderr.contains("--mfa-mode=sso"), "{ran}");
    Ok(())
}

#[test]
fn the_cluster_names_its_providers_and_logs_its_people_in_by_them() -> Result<()> {
    let scene = Scene::new()?;
    let preference = "kind: cluster_auth_preference\nversion: v2\nmetadata: { name: cluster-auth-preference }\nspec:\n  \
                      type: oidc\n  connector_name: corp\n  second_factors: [webauthn, sso]\n";
    scene.world.put(preference)?;
    let url = format!("https://{}{}", scene.world.address, path::FIND);
    let curl = scene.ann.start(&program("curl", "curl")?, ["-sk", "--noproxy", "*", &url])?;
    let found = curl.finish(REST)?.success()?.json()?;
    assert_eq!(found["auth"]["type"], "corp");
    assert_eq!(found["auth"]["connectors"], json!([{ "name": "corp", "display": "Lab Sign-In", "mfa": true }]));
    // Nothing but the gate is named.
    let waiting = scene.start(["login", "--gate", &scene.world.address, "--ca-pin", &scene.world.pin])?;
    scene.sign_in(&waiting, "Approve a login", "ann")?;
    waiting.finish()?.success()?;
    // Those who have a password and a key still use them.
    let jerry = ["login", "--gate", &scene.world.address, "--user", "jerry", "--auth=local"];
    scene.world.jerry.tap(jerry)?.success()?;
    Ok(())
}

#[test]
fn roles_and_traits_are_those_of_the_last_sign_in() -> Result<()> {
    let scene = Scene::logged_in()?;
    let user = scene.world.olga.tapctl(["get", "user/ann"])?.success()?;
    assert!(user.stdout.contains("access-prod") && user.stdout.contains("preferred_username"), "{user}");
    assert!(!user.stdout.contains("'*'"), "a provider's star is no value: {user}");
    scene.behave(&json!({ "groups": ["access-dev"] }))?;
    let ran = scene.log_in("ann")?.success()?;
    assert!(!ran.stdout.contains("access-prod"), "{ran}");
    let denied = scene.ann.tap(["ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(denied.stderr.contains("access to \"prod3\" denied"), "{denied}");
    let user = scene.world.olga.tapctl(["get", "user/ann"])?.success()?;
    assert!(!user.stdout.contains("access-prod"), "{user}");
    // The account stays the user, whatever the provider calls it meanwhile.
    scene.behave(&json!({ "name": "renamed" }))?;
    let ran = scene.log_in("ann")?.success()?;
    assert!(ran.stdout.contains("Logged in as  ann"), "{ran}");
    let names = scene.world.olga.tapctl(["get", "user"])?.success()?;
    assert!(names.stdout.contains("name: ann") && !names.stdout.contains("name: renamed"), "{names}");
    Ok(())
}
