//! MariaDB's and Python's clients read the address in the error, and come again once after the tap.

use anyhow::Result;

use super::approver::{Approver, Asked};
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
