//! psql is told by a notice and held; drivers that show none read the address in the error.

use std::path::Path;

use anyhow::Result;
use tapgate_lab::Process;

use super::approver::{Approver, Asked, REST};
use crate::db::scene::{Pass, SOON, Scene};
use crate::world::text;

fn scene(options: &str) -> Result<(Scene, Approver, Pass)> {
    let scene = Scene::new(&format!("in_band: url{options}"))?;
    let approver = Approver::new(&scene.world, "access-prod")?;
    let pass = scene.pass_of(&approver.ann)?;
    Ok((scene, approver, pass))
}

#[test]
fn psql_prints_the_notice_and_goes_on_after_the_tap() -> Result<()> {
    let (scene, approver, pass) = scene("")?;
    let mark = scene.world.mark();
    let psql = scene.start_psql(Some(&pass), "", &["-c", "select 6 * 7"])?;
    let asked = Asked::of(&psql)?;
    let said = psql.stderr();
    assert!(said.contains("NOTICE:  MFA is required to access Database \"orders\""), "{said}");
    approver.open(&asked)?;
    for shown in ["Database", "orders", "app/shop", "postgres: psql", "for this TLS connection only"] {
        approver.browser.wait_for(shown)?;
    }
    approver.approve(&asked)?;
    assert_eq!(psql.finish(SOON)?.success()?.stdout.trim(), "42");
    let start = scene.world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "door"), text(&start, "user")), ("in-band", "ann"));
    // One session, and no other.
    let again = scene.start_psql(Some(&pass), "", &["-c", "select 1"])?;
    assert_ne!(Asked::of(&again)?, asked);
    Ok(())
}

#[test]
fn a_psql_that_gives_up_takes_its_page_with_it() -> Result<()> {
    let (scene, approver, pass) = scene("")?;
    let psql = scene.start_psql(Some(&pass), "", &["-c", "select 1"])?;
    let asked = Asked::of(&psql)?;
    psql.kill()?;
    approver.browser.go(&asked.link)?;
    crate::world::until("the page to be closed", REST, || {
        approver.browser.go(&asked.link)?;
        Ok(approver.browser.wait_for("This request is not open").is_ok())
    })
}

#[test]
fn a_database_that_turns_away_opens_once_after_the_tap() -> Result<()> {
    let (scene, approver, pass) = scene("")?;
    scene.put_db("  in_band: reject\n")?;
    let run = |what: &str| -> Result<_> { scene.start_psql(Some(&pass), "", &["-c", what])?.finish(SOON) };
    let refused = run("select 1")?.failure(2)?;
    assert!(refused.stderr.contains("DETAIL:  Open https://") && refused.stderr.contains("HINT:"), "{refused}");
    let asked = Asked::read(&refused.stderr).unwrap();
    // Until the tap it is the same page, however often the client comes.
    assert_eq!(Asked::read(&run("select 1")?.stderr), Some(asked.clone()));
    approver.open(&asked)?;
    approver.browser.wait_for("ONE connection with your login key")?;
    approver.approve_return(&asked)?;
    assert_eq!(run("select 6 * 7")?.success()?.stdout.trim(), "42");
    let next = run("select 1")?.failure(2)?;
    assert_ne!(Asked::read(&next.stderr), Some(asked), "{next}");
    // A no is told to the client when it comes again.
    let asked = Asked::read(&next.stderr).unwrap();
    approver.open(&asked)?;
    approver.browser.click("button.deny")?;
    approver.browser.wait_for("Nothing was approved")?;
    assert!(run("select 1")?.stderr.contains("it was denied on the page"));
    Ok(())
}

#[test]
fn drivers_read_the_address_in_the_error() -> Result<()> {
    let (scene, approver, pass) = scene("")?;
    scene.put_db("  in_band: reject\n")?;
    let info = scene.conninfo(Some(&pass), "");
    let script = format!(
        "import psycopg2\nc = psycopg2.connect('''{info}''')\nr = c.cursor()\nr.execute('select 6 * 7')\n\
         print(r.fetchone()[0])\n"
    );
    let file = scene.world.lab.write("driver.py", &script)?;
    let run = || -> Result<Process> { approver.ann.start(Path::new("/usr/bin/python3"), [&file]) };
    let refused = run()?.finish(SOON)?.failure(1)?;
    let asked = Asked::read(&refused.stderr).unwrap();
    approver.approve_return(&asked)?;
    assert_eq!(run()?.finish(SOON)?.success()?.stdout.trim(), "42");
    Ok(())
}
