//! Other clients: Ansible over plain ssh, and two SSH clients of their own, paramiko and asyncssh.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{KeyPair, Ran, python_program};

use super::plain::config;
use crate::world::{Tapper, World, login_files, text};

const SOON: Duration = Duration::from_mins(3);

fn python(world: &World, script: &str, arguments: &[&str]) -> Result<Ran> {
    let script = world.lab.write("client.py", script)?.display().to_string();
    let words = [&[script.as_str()], arguments].concat();
    world.jerry.start(&python_program("python")?, words)?.finish(SOON)
}

fn ansible(world: &World, config: &str, words: &[&str]) -> Result<Ran> {
    let inventory = format!(
        "[prod]\nprod3 ansible_user={}\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n",
        world.login
    );
    let inventory = world.lab.write("inventory", &inventory)?.display().to_string();
    let arguments = format!("-F {config} -C -o ControlMaster=auto -o ControlPersist=20s");
    let client = world
        .jerry
        .clone()
        .with("ANSIBLE_SSH_ARGS", arguments)
        .with("ANSIBLE_SCP_EXTRA_ARGS", "")
        .with("ANSIBLE_HOME", world.jerry.home().join("ansible"))
        .with("ANSIBLE_SSH_CONTROL_PATH_DIR", world.jerry.home().join("cp"))
        .with("LC_ALL", "C.UTF-8")
        .with("ANSIBLE_NOCOLOR", "1");
    client.start(&python_program("ansible")?, [&["-i", &inventory, "prod"], words].concat())?.finish(SOON)
}

#[test]
fn ansible_runs_and_copies_in_each_of_its_ways_after_one_tap() -> Result<()> {
    let world = World::new()?;
    let config = config(&world)?;
    let mark = world.mark();
    let ran = ansible(&world, &config, &["-m", "ping"])?.success()?;
    assert!(ran.stdout.contains("pong") && ran.stdout.contains("SUCCESS"), "{ran}");
    let tapped = world.await_record(mark, "session.start", |_| true)?;
    assert!(!tapped["tap"].is_null(), "{tapped}");
    let from = world.lab.write("payload", &"y".repeat(1_000_000))?.display().to_string();
    let mark = world.mark();
    for way in ["sftp", "scp", "piped"] {
        let to = world.lab.path().join(format!("by-{way}"));
        let copy = format!("src={from} dest={}", to.display());
        let with = format!("ansible_ssh_transfer_method={way}");
        ansible(&world, &config, &["-m", "copy", "-a", &copy, "-e", &with])?.success()?;
        assert!(std::fs::read(&to)? == std::fs::read(&from)?, "{way}");
    }
    let taps = world.records().iter().skip(mark).filter(|record| text(record, "event") == "mfa.begin").count();
    assert_eq!(taps, 0, "the window of the first one was still open");
    Ok(())
}

#[test]
fn ansible_gets_nowhere_without_a_key_to_tap() -> Result<()> {
    let mut world = World::new()?;
    let config = config(&world)?;
    world.jerry = world.jerry.clone().without_key();
    let ran = ansible(&world, &config, &["-m", "ping"])?;
    assert!(!ran.status.success() && ran.stdout.contains("UNREACHABLE"), "{ran}");
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

/// A command with status and both streams, a file there and back, and a forwarded connection.
const PARAMIKO: &str = r#"
import sys, paramiko
host, port, user, key, folder = sys.argv[1:6]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
pkey = paramiko.Ed25519Key.from_private_key_file(key)
pkey.load_certificate(key + "-cert.pub")
client.connect(host, int(port), user, pkey=pkey, allow_agent=False, look_for_keys=False)
client.get_transport().set_keepalive(1)
# Before any channel: where one closes meanwhile, paramiko waits for itself.
client.get_transport().renegotiate_keys()
stdin, stdout, stderr = client.exec_command("cat; echo err >&2; exit 7")
stdin.write("x" * 1000000); stdin.channel.shutdown_write()
out = stdout.read(); assert out == b"x" * 1000000, len(out)
assert stderr.read() == b"err\n"
assert stdout.channel.recv_exit_status() == 7
sftp = client.open_sftp()
with sftp.open(folder + "/p", "wb") as f: f.write(b"y" * 3000000)
with sftp.open(folder + "/p", "rb") as f: assert f.read() == b"y" * 3000000
shell = client.invoke_shell(width=101, height=33)
shell.send(b"stty size; exit\n"); said = b""
while True:
    part = shell.recv(1000)
    if not part: break
    said += part
assert b"33 101" in said, said
client.close(); print("done")
"#;

const ASYNCSSH: &str = r#"
import asyncio, sys, asyncssh
from asyncssh import public_key
# asyncssh takes no certificate with a critical option that it does not know; the gate's are for the gate alone.
for kind in (b"login", b"session"):
    public_key.SSHOpenSSHCertificateV01._user_option_decoders[b"tapgate-" + kind + b"@tapgate"] = lambda p: p.get_string()
host, port, user, key, folder, known = sys.argv[1:7]
async def main():
    async with asyncssh.connect(host, int(port), username=user, known_hosts=known, agent_path=None, config=None,
            client_keys=[(key, key + "-cert.pub")], host_key_alias="localhost", keepalive_interval=1,
            rekey_bytes=1 << 20) as conn:
        done = await conn.run("cat; echo err >&2; exit 7", input="x" * 4000000)
        assert done.stdout == "x" * 4000000 and done.stderr == "err\n" and done.exit_status == 7
        killed = await conn.run("kill -TERM $$")
        assert killed.exit_signal and killed.exit_signal[0] == "TERM", killed.exit_signal
        many = await asyncio.gather(*[conn.run(f"exit {n}") for n in range(8)])
        assert [one.exit_status for one in many] == list(range(8))
        listener = await conn.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
        assert listener.get_port() > 0
        listener.close()
        async with conn.start_sftp_client() as sftp:
            async with sftp.open(folder + "/a", "wb") as f: await f.write(b"y" * 3000000)
            assert (await sftp.stat(folder + "/a")).size == 3000000
    print("done")
asyncio.run(asyncio.wait_for(main(), 60))
"#;

fn client(world: &World, script: &str, target: &str, key: &Path) -> Result<Ran> {
    let (port, user) = (world.gate().address().port().to_string(), world.at(target));
    let folder = world.lab.dir(&format!("files-{target}"))?.display().to_string();
    let known = login_files(world, &world.jerry).known_hosts.display().to_string();
    python(world, script, &["127.0.0.1", &port, &user, &key.display().to_string(), &folder, &known])
}

#[test]
fn paramiko_does_all_that_it_can_by_login_and_by_tap() -> Result<()> {
    both(PARAMIKO)
}

#[test]
fn asyncssh_does_all_that_it_can_by_login_and_by_tap() -> Result<()> {
    both(ASYNCSSH)
}

fn both(script: &str) -> Result<()> {
    let world = World::new()?;
    assert_eq!(client(&world, script, "dev1", &login_files(&world, &world.jerry).ssh_key)?.success()?.stdout, "done\n");
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    assert_eq!(client(&world, script, "prod3", key.path())?.success()?.stdout, "done\n");
    let refused = client(&world, script, "prod3", &login_files(&world, &world.jerry).ssh_key)?;
    assert!(!refused.status.success(), "{refused}");
    Ok(())
}
