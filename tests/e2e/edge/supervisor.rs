//! A supervisor's side: it hands sockets down, and is told how the gate stands (as systemd does it).

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tapgate_api::path;
use tapgate_lab::{Lab, Process, own_binary, program};

use super::bare::{SLACK, config, curl};
use crate::world::until;

/// Binds two ports, hands them down as `sd_listen_fds(3)` has it, and becomes the gate.
const HANDS_DOWN: &str = "\
import os, socket, sys
ports = [socket.create_server(('127.0.0.1', int(port))) for port in sys.argv[1:3]]
for n, port in enumerate(ports):
    os.dup2(port.fileno(), 100 + n)
for n in range(2):
    os.dup2(100 + n, 3 + n)
    os.set_inheritable(3 + n, True)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='a:b')
os.execv(sys.argv[3], sys.argv[3:])
";

#[test]
fn sockets_that_are_handed_down_are_the_gates_and_it_says_how_it_stands() -> Result<()> {
    let lab = Lab::new()?;
    let (port, admin) = (lab.port()?, lab.port()?);
    let file = config(&lab, "tapgate.yaml", port, admin, "data")?;
    let script = lab.write("hands_down.py", HANDS_DOWN)?;
    let notify = lab.path().join("notify");
    let told = UnixDatagram::bind(&notify).context("no socket for what the supervisor is told")?;
    told.set_read_timeout(Some(SLACK * 4))?;
    let next = || -> Result<String> {
        let mut word = [0; 512];
        let length = told.recv(&mut word).context("the gate says nothing")?;
        Ok(String::from_utf8_lossy(word.get(..length).unwrap_or_default()).into_owned())
    };
    let mut command = Command::new(program("/usr/bin/python3", "python3")?);
    command.arg(script).arg(port.to_string()).arg(admin.to_string()).arg(own_binary("tapgate")?);
    command.args(["start", "--config"]).arg(&file).env("NOTIFY_SOCKET", &notify).env("HOME", lab.path());
    let mut gate = Process::start("tapgate", &mut command)?;
    let ready = next()?;
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", gate.id())), "{ready}");
    assert_eq!(curl(&format!("https://localhost:{port}{}", path::FIND), &[])?.status, 200);
    assert_eq!(curl(&format!("http://127.0.0.1:{admin}/readyz"), &[])?.status, 200);
    assert!(!gate.stderr().contains("handed down that the configuration does not name"), "{}", gate.stderr());

    gate.signal(Signal::SIGHUP);
    let reloading = next()?;
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next()?.contains("READY=1"));
    gate.signal(Signal::SIGTERM);
    assert!(next()?.contains("STOPPING=1"));
    assert!(gate.wait(SLACK * 2)?.success());
    Ok(())
}

#[test]
fn a_socket_for_somebody_elses_process_is_left_alone() -> Result<()> {
    let lab = Lab::new()?;
    let (port, admin) = (lab.port()?, lab.port()?);
    let file = config(&lab, "tapgate.yaml", port, admin, "data")?;
    let mut command = Command::new(own_binary("tapgate")?);
    command.args(["start", "--config"]).arg(&file).env("LISTEN_FDS", "3").env("LISTEN_PID", "1");
    command.env("NOTIFY_SOCKET", lab.path().join("nobody"));
    let gate = Process::start("tapgate", &mut command)?;
    gate.wait_for_error("The gate is open")?;
    // Nobody listens for how it stands: that is told, and no reason to end.
    let url = format!("https://localhost:{port}{}", path::FIND);
    until("the gate", Duration::from_secs(20), || Ok(curl(&url, &[])?.status == 200))?;
    assert!(gate.stop()?.success());
    Ok(())
}
