//! What the audit log tells of a session: commands, subsystems and files, with the session's number.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tapgate_lab::program;

use crate::world::{World, event, text};

const SOON: Duration = Duration::from_secs(30);

/// Everything behind the mark that was done in the one session there.
fn deeds(world: &World, mark: usize) -> Result<Vec<Value>> {
    let end = world.await_record(mark, "session.end", |_| true)?;
    let of_it = |record: &Value| text(record, "session") == text(&end, "session");
    let told = world.records().into_iter().skip(mark).filter(of_it);
    Ok(told.filter(|record| !matches!(event(record), "session.start" | "session.end")).collect())
}

#[test]
fn commands_and_shells_are_told() -> Result<()> {
    let world = World::new()?;
    let mark = world.mark();
    world.ssh("dev1", &["echo hello; exit 3"])?.failure(3)?;
    let told = deeds(&world, mark)?;
    let [command] = told.as_slice() else { anyhow::bail!("{told:?}") };
    assert_eq!((event(command), text(command, "command")), ("session.command", "echo hello; exit 3"));
    assert_eq!((text(command, "user"), text(command, "target")), ("jerry", "dev1"));

    let mark = world.mark();
    let mut shell = world.start_ssh("dev1", &[])?;
    shell.write(b"exit\n")?;
    shell.finish(SOON)?.success()?;
    let told = deeds(&world, mark)?;
    assert!(matches!(told.as_slice(), [shell] if event(shell) == "session.command" && shell["command"].is_null()));
    Ok(())
}

#[test]
fn files_that_sftp_touches_are_told() -> Result<()> {
    let world = World::new()?;
    let folder = world.lab.path().join("files");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("local"), vec![7; 3_000_000])?;
    let at = |name: &str| folder.join(name).display().to_string();
    let batch = format!(
        "mkdir {0}\nput {1} {2}\nget {2} {3}\nrename {2} {4}\nln -s {4} {5}\nchmod 600 {4}\nrm {4}\nrmdir {0}\nls {6}\n",
        at("dir"),
        at("local"),
        at("up"),
        at("down"),
        at("moved"),
        at("link"),
        folder.display(),
    );
    let script = world.lab.write("batch", &batch)?;
    let mark = world.mark();
    let options = world.login_options(true, "dev1");
    let own = ["-F", "ssh_config", "-b", &script.display().to_string()].map(str::to_owned);
    let words = own.into_iter().chain(options).chain(["localhost".to_owned()]);
    world.jerry.start(&program("sftp", "openssh-client")?, words)?.finish(SOON)?.success()?;
    assert_eq!(std::fs::read(folder.join("down"))?, vec![7; 3_000_000]);

    let told = deeds(&world, mark)?;
    assert_eq!(told.first().map(|first| (event(first), text(first, "subsystem"))), Some(("session.subsystem", "sftp")));
    let due = [
        ("make directory", "dir", None),
        ("write", "up", None),
        ("read", "up", None),
        ("rename", "up", Some("moved")),
        ("set attributes", "moved", None),
        ("remove", "moved", None),
        ("remove directory", "dir", None),
    ];
    for (operation, path, to) in due {
        let fits = |record: &&Value| {
            event(record) == "session.sftp"
                && text(record, "operation") == operation
                && text(record, "path") == at(path)
        };
        let found = told.iter().find(fits);
        let found = found.ok_or_else(|| anyhow::anyhow!("no {operation} of {path} in {told:#?}"))?;
        assert_eq!(text(found, "to"), to.map(at).unwrap_or_default());
    }
    assert!(told.iter().all(|record| event(record) != "session.untold"), "{told:#?}");
    tapgate_audit::verify_file(world.audit_log())?;
    Ok(())
}
