//! What people use beside ssh: scp, rsync and git, through the gate as they would straight.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{Ran, own_binary, program};

use crate::world::{ASKED, World, text};

const SOON: Duration = Duration::from_mins(1);

fn run(world: &World, name: &str, words: &[&str]) -> Result<Ran> {
    world.jerry.start(&program(name, name)?, words)?.finish(SOON)
}

/// `PATH` on a target, as the tools write it.
fn on(world: &World, target: &str, path: &Path) -> String {
    format!("{}:{}", world.at(target), path.display())
}

#[test]
fn scp_copies_both_ways_after_one_tap() -> Result<()> {
    let world = World::new()?;
    let folder = world.lab.dir("files")?;
    let (there, back) = (folder.join("there"), folder.join("back"));
    let content: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(world.jerry.home().join("local"), &content)?;
    let mark = world.mark();
    let up = world.jerry.tap(["scp", "-q", "local", &on(&world, "prod3", &there)])?.success()?;
    assert!(up.stderr.contains(ASKED), "{up}");
    let down = world.jerry.tap(["scp", "-q", &on(&world, "prod3", &there), &back.display().to_string()])?.success()?;
    assert!(!down.stderr.contains(ASKED), "{down}");
    assert!(std::fs::read(&back)? == content);
    for operation in ["write", "read"] {
        let fits = |record: &serde_json::Value| text(record, "operation") == operation;
        let told = world.await_record(mark, "session.sftp", fits)?;
        assert_eq!((text(&told, "path"), text(&told, "target")), (there.display().to_string().as_str(), "prod3"));
    }
    // The old protocol too.
    world.jerry.tap(["scp", "-q", "-O", "local", &on(&world, "dev1", &folder.join("old"))])?.success()?;
    assert!(std::fs::read(folder.join("old"))? == content);
    let missing = world.jerry.tap(["scp", "-q", &on(&world, "dev1", Path::new("/no/such")), "."])?.failure(1)?;
    assert!(missing.stderr.contains("No such file"), "{missing}");
    Ok(())
}

#[test]
fn git_clones_and_pushes() -> Result<()> {
    let mut world = World::new()?;
    let folder = world.lab.dir("git")?;
    let (bare, clone) = (folder.join("bare"), folder.join("clone"));
    let at = |path: &Path| path.display().to_string();
    world.jerry = world.jerry.clone().with("GIT_SSH_COMMAND", format!("'{}' ssh", own_binary("tap")?.display()));
    run(&world, "git", &["init", "--quiet", "--bare", &at(&bare)])?.success()?;
    run(&world, "git", &["clone", "--quiet", &on(&world, "prod3", &bare), &at(&clone)])?.success()?;
    let own = ["-C", &at(&clone), "-c", "user.name=j", "-c", "user.email=j@example.com"];
    let git = |words: &[&str]| run(&world, "git", &[&own, words].concat());
    git(&["commit", "--quiet", "--allow-empty", "-m", "first"])?.success()?;
    git(&["push", "--quiet", "origin", "HEAD:main"])?.success()?;
    let log = run(&world, "git", &["-C", &at(&bare), "log", "--format=%s", "main"])?.success()?;
    assert_eq!(log.stdout, "first\n");
    Ok(())
}

#[test]
fn rsync_copies() -> Result<()> {
    let world = World::new()?;
    let (from, to) = (world.lab.dir("from")?, world.lab.dir("to")?);
    for n in 0..50 {
        std::fs::write(from.join(format!("file{n}")), vec![7; 10_000])?;
    }
    let shell = format!("'{}' ssh", own_binary("tap")?.display());
    let source = format!("{}/", from.display());
    run(&world, "rsync", &["-a", "-e", &shell, &source, &on(&world, "prod3", &to)])?.success()?;
    assert_eq!(std::fs::read_dir(&to)?.count(), 50);
    Ok(())
}

#[test]
fn printed_configuration_serves_plain_ssh() -> Result<()> {
    let world = World::new()?;
    let lines = world.jerry.tap(["config", "ssh"])?.success()?;
    let config = world.lab.write("printed_config", &lines.stdout)?.display().to_string();
    let to = format!("{}@localhost", world.at("dev1"));
    let ssh = |words: &[&str]| run(&world, "ssh", &[&["-F", config.as_str()], words].concat());
    assert_eq!(ssh(&["-o", "BatchMode=yes", &to, "echo plain"])?.success()?.stdout, "plain\n");
    let refused = ssh(&[&format!("{}@localhost", world.at("prod3")), "true"])?.failure(255)?;
    assert!(refused.stderr.contains(ASKED), "{refused}");
    let line = world.jerry.tap(["config", "ssh", "--known-hosts"])?.success()?.stdout;
    assert!(line.starts_with("@cert-authority localhost,[localhost]:"), "{line}");
    // Straight to the gate's port, the line alone tells who the gate is.
    let known = world.lab.write("printed_known_hosts", &line)?.display().to_string();
    let known = format!("UserKnownHostsFile={known}");
    assert_eq!(ssh(&["-o", &known, "-o", "ProxyCommand=none", &to, "echo straight"])?.success()?.stdout, "straight\n");
    Ok(())
}
