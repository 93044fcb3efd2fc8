//! Running cargo and other programs, and where the repository and its target directory are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The repository that this command was started in.
///
/// The variable of the running process goes first: a binary in a shared target directory may have been
/// compiled in another clone.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let folder = PathBuf::from(manifest);
    Ok(folder.parent().context("xtask lies in no repository")?.to_path_buf())
}

/// A cargo command in the repository's root.
pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: &[A]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?).args(arguments);
    // `cargo run` tells us about xtask's own package; a nested cargo must not take that for its own.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Says what runs, runs it, and fails when it fails.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("==> {what}");
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(status.success(), "{what}: failed ({status})");
    Ok(())
}

/// The directory that cargo builds into, from cargo itself: environment and configuration count.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"])?
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo metadata failed ({})", output.status);
    let text = String::from_utf8(output.stdout).context("cargo metadata answered no UTF-8")?;
    string_field(&text, "target_directory").map(PathBuf::from)
}

/// Builds the project's binaries and answers the directory they are in. The libraries are named too: the one that OpenSSH
/// loads in the tests (`tests/skprovider`) is linked into nothing.
///
/// The selection is the whole workspace with its tests, as in every other command here: a smaller one would
/// choose other features for the dependencies and compile them a second time.
pub(crate) fn build_everything() -> Result<PathBuf> {
    let what = "building the binaries and the tests (a first build takes some minutes)";
    run(what, &mut cargo(&["build", "--workspace", "--lib", "--bins", "--tests"])?)?;
    Ok(target_dir()?.join("debug"))
}

/// Whether a program answers to `--version` or at least starts.
pub(crate) fn starts(program: impl AsRef<Path>, argument: &str) -> bool {
    Command::new(program.as_ref())
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The first string field of this name in a JSON text.
fn string_field(json: &str, name: &str) -> Result<String> {
    let key = format!("\"{name}\":\"");
    let start = json.find(&key).with_context(|| format!("cargo metadata has no {name}"))? + key.len();
    let mut value = String::new();
    let mut rest = json.get(start..).unwrap_or_default().chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Ok(value),
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\\' | '/')) => value.push(escaped),
                other => bail!("{name} holds an escape that is not read here: {other:?}"),
            },
            plain => value.push(plain),
        }
    }
    bail!("{name} does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read() {
        let json = r#"{"a":1,"target_directory":"/x/\"y\\z","b":"c"}"#;
        assert_eq!(string_field(json, "target_directory").unwrap(), "/x/\"y\\z");
        assert_eq!(string_field(json, "b").unwrap(), "c");
        assert!(string_field(json, "d").is_err());
        assert!(string_field(r#"{"a":"b"#, "a").is_err());
        assert!(string_field(r#"{"a":"\n"}"#, "a").is_err());
    }

    #[test]
    fn the_root_has_the_workspace() {
        assert!(root().unwrap().join("xtask/Cargo.toml").exists());
    }
}
