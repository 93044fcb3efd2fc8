//! The pages: built from web/ into web/dist, which is committed, so that cargo alone builds the gate.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Checks the sources and builds them into web/dist.
pub(crate) fn build() -> Result<()> {
    ensure!(has_node(), "node and npm were not found (install Node 20 or later; the committed pages need neither)");
    install()?;
    cargo::run("checking the pages", npm()?.args(["run", "check"]))?;
    cargo::run("building the pages", npm()?.args(["run", "build"]))
}

/// Builds them beside and compares, where there is Node; says so where there is none.
pub(crate) fn check() -> Result<()> {
    if !has_node() {
        println!("==> pages: not checked (there is no Node)");
        return Ok(());
    }
    if install().is_err() {
        println!("==> pages: not checked (their tools cannot be fetched)");
        return Ok(());
    }
    cargo::run("checking the pages", npm()?.args(["run", "check"]))?;
    let (web, fresh) = (cargo::root()?.join("web"), cargo::target_dir()?.join("web-dist"));
    let build = ["run", "build", "--", "--emptyOutDir", "--outDir"];
    cargo::run("building the pages", npm()?.args(build).arg(&fresh))?;
    let stale = differences(&fresh, &web.join("dist"))?;
    ensure!(stale.is_empty(), "web/dist is not what web/ makes: {} (run `cargo xtask web`)", stale.join(", "));
    println!("pages: web/dist is current");
    Ok(())
}

fn has_node() -> bool {
    cargo::starts("node", "--version") && cargo::starts("npm", "--version")
}

/// Exactly the tools in the lock file; once, as long as it does not change.
fn install() -> Result<()> {
    let web = cargo::root()?.join("web");
    let changed = |name: &str| fs::metadata(web.join(name)).and_then(|entry| entry.modified());
    let is_current = changed("node_modules/.package-lock.json")
        .is_ok_and(|installed| changed("package-lock.json").is_ok_and(|locked| installed >= locked));
    if is_current {
        return Ok(());
    }
    cargo::run("fetching the pages' tools", npm()?.args(["ci", "--no-audit", "--no-fund"]))
}

fn npm() -> Result<Command> {
    let mut command = Command::new("npm");
    command.current_dir(cargo::root()?.join("web"));
    Ok(command)
}

/// The names of the files that differ or are on one side only.
fn differences(fresh: &Path, committed: &Path) -> Result<Vec<String>> {
    let mut names = [names(fresh)?, names(committed)?].concat();
    names.sort();
    names.dedup();
    names.retain(|name| fs::read(fresh.join(name)).ok() != fs::read(committed.join(name)).ok());
    Ok(names)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_are_named() {
        let dist = cargo::root().unwrap().join("web/dist");
        assert_eq!(differences(&dist, &dist).unwrap(), Vec::<String>::new());
        let other = cargo::root().unwrap().join("web/public");
        let stale = differences(&dist, &other).unwrap();
        assert!(stale.contains(&"page.js".to_owned()) && !stale.contains(&"icon.svg".to_owned()), "{stale:?}");
    }
}
