//! Whoever has a copy of the disk gains nothing by it: not by waiting beside the owner, nor by guessing, nor by haste.

use anyhow::Result;
use tapgate_lab::Client;

use super::approver::{Approver, Asked, REST};
use crate::world::{copy, text};

#[test]
fn the_owners_tap_frees_the_owners_connection_and_not_the_thiefs() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&approver.ann.tap_home(), &thief.tap_home())?;
    let key = crate::world::login_files(&world, &thief).ssh_key;
    let mut words = approver.ssh_words(&world, Some(key), "prod3");
    words.extend(["localhost", "echo stolen"].map(str::to_owned));
    let mut parked = thief.start_ssh(&words)?;
    let theirs = Asked::of(&parked)?;
    let own = approver.ssh(&world, &["echo mine"])?;
    let mine = Asked::of(&own)?;
    assert!(theirs.link != mine.link && world.prod3.connections() == 0);
    // The thief's page takes the thief's code alone, and the owner types what the owner's terminal shows.
    approver.open(&theirs)?;
    approver.submit(if mine.code == theirs.code { mine.wrong_code() } else { &mine.code })?;
    approver.browser.wait_for("This is not the code that your terminal shows")?;
    approver.approve(&mine)?;
    assert_eq!(own.finish(REST)?.success()?.stdout, "mine\n");
    assert!(parked.is_running() && parked.stdout().is_empty(), "{}", parked.stderr());
    assert_eq!(world.prod3.connections(), 1);
    // Nor is there anything left of the tap for a further connection.
    let mut late = thief.start_ssh(&words)?;
    Asked::of(&late)?;
    assert!(late.is_running() && parked.is_running());
    assert_eq!(world.prod3.connections(), 1);
    Ok(())
}

#[test]
fn three_wrong_codes_end_it_for_the_client_too() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let mark = world.mark();
    let ssh = approver.ssh(&world, &["echo here"])?;
    let asked = Asked::of(&ssh)?;
    approver.open(&asked)?;
    for said in ["2 more tries", "one more try"] {
        approver.submit(asked.wrong_code())?;
        approver.browser.wait_for(said)?;
    }
    approver.submit(asked.wrong_code())?;
    approver.browser.wait_for("This request is not open")?;
    let ran = ssh.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("a wrong code was typed too often"), "{ran}");
    world.await_record(mark, "mfa.browser", |record| text(record, "step") == "refused")?;
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn a_client_that_is_gone_leaves_nothing_to_tap_for() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let ssh = approver.ssh(&world, &["echo here"])?;
    let asked = Asked::of(&ssh)?;
    approver.open(&asked)?;
    ssh.kill()?;
    crate::world::until("the page to be closed", REST, || {
        approver.browser.go(&asked.link)?;
        Ok(approver.browser.wait_for("This request is not open").is_ok())
    })?;
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn guessed_numbers_and_anothers_key_open_nothing() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let mut ssh = approver.ssh(&world, &["echo here"])?;
    let asked = Asked::of(&ssh)?;
    let guessed = format!("https://{}/web/ask/{}", world.address, "A".repeat(43));
    approver.browser.go(&guessed)?;
    approver.browser.wait_for("This request is not open")?;
    // In a browser without ann's key there is nothing to tap with.
    approver.open(&asked)?;
    approver.browser.remove_authenticator(approver.browser.authenticator())?;
    approver.browser.new_authenticator("usb")?;
    approver.submit(&asked.code)?;
    approver.browser.wait_for("No key was tapped")?;
    assert!(ssh.is_running() && world.prod3.connections() == 0);
    Ok(())
}
