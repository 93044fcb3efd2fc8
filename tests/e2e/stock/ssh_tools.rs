//! What calls ssh by itself and lets nobody type: scp, sftp, rsync, git and Ansible.

use std::path::Path;

use anyhow::{Context as _, Result};
use tapgate_lab::{Client, Process, program, python_program};

use super::approver::{Approver, Asked, REST};

fn at(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn tools_that_call_ssh_are_asked_on_their_stderr() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let config = approver.ssh_config(&world)?;
    let ssh = format!("ssh -F {config}");
    let folder = world.lab.dir("stock-files")?;
    let local = world.lab.write("local.txt", "what is copied\n")?;
    let batch = world.lab.write("batch", &format!("put {} {}\n", at(&local), at(&folder.join("by-sftp"))))?;
    let bare = at(&folder.join("bare"));
    let git = program("git", "git")?;
    approver.ann.start(&git, ["init", "--quiet", "--bare", &bare])?.finish(REST)?.success()?;
    let client: Client = approver.ann.clone().with("GIT_SSH_COMMAND", ssh.as_str());
    let run = |name: &str, words: &[&str]| -> Result<()> {
        let tool: Process = client.start(&program(name, name)?, words)?;
        approver.approve(&Asked::of(&tool)?)?;
        tool.finish(REST)?.success().map(drop)
    };
    run("scp", &["-B", "-F", &config, &at(&local), &format!("prod3:{}", at(&folder.join("by-scp")))])?;
    run("sftp", &["-F", &config, "-b", &at(&batch), "prod3"])?;
    run("rsync", &["-e", &ssh, &at(&local), &format!("prod3:{}", at(&folder.join("by-rsync")))])?;
    run("git", &["clone", &format!("prod3:{bare}"), &at(&folder.join("clone"))])?;
    for name in ["by-scp", "by-sftp", "by-rsync"] {
        assert_eq!(std::fs::read_to_string(folder.join(name))?, "what is copied\n", "{name}");
    }
    assert!(folder.join("clone/.git").is_dir());
    Ok(())
}

/// Ansible keeps what ssh says to itself until the end, so a wrapper lets it be read, as an operator's would.
#[test]
fn ansible_is_held_and_goes_on_and_under_the_opt_in_finds_the_tap_of_before() -> Result<()> {
    let (world, approver) = Approver::in_prod()?;
    let config = approver.ssh_config(&world)?;
    let said = world.lab.write("said", "")?;
    let wrapper = format!("#!/bin/bash\nexec ssh -F {config} \"$@\" 2> >(tee -a {} >&2)\n", said.display());
    let wrapper = world.lab.write("ssh-wrapper", &wrapper)?;
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let client = approver
        .ann
        .clone()
        .with("ANSIBLE_SSH_EXECUTABLE", &wrapper)
        .with("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")
        .with("ANSIBLE_HOME", approver.ann.home().join("ansible"))
        .with("LC_ALL", "C.UTF-8")
        .with("ANSIBLE_NOCOLOR", "1");
    let words = ["-i", "prod3,", "all", "-m", "raw", "-a", "echo from-ansible"];
    let ansible = || client.start(&python_program("ansible")?, words);
    let held = ansible()?;
    let mut asked = None;
    crate::world::until("Ansible's ssh to be asked", REST, || {
        asked = Asked::read(&std::fs::read_to_string(&said)?);
        Ok(asked.is_some())
    })?;
    approver.approve(&asked.context("nothing was asked")?)?;
    let ran = held.finish(REST)?.success()?;
    assert!(ran.stdout.contains("from-ansible"), "{ran}");

    world.put_prod_options("require_session_mfa: true, session_mfa_reuse: login_key")?;
    let first = approver.ssh(&world, &["true"])?;
    let asked = Asked::of(&first)?;
    approver.open(&asked)?;
    approver.browser.wait_for("ANY connection with your login key from 127.0.0.1")?;
    approver.approve(&asked)?;
    first.finish(REST)?.success()?;
    let ran = ansible()?.finish(REST)?.success()?;
    assert!(ran.stdout.contains("from-ansible"), "{ran}");
    Ok(())
}
