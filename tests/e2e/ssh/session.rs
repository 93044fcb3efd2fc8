//! What a session carries: exit statuses, streams, terminals.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::own_binary;

use crate::world::World;

/// Three megabytes, more than any window on the way, in lines that differ.
fn much() -> String {
    (0..100_000).map(|n| format!("line {n:024}\n")).collect::<Vec<_>>().concat()
}

#[test]
fn an_exec_passes_its_exit_status_and_keeps_the_streams_apart() -> Result<()> {
    let world = World::new()?;
    let ran = world.ssh("dev1", &["echo out; echo err >&2; exit 7"])?.failure(7)?;
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    world.ssh("dev1", &["true"])?.success()?;
    world.ssh("dev1", &["exit 255"])?.failure(255)?;
    Ok(())
}

#[test]
fn a_command_that_a_signal_ends_says_so() -> Result<()> {
    let world = World::new()?;
    let ran = world.ssh("dev1", &["kill -TERM $$", "--", "-v"])?.failure(255)?;
    assert!(ran.stderr.contains("rtype exit-signal"), "{ran}");
    Ok(())
}

#[test]
fn three_megabytes_pass_both_ways_to_their_end() -> Result<()> {
    let world = World::new()?;
    let much = much();
    let mut cat = world.start_ssh("dev1", &["cat"])?;
    cat.write(much.as_bytes())?;
    let ran = cat.finish(Duration::from_mins(1))?.success()?;
    assert!(ran.stdout == much, "{} bytes came back of {}", ran.stdout.len(), much.len());

    let mut count = world.start_ssh("dev1", &["wc -c; exit 3"])?;
    count.write(much.as_bytes())?;
    let ran = count.finish(Duration::from_mins(1))?.failure(3)?;
    assert_eq!(ran.stdout.trim(), much.len().to_string());
    Ok(())
}

#[test]
fn a_shell_has_a_terminal_that_follows_its_size() -> Result<()> {
    let world = World::new()?;
    let (tap, at) = (own_binary("tap")?, world.at("dev1"));
    let fifo = world.jerry.home().join("resize");
    let mkfifo = format!("mkfifo {f} && stty rows 40 cols 100", f = fifo.display());
    let resize = format!("read go < {}; stty rows 50 cols 120 < /dev/tty", fifo.display());
    let script = format!("{mkfifo}; ({resize}) & exec {} ssh {at}", tap.display());
    let shell = tapgate_lab::program("sh", "dash")?;
    let mut terminal = world.jerry.start_on_terminal(&shell, ["-c", &script])?;
    terminal.write(b"PS1=; stty -echo; echo size: $(stty size)\n")?;
    terminal.wait_for("size: 40 100")?;
    terminal.write(b"test -t 0 && test -t 1 && echo a ter''minal\n")?;
    terminal.wait_for("a terminal")?;
    std::fs::write(&fifo, "go\n")?;
    terminal.write(b"until [ \"$(stty size)\" = '50 120' ]; do :; done; echo res''ized\n")?;
    terminal.wait_for("resized")?;
    terminal.write(b"exit 5\n")?;
    terminal.finish(Duration::from_secs(30))?.failure(5)?;
    Ok(())
}

#[test]
fn files_are_copied_unless_the_role_says_no() -> Result<()> {
    let mut world = World::new()?;
    let (file, copy) = (world.lab.write("file", &much())?, world.lab.path().join("copy"));
    let scp = |world: &World| {
        let mut arguments = vec!["-F".to_owned(), world.jerry.home().join("ssh_config").display().to_string()];
        arguments.extend(world.login_options(true, "dev1").into_iter().filter(|word| word != "-T"));
        arguments.extend([file.display().to_string(), format!("localhost:{}", copy.display())]);
        world.jerry.start(&tapgate_lab::program("scp", "openssh-client")?, arguments)?.finish(Duration::from_mins(1))
    };
    scp(&world)?.success()?;
    assert!(std::fs::read(&copy)? == std::fs::read(&file)?);
    std::fs::remove_file(&copy)?;

    world.put(&world.role("access-dev", "dev", "ssh_file_copy: false"))?;
    let refused = scp(&world)?;
    assert!(!refused.status.success() && !copy.exists(), "{refused}");
    world.ssh("dev1", &["true"])?.success()?;
    assert!(world.stop()?.success());
    Ok(())
}
