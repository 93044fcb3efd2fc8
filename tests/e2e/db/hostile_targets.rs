//! Database servers with a good certificate and bad manners: their user is told, and the gate goes on.

use anyhow::Result;
use tapgate_lab::Hostile;

use super::{my_scene, scene};
use crate::world::resident;

/// How much the gate may grow over all of it, in KiB.
const GROWTH_MAX: u64 = 64 * 1024;

#[test]
fn a_postgres_server_that_misbehaves_harms_nobody_else() -> Result<()> {
    let scene = scene::Scene::new("")?;
    let mut hostile = Hostile::start(&scene.world.lab, "postgres")?;
    let file = scene.world.lab.write("report.pw", "geheim\n")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let auth = format!("  auth:\n    password_files:\n      report: {}\n", file.display());
    scene.world.put(&hostile.db_yaml("bad", "prod", &auth))?;
    let (app, report) = (scene.tap_for("bad", "app/shop")?, scene.tap_for("bad", "report/shop")?);
    scene.psql(Some(&scene.tap("app/shop")?), "", "select 1")?.success()?;
    let before = resident(&scene.world)?;
    let mut check = |way: &str, words: &[&str]| -> Result<()> {
        hostile.be(way)?;
        let (pass, user) = if words.is_empty() { (&app, "app") } else { (&report, "report") };
        let ran = scene.psql(Some(pass), &format!("user={user}@bad"), "select 1")?;
        assert!(!ran.status.success(), "{way}: {ran}");
        assert!(words.iter().all(|words| ran.stderr.contains(words)), "{way}: {ran}");
        assert!(!ran.stderr.contains("geheim"), "{way}: {ran}");
        Ok(())
    };
    for (way, words) in [
        ("clear", "in clear text, which its resource does not allow"),
        ("unknown", "a way to log in that the gate does not have"),
        ("kerberos", "Kerberos V5"),
        ("huge", "a message of an impossible length"),
        ("negative", "a message of an impossible length"),
        ("short", "a message of an impossible length"),
        ("error huge", "a message of an impossible length"),
        ("no salt", "no salt"),
        ("no kind", "an authentication without a kind"),
        ("sasl", "SASL without SCRAM-SHA-256"),
        ("ready", "something else where it must say how to log in"),
        ("copy", "something else where it must say how to log in"),
        ("skips the proof", "it left the exchange before it was over"),
        ("wrong proof", "it could not prove who it is"),
        ("endless settings", "\"bad\""),
        ("endless notices", "did not let the gate in within"),
        ("half", "did not let the gate in within"),
        ("garbage", "\"bad\""),
    ] {
        check(way, &[words])?;
    }
    for way in ["row huge", "row short", "row half", "nobody's kind", "login again", "garbage answer"] {
        hostile_answer(&scene, &mut hostile, &app, way)?;
    }
    let heard = hostile.heard();
    assert!(heard.is_empty(), "{heard:?}");
    scene.psql(Some(&scene.tap("app/shop")?), "", "select 1")?.success()?;
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the gate grew by {grown} KiB");
    Ok(())
}

/// One that misbehaves within the session: the client gets an end, or waits for what it was promised.
fn hostile_answer(scene: &scene::Scene, hostile: &mut Hostile, pass: &scene::Pass, way: &str) -> Result<()> {
    hostile.be(way)?;
    let mut psql = scene.start_psql(Some(pass), "user=app@bad", &["-c", "select 1"])?;
    if ["row half", "nobody's kind", "login again", "copy unasked", "garbage answer"].contains(&way) {
        // More may still come; the gate does not guess, and the user can leave.
        psql.signal(nix::sys::signal::Signal::SIGTERM);
    }
    let ended = psql.wait(scene::SOON)?;
    assert!(!ended.success(), "{way}: {}", psql.stdout());
    Ok(())
}

#[test]
fn a_mysql_server_that_misbehaves_harms_nobody_else() -> Result<()> {
    let scene = my_scene::Scene::new("")?;
    let mut hostile = Hostile::start(&scene.world.lab, "mysql")?;
    let file = scene.world.lab.write("app.pw", "geheim\n")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let auth = format!("  auth:\n    password_files: {{ report: \"{}\" }}\n", file.display());
    scene.world.put(&hostile.db_yaml("bad", "dev", &auth))?;
    let pass = scene.login_pass();
    scene.run(&pass, "select 1")?.success()?;
    let before = resident(&scene.world)?;
    let mut check = |way: &str, user: &str, words: &str| -> Result<()> {
        hostile.be(way)?;
        let ran = scene.run_as(&pass, &format!("{user}@bad"), &["shop", "-e", "select 1"])?.failure(1)?;
        assert!(ran.stderr.contains(words) && !ran.stderr.contains("geheim"), "{way}: {ran}");
        Ok(())
    };
    for (way, words) in [
        ("no TLS", "it offers no TLS"),
        ("greeting huge", "\"bad\""),
        ("greeting half", "no answer to the login within"),
        ("greeting old", "\"bad\""),
        ("greeting garbage", "\"bad\""),
        ("refuses", "it takes no connections: 1040"),
        ("clear", "it wants the password in clear, which the resource does not allow"),
        ("old", "the authentication method \"mysql_old_password\", which the gate does not speak"),
        ("unknown", "the authentication method \"foo\", which the gate does not speak"),
        ("switch empty", "its authentication can't be followed"),
        ("result", "its authentication can't be followed"),
        ("nothing", "its authentication can't be followed"),
        ("endless proofs", "\"bad\""),
        ("garbage", "\"bad\""),
    ] {
        check(way, "report", words)?;
    }
    for way in ["columns huge", "empty", "half", "garbage answer"] {
        hostile.be(way)?;
        let mut client = scene.start_mariadb(&pass, "app@bad", &["shop", "-e", "select 1"])?;
        if ["columns huge", "half", "garbage answer"].contains(&way) {
            client.signal(nix::sys::signal::Signal::SIGTERM);
        }
        assert!(!client.wait(my_scene::SOON)?.success(), "{way}: {}", client.stdout());
    }
    // A wish for a file that no statement has offered reaches no client, whatever the role allows.
    for options in ["", "db_local_infile: true"] {
        scene.put_role(options)?;
        hostile.be("file unasked")?;
        let more = ["shop", "--local-infile=1", "-e", "select 1"];
        let ran = scene.run_as(&pass, "app@bad", &more)?.failure(1)?;
        assert!(!ran.stderr.contains("passwd"), "{ran}");
    }
    let heard = hostile.heard();
    assert!(!heard.iter().any(|line| line.contains("root:") || line.starts_with("clear")), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("geheim")), "{heard:?}");
    scene.run(&pass, "select 1")?.success()?;
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the gate grew by {grown} KiB");
    Ok(())
}
