//! "This wasn't me": who sees a stranger's ask on the own page locks the key that asks, in one click.

use anyhow::Result;
use tapgate_lab::Client;

use super::approver::{Approver, Asked, REST};
use crate::world::{copy, login_files, text, until};

#[test]
fn one_click_locks_the_copied_key_and_ends_what_it_has_open() -> Result<()> {
    let (mut world, approver) = Approver::in_prod()?;
    // The address says what it is called.
    let hosts = world.lab.write("hosts", "127.0.0.1 desk-7.example localhost\n::1 localhost\n")?;
    assert!(world.stop()?.success());
    world.start_with_hosts(&hosts)?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&approver.ann.tap_home(), &thief.tap_home())?;
    let with = |target: &str, command: &str| {
        let key = login_files(&world, &thief).ssh_key;
        let words = approver.ssh_words(&world, Some(key), target);
        thief.start_ssh(words.into_iter().chain(["localhost", command].map(str::to_owned)))
    };
    let inside = with("dev1", "echo up; exec cat")?;
    inside.wait_for("up\n")?;
    let parked = with("prod3", "echo stolen")?;
    let asked = Asked::of(&parked)?;
    approver.browser.go(&asked.link)?;
    approver.browser.wait_for("127.0.0.1 (desk-7.example)")?;
    approver.sign_in(&world)?;
    approver.browser.go(&format!("https://{}/web/sessions", world.address))?;
    approver.browser.wait_for("This wasn’t me")?;
    crate::world::picture(&approver.browser, "in-band-not-me")?;
    let mark = world.mark();
    approver.browser.click("button.lock")?;
    approver.browser.wait_for("the key that asked is locked")?;
    let ran = parked.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("it was denied on the page"), "{ran}");
    let ran = inside.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("removed or locked"), "{ran}");
    world.await_record(mark, "security.warning", |record| text(record, "what").contains("has locked it"))?;
    // Neither of the login's two keys opens anything any more, at any door.
    let ran = with("dev1", "true")?.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("removed or locked"), "{ran}");
    let ran = thief.tap(["ls"])?.failure(1)?;
    assert!(ran.stderr.contains("was locked"), "{ran}");
    // The owner's page goes on, and so does the owner after a new login.
    approver.browser.wait_for("Sessions")?;
    approver.by_terminal(&["login", "--gate", &world.address, "--user", "ann"], "Approve a login")?;
    let words = approver.ssh_words(&world, None, "dev1");
    let again = words.into_iter().chain(["localhost", "echo mine"].map(str::to_owned));
    assert_eq!(approver.ann.ssh(again)?.success()?.stdout, "mine\n");
    until("nothing of it at prod3", REST, || Ok(world.prod3.connections() == 0))
}
