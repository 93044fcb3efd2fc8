//! At a terminal: which ways there are, and that Ctrl-C ends any of them at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use tapgate_lab::own_binary;

use crate::world::World;

/// What a person calls at once, on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_secs(5);

const CTRL_C: &[u8] = b"\x03";

/// A shell that runs `tap` and then says how it ended and whether it still echoes.
fn shell(command: &str) -> Result<String> {
    let tap = own_binary("tap")?;
    let line = command.replacen("tap", &tap.display().to_string(), 1);
    Ok(format!("trap : INT; {line}; echo \"ended: $?\"; stty -a | grep -o -- '-\\?echo ' | head -1; echo over"))
}

#[test]
fn ctrl_c_ends_a_password_prompt_at_once_and_leaves_the_terminal_as_it_was() -> Result<()> {
    let world = World::new()?;
    let sh = tapgate_lab::program("sh", "dash")?;
    let asking = world.jerry.clone().with("TAP_PASSWORD_FILE", "");
    let line = shell(&format!("tap login --gate {} --user jerry", world.address))?;
    let mut process = asking.start_on_terminal(&sh, ["-c", &line])?;
    process.wait_for("Password of jerry")?;
    let start = Instant::now();
    process.write(b"half a pass")?;
    process.write(CTRL_C)?;
    process.wait_for("ended: 130")?;
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    process.wait_for("over")?;
    let said = process.stdout();
    assert!(said.contains("\necho ") || said.contains("\recho ") || said.lines().any(|l| l.trim() == "echo"), "{said}");
    assert!(!said.contains("half a pass"), "{said}");
    Ok(())
}

#[test]
fn ctrl_c_ends_the_wait_for_a_browser_and_the_ways_are_named() -> Result<()> {
    let world = World::new()?;
    let sh = tapgate_lab::program("sh", "dash")?;
    let line = shell(&format!("tap ssh --mfa-mode=browser {} true", world.at("prod3")))?;
    let mut process = world.jerry.start_on_terminal(&sh, ["-c", &line])?;
    process.wait_for("another way is --mfa-mode=cross-platform")?;
    let start = Instant::now();
    process.write(CTRL_C)?;
    process.wait_for("ended: 130")?;
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn the_prompt_of_a_key_names_another_way_at_a_terminal_alone() -> Result<()> {
    let world = World::new()?;
    let tap = own_binary("tap")?;
    let process = world.jerry.start_on_terminal(&tap, ["--no-agent", "ssh", &world.at("prod3"), "echo in"])?;
    process.wait_for("Tap any security key")?;
    process.wait_for("another way is --mfa-mode=browser")?;
    process.finish(Duration::from_mins(1))?.success()?;
    let piped = world.ssh("prod3", &["true"])?.success()?;
    assert!(!piped.stderr.contains("another way"), "{piped}");
    Ok(())
}

#[test]
fn a_machine_without_an_authenticator_says_what_to_do() -> Result<()> {
    let world = World::new()?;
    let refused = world.jerry.tap(["--mfa-mode=platform", "ssh", &world.at("prod3"), "true"])?.failure(1)?;
    assert!(refused.stderr.contains("of its own") && refused.stderr.contains("(use --mfa-mode=browser"), "{refused}");
    Ok(())
}
