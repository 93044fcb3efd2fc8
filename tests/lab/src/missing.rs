//! Finding the programs that the lab runs; what is missing is named, with the way to get it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where programs are that an ordinary user's PATH may leave out: sshd is one.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program of the system, by its name; the package is what Debian calls its bringer.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    match folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file()) {
        Some(found) => Ok(found),
        None => bail!("{name} was not found (install the package {package}, or run `cargo xtask setup`)"),
    }
}

/// One of the project's own binaries: in `TAPGATE_BIN_DIR`, or beside the folder of the running test.
pub fn own_binary(name: &str) -> Result<PathBuf> {
    built(name, "cargo build --workspace --bins")
}

/// One of the project's own shared libraries, which lie beside the binaries: where it really is, without links.
pub fn own_library(name: &str) -> Result<PathBuf> {
    let path = built(&format!("lib{name}.so"), "cargo build --workspace")?;
    path.canonicalize().with_context(|| format!("{} has no real path", path.display()))
}

/// A file that cargo has built, or how it is built.
fn built(name: &str, by: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("TAPGATE_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => folder_of_binaries()?,
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!("{} is not built (run `{by}`, or the tests by `cargo xtask test`)", path.display());
    }
    Ok(path)
}

/// The folder whose `node_modules` holds this npm package in this version, as `cargo xtask setup` has made it:
/// `$TAPGATE_NODE_CACHE`, else below the user's cache.
pub fn node_package(name: &str, version: &str) -> Result<PathBuf> {
    let cache = cached("TAPGATE_NODE_CACHE", "tapgate/node");
    let cache = cache.context("neither HOME nor XDG_CACHE_HOME says where the cache is")?;
    let folder = cache.join(format!("{name}-{version}"));
    if folder.join("node_modules").join(name).join("package.json").is_file() {
        return Ok(folder);
    }
    bail!("{name} {version} was not found in {} (run `cargo xtask setup`)", folder.display())
}

/// A path in the environment.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// What `cargo xtask setup` keeps for the tests: where this variable says, else this folder below `XDG_CACHE_HOME`,
/// else below `~/.cache`. The same stands in xtask.
pub(crate) fn cached(name: &str, folder: &str) -> Option<PathBuf> {
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    variable(name).or_else(|| cache().map(|cache| cache.join(folder)))
}

/// Tests run from `…/debug/deps`; the binaries are in `…/debug`.
fn folder_of_binaries() -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot tell where the running test is")?;
    let folder = test.parent().and_then(Path::parent).context("the running test is in no target directory")?;
    Ok(folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_bringer() {
        let error = program("sshd-of-nowhere", "openssh-server").unwrap_err().to_string();
        assert!(error.contains("openssh-server") && error.contains("cargo xtask setup"), "{error}");
        assert!(program("sh", "dash").is_ok());
    }

    #[test]
    fn a_missing_binary_says_how_it_is_built() {
        for error in [own_binary("tapgate-of-nowhere").unwrap_err(), own_library("of_nowhere").unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("cargo build --workspace"), "{error}");
        }
    }
}
