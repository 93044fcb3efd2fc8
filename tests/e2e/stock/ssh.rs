//! The stock ssh is held on its first channel, and goes on by the tap of its owner.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::approver::{Approver, Asked, REST};
use crate::world::{ASKED, World, text};

const ROLES: &str = "access-dev,access-prod";

fn asked_for(options: &str) -> Result<(World, Approver)> {
    let world = World::new()?;
    world.put_prod_options(options)?;
    let approver = Approver::new(&world, ROLES)?;
    Ok((world, approver))
}

#[test]
fn a_command_goes_on_by_itself_after_the_tap() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    let mark = world.mark();
    let mut ssh = approver.ssh(&world, &["cat; echo err >&2; exit 7"])?;
    ssh.write(b"before\n")?;
    let asked = Asked::of(&ssh)?;
    assert!(ssh.stderr().starts_with(ASKED), "{}", ssh.stderr());
    assert_eq!(world.prod3.connections(), 0, "nothing reaches the target before the tap");
    approver.open(&asked)?;
    for said in ["ann", "Node", "prod3", "127.0.0.1", "OpenSSH", "cat; echo err", "for this SSH connection only"] {
        approver.browser.wait_for(said)?;
    }
    crate::world::picture(&approver.browser, "in-band")?;
    approver.submit(&asked.code)?;
    approver.browser.wait_for("Your terminal goes on")?;
    let tapped = Instant::now();
    ssh.wait_for("before\n")?;
    assert!(tapped.elapsed() < Duration::from_secs(10), "{:?}", tapped.elapsed());
    let much = vec![b'x'; 3_000_000];
    ssh.write(&much)?;
    ssh.close_input();
    let ran = ssh.finish(REST)?.failure(7)?;
    assert_eq!(ran.stdout.len(), "before\n".len() + much.len());
    assert!(ran.stderr.ends_with("err\n"), "{ran}");

    let start = world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "door"), text(&start, "user")), ("in-band", "ann"));
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    for step in ["begun", "approved"] {
        world.await_record(mark, "mfa.browser", |record| text(record, "step") == step)?;
    }
    let log = std::fs::read_to_string(world.audit_log())?;
    let number = asked.link.rsplit('/').next().unwrap_or_default();
    assert!(!log.contains(number), "the page's number is not in the log");
    // The page is used up, and the next connection is asked anew.
    approver.browser.go(&asked.link)?;
    approver.browser.wait_for("This request is not open")?;
    let again = Asked::of(&approver.ssh(&world, &["true"])?)?;
    assert_ne!(again, asked);
    Ok(())
}

#[test]
fn a_no_on_the_page_is_told_to_the_client() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    let mark = world.mark();
    let ssh = approver.ssh(&world, &["echo here"])?;
    let asked = Asked::of(&ssh)?;
    approver.open(&asked)?;
    approver.browser.click("button.deny")?;
    approver.browser.wait_for("Nothing was approved")?;
    let ran = ssh.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("it was denied on the page") && ran.stdout.is_empty(), "{ran}");
    assert_eq!(world.denied(mark)?, "it was denied on the page");
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn without_a_first_session_or_under_a_stricter_role_it_is_refused_in_words() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    let port = world.lab.port()?;
    let words = approver.ssh_words(&world, None, "prod3");
    let forward = ["-N", "-L", &format!("{port}:127.0.0.1:1"), "localhost"].map(str::to_owned);
    let ran = approver.ann.start_ssh(words.into_iter().chain(forward))?.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("opens no session first") && ran.stderr.contains("tap ssh"), "{ran}");
    for options in [
        "require_session_mfa: true, in_band: off",
        "require_session_mfa: true, in_band: sk",
        "require_session_mfa: hardware_key",
    ] {
        world.put_prod_options(options)?;
        let ran = approver.ssh(&world, &["echo here"])?.finish(REST)?.failure(255)?;
        assert!(ran.stderr.contains("use `tap ssh`") && !ran.stderr.contains("/web/ask/"), "{options}: {ran}");
    }
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn a_jump_is_asked_for_on_its_inner_connection() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    let config = approver.ssh_config(&world)?;
    let files = approver.files(&world);
    let gate = format!(
        "\nHost gate\n    HostName localhost\n    User ann\n    Port {}\n    HostKeyAlias localhost\n    \
         UserKnownHostsFile {known}\n    IdentityFile {key}\n    CertificateFile {key}-cert.pub\n    BatchMode yes\n\
         Host inner\n    HostName prod3\n    Port 22\n    User {}\n    ProxyJump gate\n    UserKnownHostsFile {known}\n    \
         HostKeyAlias localhost\n    StrictHostKeyChecking no\n    IdentityFile {key}\n    \
         CertificateFile {key}-cert.pub\n    BatchMode yes\n",
        world.gate().address().port(),
        world.login,
        known = files.known_hosts.display(),
        key = files.ssh_key.display(),
    );
    let text = std::fs::read_to_string(&config)? + &gate;
    std::fs::write(&config, text)?;
    let ssh = approver.ann.start_ssh(["-F", &config, "inner", "echo jumped"])?;
    approver.approve(&Asked::of(&ssh)?)?;
    assert_eq!(ssh.finish(REST)?.success()?.stdout, "jumped\n");
    Ok(())
}

#[test]
fn one_tap_covers_what_is_ticked_beside_it_and_nothing_else() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    let mark = world.mark();
    let waiting: Vec<_> = ["one", "two", "three"]
        .map(|word| -> Result<_> {
            let ssh = approver.ssh(&world, &[&format!("echo {word}")])?;
            let asked = Asked::of(&ssh)?;
            Ok((ssh, asked))
        })
        .into_iter()
        .collect::<Result<_>>()?;
    let mut waiting = waiting.into_iter();
    let [(one, asked), (two, _), (mut three, _)] = [(); 3].map(|()| waiting.next().unwrap());
    approver.open(&asked)?;
    approver.browser.wait_for("Also waiting there")?;
    let ticked = approver.browser.script("return document.querySelectorAll('.others input:checked').length")?;
    assert_eq!(ticked, 0, "nothing is ticked by itself");
    let tick = "for (const label of document.querySelectorAll('.others label')) \
                if (label.textContent.includes('echo two')) label.querySelector('input').click()";
    approver.browser.script(tick)?;
    crate::world::picture(&approver.browser, "in-band-set")?;
    approver.submit(&asked.code)?;
    approver.browser.wait_for("Your terminal goes on")?;
    assert_eq!(one.finish(REST)?.success()?.stdout, "one\n");
    assert_eq!(two.finish(REST)?.success()?.stdout, "two\n");
    assert!(three.is_running() && three.stdout().is_empty(), "{}", three.stderr());
    let taps = world.records().iter().skip(mark).filter(|record| text(record, "event") == "mfa.succeeded").count();
    assert_eq!((taps, world.prod3.connections()), (1, 2));
    Ok(())
}

#[test]
fn the_owners_page_shows_what_waits_at_once_and_can_only_deny_it() -> Result<()> {
    let (world, approver) = asked_for("require_session_mfa: true")?;
    approver.sign_in(&world)?;
    approver.browser.go(&format!("https://{}/web/sessions", world.address))?;
    approver.browser.wait_for("No session of yours is open")?;
    let ssh = approver.ssh(&world, &["echo here"])?;
    let asked = Asked::of(&ssh)?;
    for said in ["Waiting for your tap", "prod3", "echo here", "127.0.0.1"] {
        approver.browser.wait_for(said)?;
    }
    crate::world::picture(&approver.browser, "in-band-waiting")?;
    let page = approver.browser.script("return document.documentElement.outerHTML")?.to_string();
    let number = asked.link.rsplit('/').next().unwrap_or_default();
    assert!(!page.contains(number) && !page.contains(&asked.code), "nothing to approve by");
    approver.browser.click("button.deny")?;
    approver.browser.wait_for("was denied")?;
    let ran = ssh.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("it was denied on the page"), "{ran}");
    Ok(())
}
