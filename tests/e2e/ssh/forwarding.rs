//! Forwarding of ports, agents and displays: as the role says, and in words where it says no.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::{KeyPair, Process, SshdOptions, program};

use crate::world::{World, text, until};

const SOON: Duration = Duration::from_secs(30);
const NO: &str = "port forwarding is not allowed here";

/// A service that greets whoever connects, until the test ends.
fn service() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            (&stream).write_all(b"greetings").unwrap_or_default();
        }
    });
    Ok(port)
}

#[expect(clippy::disallowed_methods, reason = "the test reaches ssh's own listener")]
fn reach(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port))
}

/// All that a port of this machine says after these bytes; empty where it closes at once.
fn say(port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = reach(port)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(bytes)?;
    let mut heard = Vec::new();
    // A refused channel ends the connection, with or without a reset.
    stream.read_to_end(&mut heard).map(drop).unwrap_or_default();
    Ok(heard)
}

/// `tap ssh -N` with this forwarding, listening.
fn forward(world: &World, option: &str, value: &str, port: u16) -> Result<Process> {
    let process = world.start_ssh("dev1", &["--", "-N", option, value])?;
    until("ssh to listen", SOON, || Ok(reach(port).is_ok()))?;
    Ok(process)
}

fn without_forwarding(world: &World) -> Result<()> {
    world.put(&world.role("access-dev", "dev", "port_forwarding: false")).map(drop)
}

#[test]
fn a_local_port_is_forwarded_as_the_role_says() -> Result<()> {
    let world = World::new()?;
    let (service, port) = (service()?, world.lab.port()?);
    let value = format!("127.0.0.1:{port}:127.0.0.1:{service}");
    let process = forward(&world, "-L", &value, port)?;
    assert_eq!(say(port, b"")?, b"greetings");
    drop(process);
    without_forwarding(&world)?;
    let process = forward(&world, "-L", &value, port)?;
    assert_eq!(say(port, b"")?, b"");
    process.wait_for_error(NO)?;
    Ok(())
}

#[test]
fn a_dynamic_port_is_forwarded_as_the_role_says() -> Result<()> {
    let world = World::new()?;
    let (service, port) = (service()?, world.lab.port()?);
    // SOCKS5: no password, then a connection to the service; the answer has twelve bytes before the service's.
    let [high, low] = service.to_be_bytes();
    let hello = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low];
    let value = format!("127.0.0.1:{port}");
    let process = forward(&world, "-D", &value, port)?;
    assert!(say(port, &hello)?.ends_with(b"greetings"));
    drop(process);
    without_forwarding(&world)?;
    let process = forward(&world, "-D", &value, port)?;
    assert!(!say(port, &hello)?.ends_with(b"greetings"));
    process.wait_for_error(NO)?;
    Ok(())
}

#[test]
fn a_remote_port_is_forwarded_as_the_role_says_and_told() -> Result<()> {
    let world = World::new()?;
    let (service, port) = (service()?, world.lab.port()?);
    let mark = world.mark();
    let process = forward(&world, "-R", &format!("127.0.0.1:{port}:127.0.0.1:{service}"), port)?;
    assert_eq!(say(port, b"")?, b"greetings");
    let listened = world.await_record(mark, "session.forward", |record| text(record, "way") == "listen")?;
    let carried = |record: &serde_json::Value| text(record, "way") == "remote" && record["bytes_down"] == 0;
    let told = world.await_record(mark, "session.forward", |record| carried(record) && record["bytes_up"] == 9)?;
    for record in [&listened, &told] {
        assert_eq!(text(record, "destination"), format!("127.0.0.1:{port}"));
    }
    drop(process);
    without_forwarding(&world)?;
    let options = ["true", "--", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9"];
    let ran = world.ssh("dev1", &options)?.failure(255)?;
    assert!(ran.stderr.contains("remote port forwarding failed"), "{ran}");
    Ok(())
}

#[test]
fn a_remote_port_may_be_the_targets_choice() -> Result<()> {
    let world = World::new()?;
    let value = format!("0:127.0.0.1:{}", service()?);
    let mark = world.mark();
    let ran = world.start_ssh("dev1", &["echo up; exec cat", "--", "-R", &value])?;
    ran.wait_for_error("Allocated port")?;
    ran.wait_for("up")?;
    let log = world.dev1.log();
    drop(ran);
    let told = world.await_record(mark, "session.forward", |record| text(record, "way") == "listen")?;
    assert!(text(&told, "destination").ends_with(":0"), "{told} {log}");
    Ok(())
}

#[test]
fn sockets_are_forwarded_both_ways() -> Result<()> {
    let world = World::new()?;
    let (there, here) = (world.lab.path().join("there.sock"), world.lab.path().join("here.sock"));
    let listener = UnixListener::bind(&there)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            (&stream).write_all(b"socket greetings").unwrap_or_default();
        }
    });
    let mark = world.mark();
    for option in ["-L", "-R"] {
        let process =
            world.start_ssh("dev1", &["--", "-N", option, &format!("{}:{}", here.display(), there.display())])?;
        // The socket is there a moment before somebody listens at it.
        until("ssh to listen", SOON, || Ok(UnixStream::connect(&here).is_ok()))?;
        let mut heard = String::new();
        UnixStream::connect(&here)?.read_to_string(&mut heard)?;
        assert_eq!(heard, "socket greetings", "{option}");
        drop(process);
        std::fs::remove_file(&here).unwrap_or_default();
    }
    for (way, socket) in [("local", &there), ("listen", &here), ("remote", &here)] {
        let told = world.await_record(mark, "session.forward", |record| text(record, "way") == way)?;
        assert_eq!(text(&told, "destination"), socket.display().to_string());
    }
    Ok(())
}

#[test]
fn standard_input_and_output_are_forwarded() -> Result<()> {
    let world = World::new()?;
    let ran = world.ssh("dev1", &["--", "-W", &format!("127.0.0.1:{}", service()?)])?.success()?;
    assert_eq!(ran.stdout, "greetings");
    Ok(())
}

#[test]
fn a_connection_to_a_remote_port_after_the_window_is_refused() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 6s")?;
    let (service, port) = (service()?, world.lab.port()?);
    let value = format!("127.0.0.1:{port}:127.0.0.1:{service}");
    let process = world.start_ssh("prod3", &["--", "-N", "-R", &value])?;
    until("sshd to listen", SOON, || Ok(say(port, b"").is_ok()))?;
    assert_eq!(say(port, b"")?, b"greetings");
    until("a refusal", SOON, || Ok(say(port, b"")?.is_empty()))?;
    process.finish(Duration::ZERO).map(drop).unwrap_or_default();
    Ok(())
}

#[test]
fn the_users_own_agent_is_forwarded_only_where_the_role_allows_it() -> Result<()> {
    let mut world = World::new()?;
    let socket = world.lab.path().join("own-agent");
    let agent = ["-D".to_owned(), "-a".to_owned(), socket.display().to_string()];
    let agent = world.jerry.start(&program("ssh-agent", "openssh-client")?, agent)?;
    until("the agent", SOON, || Ok(socket.exists()))?;
    world.jerry = world.jerry.clone().with("SSH_AUTH_SOCK", &socket);
    let key = KeyPair::make(&world.lab, "own")?;
    world.jerry.start(&program("ssh-add", "openssh-client")?, [key.path()])?.finish(SOON)?.success()?;

    let look = ["ssh", "-A", &world.at("dev1"), "echo \"[$SSH_AUTH_SOCK]\"; ssh-add -L"].map(str::to_owned);
    let refused = world.jerry.tap(&look)?;
    assert!(refused.stdout.starts_with("[]\n"), "{refused}");
    world.put(&world.role("access-dev", "dev", "forward_agent: true"))?;
    let forwarded = world.jerry.tap(&look)?.success()?;
    let keys: Vec<&str> = forwarded.stdout.lines().skip(1).collect();
    assert_eq!(keys, [key.public()], "{forwarded}");
    drop(agent);
    Ok(())
}

#[test]
fn the_sessions_own_agent_never_leaves_the_machine() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, forward_agent: true")?;
    let at = world.at("prod3");
    for options in [["-A"].as_slice(), &["-o", "ForwardAgent=yes"]] {
        let words = ["ssh", &at, "echo \"[$SSH_AUTH_SOCK]\"", "--"];
        let ran = world.jerry.tap(words.iter().chain(options))?;
        assert!(!ran.status.success() || ran.stdout == "[]\n", "{ran}");
    }
    Ok(())
}

#[test]
fn a_display_is_never_forwarded() -> Result<()> {
    let mut world = World::new()?;
    let config = ["X11Forwarding yes", "X11UseLocalhost yes"].map(str::to_owned).to_vec();
    let _sshd = world.target("dev2", SshdOptions { config, ..world.trusting("dev") })?;
    world.jerry = world.jerry.clone().with("DISPLAY", "127.0.0.1:9");
    let ran = world.ssh("dev2", &["echo \"[$DISPLAY]\"", "--", "-Y"])?.success()?;
    assert_eq!(ran.stdout, "[]\n");
    assert!(ran.stderr.contains("X11 forwarding request failed"), "{ran}");
    Ok(())
}

#[test]
fn standard_streams_reach_a_forwarded_port() -> Result<()> {
    let world = World::new()?;
    let to = format!("127.0.0.1:{}", service()?);
    let ran = world.ssh("dev1", &["--", "-W", &to])?.success()?;
    assert_eq!(ran.stdout, "greetings");
    without_forwarding(&world)?;
    let ran = world.ssh("dev1", &["--", "-W", &to])?.failure(255)?;
    ran.stderr.contains(NO).then_some(()).with_context(|| format!("{ran}"))
}
