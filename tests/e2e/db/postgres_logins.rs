//! Who comes in, whereto and as whom; and how the gate itself logs in.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;

use super::scene::Scene;

const NOT_YOURS: &str = "access to \"orders\" denied, or there is no such target or login";

#[test]
fn nobody_comes_in_without_certificate_tap_or_tls() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let refused = |pass, more: &str, words: &str| -> Result<()> {
        let ran = scene.psql(pass, more, "select 1")?.failure(2)?;
        assert!(ran.stderr.contains(words), "{ran}");
        Ok(())
    };
    refused(None, "", "no client certificate was shown (connect with `tap db connect`")?;
    refused(Some(&pass), "sslmode=disable", "this gate speaks TLS only (add sslmode=verify-full")?;
    let login = scene.login_pass()?;
    refused(Some(&login), "", "MFA is required to access Database \"orders\"")?;
    refused(Some(&pass), "user=app", "names no database target (use DBUSER@TARGET")?;
    refused(Some(&pass), "user=root@orders", NOT_YOURS)?;
    refused(Some(&pass), "dbname=secret", NOT_YOURS)?;
    let unknown = NOT_YOURS.replace("orders", "nowhere");
    refused(Some(&pass), "user=app@nowhere", &unknown)?;
    // The tap names one login, and another that the role would allow is not that one.
    refused(Some(&pass), "dbname=postgres", "the tap names another target, login or key")?;
    refused(Some(&pass), "replication=true", "replication is not allowed here")?;
    assert!(!scene.orders.log().contains("FATAL"), "nothing of this has reached the target");
    Ok(())
}

#[test]
fn a_host_name_of_its_own_names_the_target() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    for user in ["app", "app@orders"] {
        let more = format!("host=orders.db.localhost user={user}");
        assert_eq!(scene.psql(Some(&pass), &more, "select current_user")?.success()?.stdout.trim(), "app");
    }
    let ran = scene.psql(Some(&pass), "host=orders.db.localhost user=app@other", "select 1")?.failure(2)?;
    assert!(ran.stderr.contains("lead to different targets"), "{ran}");
    Ok(())
}

#[test]
fn passwords_from_files_by_scram_md5_and_in_clear() -> Result<()> {
    let scene = Scene::new("")?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = scene.world.lab.write(name, text)?;
        set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    };
    let files = [("report", file("p1", "geheim\n")?), ("old", file("p2", "alt")?), ("clear", file("p3", "offen")?)];
    let files: Vec<String> = files.iter().map(|(user, path)| format!("      {user}: {path}\n")).collect();
    let auth = format!("  auth:\n    password_files:\n{}", files.concat());
    scene.put_db(&auth)?;
    let connect = |user: &str| {
        let pass = scene.tap(&format!("{user}/shop"))?;
        scene.psql(Some(&pass), &format!("user={user}@orders"), "select current_user")
    };
    for user in ["report", "old", "app"] {
        assert_eq!(connect(user)?.success()?.stdout.trim(), user);
    }
    let ran = connect("clear")?.failure(2)?;
    assert!(ran.stderr.contains("asks for the password in clear text, which its resource does not allow"), "{ran}");
    scene.put_db(&format!("{auth}    clear_password: true\n"))?;
    assert_eq!(connect("clear")?.success()?.stdout.trim(), "clear");

    let path = scene.world.lab.path().join("p1");
    std::fs::write(&path, "falsch")?;
    let ran = connect("report")?.failure(2)?;
    assert!(ran.stderr.contains("can't be entered: it refuses: password authentication failed"), "{ran}");
    set_permissions(&path, Permissions::from_mode(0o644))?;
    let ran = connect("report")?.failure(2)?;
    assert!(ran.stderr.contains("the gate can't use its password") && !ran.stderr.contains("p1"), "{ran}");
    assert!(scene.world.gate().process().stderr().contains("can be read by everybody"));
    assert!(!scene.world.gate().process().stderr().contains("falsch"));
    scene.put_db("")?;
    let ran = connect("report")?.failure(2)?;
    assert!(ran.stderr.contains("asks for a password, and the gate has none"), "{ran}");
    Ok(())
}

#[test]
fn a_target_with_another_certificate_is_not_entered() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let yaml = scene.orders.db_yaml("prod", "");
    scene.world.put(&yaml.replace("  tls:\n", "  tls:\n    server_name: elsewhere.example\n"))?;
    let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
    assert!(ran.stderr.contains("TLS with it failed"), "{ran}");
    let other = tapgate_lab::CertAuthority::make(&scene.world.lab, "other-ca")?.pem()?;
    let indented = |pem: &str| pem.trim().replace('\n', "\n      ");
    scene.world.put(&yaml.replace(&indented(scene.orders.ca()), &indented(&other)))?;
    let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
    assert!(ran.stderr.contains("TLS with it failed"), "{ran}");
    scene.put_db("")?;
    scene.psql(Some(&pass), "", "select 1")?.success()?;
    Ok(())
}
