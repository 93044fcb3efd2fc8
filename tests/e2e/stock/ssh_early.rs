//! What a client tries before anybody has approved anything: more channels, forwarding, another user name.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;
use tapgate_lab::{SshCrowd, SshWish, python_program};

use super::approver::{Approver, Asked, REST};
use crate::world::{ASKED, event, text, until};

/// How many clients there are: one is approved, one is denied, and one vanishes.
const CLIENTS: usize = 3;

#[test]
fn channels_before_the_approval_reach_no_target() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let (mark, files) = (world.mark(), approver.files(&world));
    let service = TcpListener::bind("127.0.0.1:0")?;
    service.set_nonblocking(true)?;
    let wish = SshWish {
        port: world.gate().address().port(),
        user: world.at("prod3"),
        key: &files.ssh_key,
        known_hosts: &files.known_hosts,
        command: "echo first",
        from: vec![Ipv4Addr::LOCALHOST],
        service: Some(service.local_addr()?.port()),
    };
    let nothing_happened = |why: &str| {
        assert_eq!(world.prod3.connections(), 0, "{why}");
        assert!(service.accept().is_err(), "{why}");
        assert!(world.records().iter().skip(mark).all(|record| event(record) != "session.start"), "{why}");
    };
    let clients = (0..CLIENTS).map(|_| SshCrowd::start(&world.lab, &wish)).collect::<Result<Vec<_>>>()?;
    let asked: Vec<_> = clients.iter().filter_map(|client| Asked::read(client.asked().first()?)).collect();
    let (Ok([first, second, third]), [one, two, _]) = (<[SshCrowd; CLIENTS]>::try_from(clients), &asked[..]) else {
        anyhow::bail!("not all were asked: {asked:?}");
    };
    nothing_happened("while they wait");
    // Denied: what was tried beside the first channel comes to nothing too.
    approver.open(one)?;
    nothing_happened("while the page is open");
    approver.browser.click("button.deny")?;
    approver.browser.wait_for("Nothing was approved")?;
    let over = first.wait_for("over")?;
    assert!(over.contains("it was denied on the page"), "{over}");
    until("the end of all that was tried", REST, || Ok(first.further().len() == 5))?;
    // Gone: the page that is left opens nothing.
    drop(third);
    nothing_happened("after a no, and after a client that has vanished");
    // Approved: the first channel runs, and what came with it is judged by the roles only now.
    approver.approve(two)?;
    assert_eq!(second.wait_for("stdout")?, "first\n");
    let start = world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "user"), text(&start, "door")), ("ann", "in-band"));
    until("one connection to the target", REST, || Ok(world.prod3.connections() == 1))
}

/// A key that the gate does not know for one user name, then a certificate for another; and a second user name once
/// somebody is in.
const CHANGED: &str = r#"
import sys, threading, paramiko
host, port, first, second, key = sys.argv[1:6]
own = paramiko.Ed25519Key.from_private_key_file(key)
own.load_certificate(key + "-cert.pub")
def connect():
    # The one that asks for the service once, and may then try again.
    transport = paramiko.transport.ServiceRequestingTransport((host, int(port)))
    transport.start_client(timeout=30)
    return transport
def asked(transport):
    channel = transport.open_session()
    threading.Thread(target=lambda: channel.exec_command("echo in"), daemon=True).start()
    said = b""
    while b"/web/ask/" not in said:
        part = channel.recv_stderr(4096)
        if not part: break
        said += part
    return said.decode()
transport = connect()
try: transport.auth_publickey(first, paramiko.RSAKey.generate(2048)); raise SystemExit("a stranger's key is in")
except paramiko.AuthenticationException: pass
transport.auth_publickey(second, own)
print("changed before:", asked(transport), flush=True)
transport.close()
transport = connect()
transport.auth_publickey(first, own)
# From here on it is somebody who is in: another name changes nothing, and may have no answer.
transport.auth_timeout = 5
try: transport.auth_publickey(second, own)
except (paramiko.SSHException, EOFError): pass
try:
    channel = transport.open_session(timeout=10)
    channel.exec_command("echo in")
    print("changed after:", channel.makefile().read().decode(), flush=True)
except (paramiko.SSHException, EOFError) as error: print("changed after: refused", flush=True)
print("done", flush=True)
"#;

#[test]
fn a_user_name_that_changes_is_judged_as_the_last_one() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let script = world.lab.write("changed.py", CHANGED)?.display().to_string();
    let (port, key) = (world.gate().address().port().to_string(), approver.files(&world).ssh_key);
    let key = key.display().to_string();
    let words = [&script, "127.0.0.1", &port, &world.at("dev1"), &world.at("prod3"), &key];
    let ran = approver.ann.start(&python_program("python")?, words)?.finish(REST)?.success()?;
    assert!(ran.stdout.contains(&format!("changed before: {ASKED}")), "{ran}");
    assert!(ran.stdout.contains("changed after: ") && ran.stdout.ends_with("done\n"), "{ran}");
    assert_eq!(world.prod3.connections(), 0, "no name that came later leads there: {ran}");
    assert!(world.dev1.connections() <= 1, "{ran}");
    Ok(())
}
