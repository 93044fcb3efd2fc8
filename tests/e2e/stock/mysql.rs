//! MariaDB's and Python's clients read the address in the error, and come again once after the tap.

use anyhow::Result;

use super::approver::{Approver, Asked, REST};
use crate::db::my_scene::{Pass, Scene};

fn scene(options: &str) -> Result<(Scene, Approver, Pass)> {
    let scene = Scene::new(options)?;
    let approver = Approver::new(&scene.world, "access-dev")?;
    let files = approver.files(&scene.world);
    let pass = Pass { certificate: files.tls_certificate, key: files.tls_key };
    Ok((scene, approver, pass))
}

#[test]
fn a_client_comes_again_once_after_the_tap() -> Result<()> {
    let (scene, approver, pass) = scene("require_session_mfa: true")?;
    let refused = scene.run(&pass, "select 1")?.failure(1)?;
    assert!(refused.stderr.contains("ERROR 1045 (28000)") && refused.stderr.contains("MFA is required"), "{refused}");
    let asked = Asked::read(&refused.stderr).unwrap();
    assert_eq!(Asked::read(&scene.run(&pass, "select 1")?.stderr), Some(asked.clone()));
    approver.open(&asked)?;
    for shown in ["Database", "shopdb", "app/shop", "mysql: mysql", "ONE connection with your login key"] {
        approver.browser.wait_for(shown)?;
    }
    approver.approve_return(&asked)?;
    let ran = scene.run(&pass, "select count(*) from t")?.success()?;
    assert_eq!(ran.stdout.trim(), "3");
    let next = scene.run(&pass, "select 1")?.failure(1)?;
    assert!(Asked::read(&next.stderr).is_some_and(|next| next != asked), "{next}");
    Ok(())
}

/// MariaDB's own plugin shows the question, and waits at it.
#[test]
fn a_client_with_the_dialog_plugin_is_held() -> Result<()> {
    let (scene, approver, pass) = scene("require_session_mfa: true")?;
    let mut words = scene.words(Some(&pass), "app@shopdb");
    words.extend(["--default-auth=dialog", "shop", "-N", "-e", "select count(*) from t"].map(str::to_owned));
    let mariadb = tapgate_lab::program("mariadb", "mariadb-client")?;
    let start = || approver.ann.start_on_terminal(&mariadb, &words);
    let said = |process: &tapgate_lab::Process| -> Result<Asked> {
        process.wait_for("once you have tapped:")?;
        Asked::read(&process.stdout()).ok_or_else(|| anyhow::anyhow!("nothing was asked: {}", process.stdout()))
    };
    // The tap first, then Enter.
    let mut held = start()?;
    let asked = said(&held)?;
    approver.open(&asked)?;
    approver.browser.wait_for("for this TLS connection only")?;
    approver.approve(&asked)?;
    held.write(b"\n")?;
    let ran = held.finish(REST)?.success()?;
    assert!(ran.stdout.contains('3'), "{ran}");
    // Enter first, then the tap.
    let mut held = start()?;
    let asked = said(&held)?;
    held.write(b"\n")?;
    approver.approve(&asked)?;
    let ran = held.finish(REST)?.success()?;
    assert!(ran.stdout.contains('3'), "{ran}");
    // A no is told, and a client that is gone leaves nothing to tap for.
    let mut held = start()?;
    let asked = said(&held)?;
    approver.open(&asked)?;
    approver.browser.click("button.deny")?;
    approver.browser.wait_for("Nothing was approved")?;
    held.write(b"\n")?;
    let ran = held.finish(REST)?;
    assert!(!ran.status.success() && ran.stdout.contains("it was denied on the page"), "{ran}");
    // Where no tap is due, nothing is asked.
    scene.put_role("require_session_mfa: false")?;
    let ran = start()?.finish(REST)?.success()?;
    assert!(ran.stdout.contains('3') && !ran.stdout.contains("/web/ask/"), "{ran}");
    Ok(())
}

#[test]
fn python_reads_it_too_and_another_login_is_another_ask() -> Result<()> {
    let (scene, approver, pass) = scene("require_session_mfa: true")?;
    let script = "r = db.cursor()\nr.execute('select 6 * 7')\nprint(r.fetchone()[0])";
    let refused = scene.python(&pass, "", script)?.failure(1)?;
    let asked = Asked::read(&refused.stderr).unwrap();
    let other = scene.run_as(&pass, "app@shopdb", &["other", "-e", "select 1"])?.failure(1)?;
    assert!(Asked::read(&other.stderr).is_some_and(|other| other != asked), "{other}");
    approver.approve_return(&asked)?;
    // The tap is for one login, and the other one stays shut.
    let other = scene.run_as(&pass, "app@shopdb", &["other", "-e", "select 1"])?.failure(1)?;
    assert!(other.stderr.contains("MFA is required"), "{other}");
    assert_eq!(scene.python(&pass, "", script)?.success()?.stdout.trim(), "42");
    Ok(())
}
