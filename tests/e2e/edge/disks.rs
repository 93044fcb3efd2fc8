//! Disks that are full, that can't be written, and directories that others can write into.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_audit::verify_file;
use tapgate_lab::{Lab, Process, Ran, own_binary, program};

use super::bare::config;
use crate::world::{World, tapgate, until};

/// A change of the disk counts within a second or two; a loaded machine may add to that.
const COUNTS: Duration = Duration::from_secs(30);

/// A shell with mounts of its own, that runs this with the folder as `$1` and becomes what stands behind.
fn with_mounts(script: &str, folder: &Path) -> Result<Command> {
    let mut command = Command::new(program("unshare", "util-linux")?);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg(format!("{script} && shift && exec \"$@\"")).arg("sh").arg(folder).arg(own_binary("tapgate")?);
    Ok(command)
}

/// A folder as the gate sees it.
fn inside(world: &World, folder: &Path) -> Result<PathBuf> {
    let within = folder.strip_prefix("/").context("the folder has no whole path")?;
    Ok(PathBuf::from(format!("/proc/{}/root", world.gate().process().id())).join(within))
}

/// Fills a disk to its last byte.
fn fill(folder: &Path) -> Result<PathBuf> {
    let filler = folder.join("filler");
    let mut blocks = fs::File::create(&filler)?;
    for size in [64 * 1024, 4096, 1] {
        while std::io::Write::write_all(&mut blocks, &vec![0; size]).is_ok() {}
    }
    Ok(filler)
}

/// A world that is down, whose configuration has this instead.
fn world_with(from: &str, to: &str) -> Result<World> {
    let mut world = World::new()?;
    world.stop()?;
    let text = fs::read_to_string(&world.config)?;
    let changed = text.replace(from, to);
    assert_ne!(changed, text);
    fs::write(&world.config, changed)?;
    Ok(world)
}

#[test]
fn a_full_disk_of_the_log_refuses_sessions_until_there_is_room() -> Result<()> {
    let mut world = world_with("audit.jsonl", "small/audit.jsonl")?;
    let folder = world.lab.dir("small")?;
    world.start_by(with_mounts("mount -t tmpfs -o size=512k tmpfs \"$1\"", &folder)?)?;
    world.ssh("dev1", &["true"])?.success()?;
    let inside = inside(&world, &folder)?;
    let filler = fill(&inside)?;
    let mut last = None;
    until("a refusal", COUNTS, || {
        let ran = world.ssh("dev1", &["true"])?;
        let refused = ran.stderr.contains("cannot record this session");
        last = Some(ran);
        Ok(refused)
    })
    .with_context(|| format!("{last:?}"))?;
    assert!(world.gate().process().stderr().contains("Audit log cannot be written"));
    fs::remove_file(filler)?;
    until("a session", COUNTS, || Ok(world.ssh("dev1", &["true"])?.status.success()))?;
    let copy = world.lab.path().join("copy.jsonl");
    fs::copy(inside.join("audit.jsonl"), &copy)?;
    verify_file(&copy)?;
    Ok(())
}

#[test]
fn a_full_disk_of_the_store_refuses_writes_and_nothing_else() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let (data, folder) = (world.lab.path().join("data"), world.lab.dir("small")?);
    let text = fs::read_to_string(&world.config)?;
    let line = format!("data_dir: {}\n", data.display());
    fs::write(&world.config, text.replace(&line, &format!("data_dir: {}\n", folder.display())))?;
    let script = format!("mount -t tmpfs -o size=8m,mode=700 tmpfs \"$1\" && cp -a {}/. \"$1\"", data.display());
    world.start_by(with_mounts(&script, &folder)?)?;
    world.ssh("dev1", &["true"])?.success()?;
    let filler = fill(&inside(&world, &folder)?)?;
    let file = world.lab.write("role.yaml", &world.role("another", &"x".repeat(60), ""))?.display().to_string();
    let create = |n: u32| world.olga.tapctl(["create", "--force", "-f", &file]).with_context(|| n.to_string());
    // The log of writes has a little room of its own at first.
    let mut ran = create(0)?;
    for n in 1..200 {
        if !ran.status.success() {
            break;
        }
        ran = create(n)?;
    }
    assert!(!ran.status.success(), "{ran}");
    assert!(world.gate().process().stderr().contains("the disk is full"), "{ran}");
    world.ssh("dev1", &["true"])?.success()?;
    fs::remove_file(filler)?;
    until("a write", COUNTS, || Ok(create(0)?.status.success()))
}

/// `tapgate start`, to its end.
fn start(config: &Path, command: Option<Command>) -> Result<Ran> {
    let Some(mut command) = command else { return tapgate(&["start", "--config", &config.display().to_string()]) };
    command.args(["start", "--config"]).arg(config);
    Process::start("tapgate", &mut command)?.finish(Duration::from_mins(1))
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named_at_the_start() -> Result<()> {
    let lab = Lab::new()?;
    lab.write("file", "")?;
    let below = config(&lab, "below.yaml", lab.port()?, lab.port()?, "file/data")?;
    let ran = start(&below, None)?.failure(1)?;
    assert!(ran.stderr.contains("can't make the data directory") && ran.stderr.contains("file/data"), "{ran}");

    let data = lab.dir("data")?;
    let file = config(&lab, "tapgate.yaml", lab.port()?, lab.port()?, "data")?;
    let read_only = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"";
    let ran = start(&file, Some(with_mounts(read_only, &data)?))?.failure(1)?;
    assert!(ran.stderr.contains("Read-only file system") && ran.stderr.contains("data"), "{ran}");
    assert!(!ran.stderr.contains("The gate is open"), "{ran}");
    Ok(())
}

#[test]
fn a_data_directory_that_others_can_write_is_refused() -> Result<()> {
    let lab = Lab::new()?;
    let data = lab.dir("data")?;
    let file = config(&lab, "tapgate.yaml", lab.port()?, lab.port()?, "data")?;
    for (mode, refused) in [(0o777, true), (0o702, true), (0o755, false)] {
        fs::set_permissions(&data, fs::Permissions::from_mode(mode))?;
        if refused {
            let ran = start(&file, None)?.failure(1)?;
            assert!(ran.stderr.contains("others can write into the data directory"), "{mode:o}: {ran}");
        } else {
            drop(tapgate_lab::Gate::start_again(&file)?);
        }
    }
    fs::set_permissions(data.join("secrets.key"), fs::Permissions::from_mode(0o644))?;
    let ran = start(&file, None)?.failure(1)?;
    assert!(ran.stderr.contains("others can read the key"), "{ran}");
    Ok(())
}
