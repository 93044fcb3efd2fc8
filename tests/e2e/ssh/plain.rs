//! Plain OpenSSH with the lines of `tap config ssh`, as people, editors and Ansible call it: no `tap ssh` anywhere.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{Client, Process, Ran, program};

use crate::world::{ASKED, World, copy, until};

const SOON: Duration = Duration::from_mins(1);

/// The file that `tap config ssh` prints.
pub(super) fn config(world: &World) -> Result<String> {
    let lines = world.jerry.tap(["config", "ssh"])?.success()?;
    Ok(world.lab.write("printed_config", &lines.stdout)?.display().to_string())
}

fn start(client: &Client, name: &str, config: &str, words: &[&str]) -> Result<Process> {
    client.start(&program(name, "openssh-client")?, [&["-F", config], words].concat())
}

fn ssh(world: &World, config: &str, words: &[&str]) -> Result<Ran> {
    start(&world.jerry, "ssh", config, words)?.finish(SOON)
}

#[test]
fn plain_ssh_taps_once_per_window_and_not_where_none_is_due() -> Result<()> {
    let world = World::new()?;
    let config = config(&world)?;
    for (target, asks) in [("dev1", false), ("prod3", true), ("prod3", false), ("prod3.localhost", false)] {
        let ran = ssh(&world, &config, &["-o", "BatchMode=yes", &world.at(target), "echo in; exit 6"])?.failure(6)?;
        assert_eq!((ran.stdout.as_str(), ran.stderr.contains(ASKED)), ("in\n", asks), "{target}: {ran}");
    }
    assert_eq!(world.prod3.connections(), 3);
    Ok(())
}

#[test]
fn a_tap_for_one_session_opens_one_also_of_two_at_once() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s")?;
    let (config, to) = (config(&world)?, world.at("prod3"));
    let both = [(); 2].map(|()| start(&world.jerry, "ssh", &config, &[&to, "echo in"]));
    for one in both {
        let ran = one?.finish(SOON)?.success()?;
        assert!(ran.stdout == "in\n" && ran.stderr.contains(ASKED), "{ran}");
    }
    Ok(())
}

#[test]
fn a_thiefs_copy_and_his_agent_open_nothing_that_wants_a_tap() -> Result<()> {
    let world = World::new()?;
    let config = config(&world)?;
    ssh(&world, &config, &[&world.at("prod3"), "true"])?.success()?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&world.jerry.tap_home(), &thief.tap_home())?;
    let text = std::fs::read_to_string(&config)?;
    let own = text.replace(&world.jerry.tap_home().display().to_string(), &thief.tap_home().display().to_string());
    let own = world.lab.write("thiefs_config", &own)?.display().to_string();
    let before = world.prod3.connections();
    let shut = start(&thief, "ssh", &own, &[&world.at("prod3"), "echo stolen"])?.finish(SOON)?.failure(255)?;
    assert!(shut.stderr.contains(ASKED) && shut.stdout.is_empty(), "{shut}");
    assert_eq!(world.prod3.connections(), before);
    thief.tap(["logout"])?.success()?;
    Ok(())
}

#[test]
fn names_from_strangers_reach_no_shell() -> Result<()> {
    let world = World::new()?;
    let config = config(&world)?;
    let marker = world.lab.path().join("pwned");
    let touch = format!("touch {}", marker.display());
    for name in [format!("x';{touch};'@prod3"), format!("$({touch})@prod3"), format!("x@';{touch};'.localhost")] {
        let ran = ssh(&world, &config, &["-o", "ConnectTimeout=5", &name, "true"])?;
        assert!(!ran.status.success(), "{ran}");
    }
    for path in ["../x@prod3", "a/b@prod3"] {
        ssh(&world, &config, &[path, "true"])?.failure(255)?;
    }
    assert!(!marker.exists());
    Ok(())
}

/// `ssh -T -D PORT -o ConnectTimeout=15 HOST bash`: a shell on a pipe that installs and starts a server, and a SOCKS
/// port through which the editor then speaks to it.
#[test]
fn the_way_of_vs_code_remote() -> Result<()> {
    let world = World::new()?;
    let config = config(&world)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let service = listener.local_addr()?.port();
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| (&stream).write_all(b"editor's server").unwrap_or_default());
    });
    let socks = world.lab.port()?;
    let words = ["-v", "-T", "-D", &socks.to_string(), "-o", "ConnectTimeout=15", &world.at("prod3"), "sh"];
    let mut shell = start(&world.jerry, "ssh", &config, &words)?;
    shell.write(b"uname -s; echo installed; exec cat\n")?;
    shell.wait_for("installed")?;
    let [high, low] = service.to_be_bytes();
    let mut heard = Vec::new();
    until("the SOCKS port", SOON, || Ok(reach(socks).is_ok()))?;
    let mut stream = reach(socks)?;
    stream.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low])?;
    stream.read_to_end(&mut heard)?;
    assert!(heard.ends_with(b"editor's server"), "{heard:?}");
    // ssh stays for as long as a forwarded connection does.
    drop(stream);
    shell.finish(SOON)?.success()?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the test reaches ssh's own listener")]
fn reach(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port))
}

#[test]
fn scp_sftp_and_a_shared_connection_need_one_tap() -> Result<()> {
    let world = World::new()?;
    let (config, to) = (config(&world)?, world.at("prod3"));
    let (from, there, back) = (
        world.lab.write("from", &"x".repeat(2_000_000))?,
        world.lab.path().join("there"),
        world.lab.path().join("back"),
    );
    let (from, there, back) = (from.display().to_string(), there.display().to_string(), back.display().to_string());
    let up = start(&world.jerry, "scp", &config, &["-q", &from, &format!("{to}:{there}")])?.finish(SOON)?.success()?;
    assert!(up.stderr.contains(ASKED), "{up}");
    let down = start(&world.jerry, "scp", &config, &["-q", "-O", &format!("{to}:{there}"), &back])?.finish(SOON)?;
    assert!(!down.success()?.stderr.contains(ASKED));
    let batch = world.lab.write("batch", &format!("get {there} {back}2\n"))?.display().to_string();
    start(&world.jerry, "sftp", &config, &["-b", &batch, &to])?.finish(SOON)?.success()?;
    for copy in [&back, &format!("{back}2")] {
        assert!(std::fs::read(copy)? == std::fs::read(&from)?);
    }
    // As Ansible does: the first one leaves a connection behind, and the next ones share it.
    let socket = world.lab.path().join("c");
    let path = format!("ControlPath={}", socket.display());
    let shared = ["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=20s", "-o", &path];
    let before = world.prod3.connections();
    for n in 0..3 {
        let command = format!("exit {n}");
        ssh(&world, &config, &[&shared[..], &[&to, &command]].concat())?.failure(n)?;
    }
    assert_eq!(world.prod3.connections() - before, 1);
    ssh(&world, &config, &["-O", "exit", "-o", &path, &to])?.success()?;
    Ok(())
}
