//! `tapgate bench`: becomes `tap bench`. The load is a client's, and so are the keys and certificates it shows.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Error, anyhow};

/// Becomes the client that drives the load; comes back only where there is none.
pub(crate) fn become_it(words: &[OsString]) -> Error {
    let error = Command::new(program()).arg("bench").args(words).exec();
    anyhow!("can't start `tap`, which drives the load: {error} (install tapgate-client, or put `tap` beside `tapgate`)")
}

/// The client of this very build where it lies beside the gate, else the one that a shell would find.
fn program() -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join("tap"))).filter(|path| path.is_file());
    beside.unwrap_or_else(|| PathBuf::from("tap"))
}
