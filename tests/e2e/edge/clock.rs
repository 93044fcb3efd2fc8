//! A clock that jumps under a running gate: what was valid is valid again when it comes back, and the log stays whole.

use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tapgate_audit::verify_file;
use tapgate_lab::{own_binary, program};

use super::bare::{curl, run};
use super::reload::gate_with;
use crate::world::{World, until};

#[test]
fn a_clock_that_jumps_refuses_and_comes_back() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let clock = world.lab.write("clock", "+0\n")?;
    let mut command = Command::new(program("faketime", "faketime")?);
    // Its library stays; from then on the time stands in a file. Timers go on as they do.
    command.args(["-m", "--exclude-monotonic", "-f", "+0", "env", "-u", "FAKETIME"]);
    command.arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display())).arg("FAKETIME_NO_CACHE=1");
    world.start_by({
        command.arg(own_binary("tapgate")?);
        command
    })?;
    let jump = |to: &str| std::fs::write(&clock, to).context("the clock can't be set");
    let mut live = world.start_ssh("prod3", &["cat"])?;
    live.write(b"here\n")?;
    live.wait_for("here")?;

    // Certificates of a minute ago are of the future now.
    jump("-1d\n")?;
    assert!(!world.ssh("dev1", &["true"])?.status.success());
    jump("+0\n")?;
    world.ssh("dev1", &["true"])?.success()?;
    // A day later they are over, and the tap with them.
    jump("+2d\n")?;
    assert!(!world.ssh("dev1", &["true"])?.status.success());
    assert!(!world.ssh("prod3", &["true"])?.status.success());
    jump("+0\n")?;
    world.ssh("dev1", &["true"])?.success()?;
    live.write(b"still here\n")?;
    live.wait_for("still here")?;
    live.signal(Signal::SIGTERM);
    world.stop()?;
    verify_file(world.audit_log())?;
    Ok(())
}

#[test]
fn an_expired_certificate_is_told_and_counted() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| lab.path().join(name).display().to_string());
    let openssl = program("openssl", "openssl")?.display().to_string();
    let words = ["-f", "-30d", &openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj"];
    let rest = ["/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &chain];
    run("faketime", "faketime", words.iter().chain(&rest))?.success()?;
    let bare = gate_with(lab, &format!("tls:\n  certificate: {chain}\n  key: {key}\n"))?;
    let told = || Ok(bare.gate.process().stderr().contains("The certificate for browsers has expired"));
    until("the word that it has expired", super::bare::SLACK, told)?;
    bare.is_well()?;
    until("the metric", super::bare::SLACK, || {
        let page = curl(&format!("http://127.0.0.1:{}/metrics", bare.admin_port), &[])?.body;
        Ok(page.contains("tapgate_certificate_expires_seconds -25")
            || page.contains("tapgate_certificate_expires_seconds -2"))
    })
}
