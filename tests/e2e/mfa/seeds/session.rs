//! "Per-session MFA", from top to bottom.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tapgate_api::path;
use tapgate_lab::{Ran, Sshd, program};

use super::{ACCESS_ROLES, CAP_UPDATED, EXAMPLE_ROLE, REQUIRE_SESSION_MFA, create, editing};
use crate::world::World;

const DEV: &str = "dev1.example.com";
const PROD: &str = "prod3.example.com";

/// The two nodes of the roles example.
fn nodes(world: &World) -> Result<[Sshd; 2]> {
    Ok([world.target(DEV, world.trusting("dev"))?, world.target(PROD, world.trusting("prod"))?])
}

/// The roles example, for the login that a test's servers know.
fn roles(world: &World) -> String {
    ACCESS_ROLES.replace("- jerry", &format!("- {}", world.login))
}

/// What a session says before it opens a node for which a tap is due.
fn prompt(node: &str) -> String {
    format!("MFA is required to access Node \"{node}\"\nTap any security key\nDetected security key tap\n")
}

fn asked(ran: &Ran, node: &str) -> bool {
    ran.stderr.contains(&prompt(node))
}

/// Neither this node's name nor any other is asked about.
fn silent(ran: &Ran) -> bool {
    !ran.stderr.contains("MFA is required") && !ran.stderr.contains("Tap any security key")
}

#[test]
fn the_prerequisites_hold() -> Result<()> {
    let world = World::new()?;
    let url = format!("https://{}{}", world.address, path::FIND);
    assert!(url.ends_with("/v1/webapi/find"));
    let curl = world.olga.start(&program("curl", "curl")?, ["-sk", "--noproxy", "*", &url])?;
    let found = curl.finish(Duration::from_secs(30))?.success()?.json()?;
    let version = found["server_version"].as_str().unwrap_or_default().to_owned();

    world.olga.tap(["logout"])?.success()?;
    let (proxy, user) = (format!("--proxy={}", world.address), "--user=olga");
    let login = world.olga.tap(["login", &proxy, user])?.success()?;
    assert!(login.stderr.contains("Tap any security key\n"), "{login}");
    let status = world.olga.tapctl(["status"])?.success()?;
    let expected = format!("Cluster  localhost\nVersion  {version}\nCA pin   {}\n", world.pin);
    assert_eq!(status.stdout, expected);
    assert!(world.pin.starts_with("sha256:") && world.pin.len() == "sha256:".len() + 64, "{}", world.pin);
    Ok(())
}

#[test]
fn cluster_wide_every_session_asks() -> Result<()> {
    let world = World::new()?;
    let [_dev, _prod] = nodes(&world)?;
    world.put(&roles(&world))?;
    let free = world.ssh(DEV, &["true"])?.success()?;
    assert!(silent(&free), "{free}");

    let edited = editing(&world, REQUIRE_SESSION_MFA)?.tapctl(["edit", "cap"])?.success()?;
    assert_eq!(edited.stdout, CAP_UPDATED);
    let now = world.olga.tapctl(["get", "cluster_auth_preference"])?.success()?;
    assert_eq!(now.stdout.trim(), REQUIRE_SESSION_MFA.trim());
    for node in [DEV, PROD] {
        let ran = world.ssh(node, &["echo in"])?.success()?;
        assert!(asked(&ran, node) && ran.stdout == "in\n", "{ran}");
    }
    Ok(())
}

#[test]
fn a_role_that_requires_a_tap_does_so_for_what_it_allows_alone() -> Result<()> {
    let world = World::new()?;
    let created = create(&world, "role.yaml", EXAMPLE_ROLE, &[])?.success()?;
    assert_eq!(created.stdout, "role \"example-role-with-mfa\" has been created\n");
    let got = world.olga.tapctl(["get", "role/example-role-with-mfa"])?.success()?;
    assert!(got.stdout.contains("# require per-session MFA for this role\n    require_session_mfa: true"), "{got}");
    // It allows nothing, so that jerry, who holds it too, is asked no more than before.
    let jerry = "kind: user\nversion: v2\nmetadata: {name: jerry}\nspec:\n  roles: ";
    world.put(&format!("{jerry}[access-dev, access-prod, example-role-with-mfa]\n"))?;
    let dev = world.ssh("dev1", &["true"])?.success()?;
    assert!(silent(&dev), "{dev}");
    Ok(())
}

/// The blocks word for word. The servers of a test have no account `jerry`, so the gate's part is looked at alone:
/// what it lists, and whom it asks.
#[test]
fn the_roles_example_word_for_word() -> Result<()> {
    let world = World::new()?;
    let [_dev, _prod] = nodes(&world)?;
    // jerry holds roles of these names already.
    let created = create(&world, "access.yaml", ACCESS_ROLES, &["--force"])?.success()?;
    assert_eq!(created.stdout, "role \"access-dev\" has been updated\nrole \"access-prod\" has been updated\n");
    let listed = world.jerry.tap(["ls"])?.success()?;
    let row = |name: &str| {
        let row = listed.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(DEV), [DEV, "(env=dev)", "jerry"], "{listed}");
    assert_eq!(row(PROD), [PROD, "(env=prod)", "jerry", "MFA"], "{listed}");
    let mark = world.mark();
    let dev = world.jerry.tap(["ssh", &format!("jerry@{DEV}"), "true"])?;
    assert!(silent(&dev), "{dev}");
    let prod = world.jerry.tap(["ssh", &format!("jerry@{PROD}"), "true"])?;
    assert!(asked(&prod, PROD), "{prod}");
    for node in [DEV, PROD] {
        world.await_record(mark, "session.start", |record| record.to_string().contains(node))?;
    }
    // A login that the roles do not name is none.
    let other = world.jerry.tap(["ssh", &format!("olga@{DEV}"), "true"])?.failure(1)?;
    assert!(silent(&other) && other.stderr.contains(&format!("access to \"{DEV}\" denied")), "{other}");
    Ok(())
}

#[test]
fn development_opens_and_production_asks_once_in_its_window() -> Result<()> {
    let world = World::new()?;
    let [_dev, prod] = nodes(&world)?;
    world.put(&roles(&world))?;
    let free = world.ssh(DEV, &["echo in"])?.success()?;
    assert!(silent(&free) && free.stdout == "in\n", "{free}");

    let first = world.ssh(PROD, &["echo in"])?.success()?;
    assert!(asked(&first, PROD) && first.stdout == "in\n", "{first}");
    // "Each MFA check remains valid for up to 5 minutes": the agent keeps it for this target alone.
    let second = world.ssh(PROD, &["echo in"])?.success()?;
    assert!(silent(&second) && second.stdout == "in\n", "{second}");
    let elsewhere = world.ssh("prod3", &["true"])?.success()?;
    assert!(asked(&elsewhere, "prod3"), "{elsewhere}");

    // Without the key nothing opens that has not been tapped for, and the target hears of nobody.
    world.jerry.tap(["logout"])?.success()?;
    world.log_in(&world.jerry, "jerry")?;
    let before = prod.connections();
    let thief = world.jerry.clone().without_key();
    let refused = world.ssh_as(&thief, PROD, &["true"])?.failure(1)?;
    assert!(refused.stderr.contains(&format!("MFA is required to access Node \"{PROD}\"")), "{refused}");
    assert_eq!(prod.connections(), before);
    Ok(())
}

#[test]
fn after_the_window_a_new_tap_is_due() -> Result<()> {
    const WINDOW: Duration = Duration::from_secs(2);
    let world = World::new()?;
    let [_dev, _prod] = nodes(&world)?;
    let shorter = format!("require_session_mfa: true\n    session_mfa_window: {}s", WINDOW.as_secs());
    world.put(&roles(&world).replace("require_session_mfa: true", &shorter))?;
    for _ in 0..2 {
        let ran = world.ssh(PROD, &["true"])?.success()?;
        assert!(asked(&ran, PROD), "{ran}");
        sleep(WINDOW + Duration::from_secs(1));
    }
    Ok(())
}
