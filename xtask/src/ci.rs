//! Everything that must hold before a change is merged.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, graph, house, suites, web};

/// Runs the checks, the quick ones first.
pub(crate) fn run() -> Result<()> {
    cargo::run("formatting", &mut cargo::cargo(&["fmt", "--all", "--", "--check"])?)?;
    println!("==> crate graph");
    graph::run()?;
    println!("==> house rules");
    house::run()?;
    web::check()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo::run("clippy", &mut cargo::cargo(&clippy)?)?;
    licences_and_advisories()?;
    suites::run_all()
}

/// cargo-deny is a convenience of the developer's machine. What it can tell without the network must hold;
/// the advisories are asked for where their database can be reached, and it is said where not.
fn licences_and_advisories() -> Result<()> {
    if !cargo::starts("cargo-deny", "--version") {
        println!("==> cargo-deny: not installed, not run (`cargo install cargo-deny --locked` brings it)");
        return Ok(());
    }
    deny("licences, bans and sources", &["check", "licenses", "bans", "sources"])?;
    if deny("fetching the advisories", &["fetch", "db"]).is_err() {
        println!("==> advisories: not checked (their database cannot be reached)");
        return Ok(());
    }
    deny("advisories", &["check", "--disable-fetch", "advisories"])
}

fn deny(what: &str, arguments: &[&str]) -> Result<()> {
    // Duplicates are warned of at length; here only errors are of interest.
    let mut command = Command::new("cargo-deny");
    cargo::run(what, command.current_dir(cargo::root()?).args(["--workspace", "--log-level", "error"]).args(arguments))
}
