//! The binaries in use: the demo, the benchmarks, the release build.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cargo, deb, manual};

/// The programs that are shipped.
const BINARIES: [&str; 3] = ["tapgate", "tap", "tapctl"];

/// What goes into dist/ beside them.
const PAPERS: [&str; 6] = [
    "LICENSE",
    "SECURITY.md",
    "CHANGELOG.md",
    "deploy/tapgate.service",
    "deploy/sysusers.d/tapgate.conf",
    "deploy/tmpfiles.d/tapgate.conf",
];

/// Builds, then becomes `tapgate demo`: signals and the exit status are the demo's own.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    let binaries = cargo::build_everything()?;
    let gate = binaries.join("tapgate");
    println!("==> tapgate demo {}", arguments.join(" "));
    let error = Command::new(&gate).arg("demo").args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", gate.display()))
}

/// Runs the benchmarks, and has them write what they find into docs/.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let docs = cargo::root()?.join("docs");
    // Some benches run the real programs: the gate, and the client that sets its people up.
    let build = ["build", "--release", "--workspace", "--bins"];
    cargo::run("building the binaries (this takes many minutes)", &mut cargo::cargo(&build)?)?;
    // Of two benches the second runs as well when the first has missed its goal.
    let mut command = cargo::cargo(&["bench", "-p", "tapgate-benches", "--benches", "--no-fail-fast", "--"])?;
    cargo::run("benchmarks (a release build comes first)", command.arg("--write").arg(docs).args(arguments))
}

/// Builds for release and collects the result.
pub(crate) fn dist() -> Result<()> {
    let build = ["build", "--release", "--locked", "-p", "tapgate", "-p", "tapgate-client", "--bins"];
    cargo::run("release build (this takes many minutes)", &mut cargo::cargo(&build)?)?;
    let root = cargo::root()?;
    let release = cargo::target_dir()?.join("release");
    let dist = root.join("dist");
    fs::create_dir_all(&dist).context("cannot make dist/")?;
    for name in BINARIES {
        copy(&release.join(name), &dist.join(name))?;
        manual::pages(&release.join(name), &dist)?;
    }
    for name in ["tap", "tapctl"] {
        manual::completions(&release.join(name), name, &dist)?;
    }
    for paper in PAPERS {
        copy(&root.join(paper), &dist.join(paper))?;
    }
    static_client(&dist)?;
    if Command::new("dpkg-deb").arg("--version").output().is_ok() {
        deb::run(&["--out".to_owned(), dist.display().to_string()])?;
    } else {
        println!("note: there is no dpkg-deb here, so there are no Debian packages");
    }
    println!("dist: {}", dist.display());
    Ok(())
}

/// The client without a C library of the system's, where the tools for it are installed.
fn static_client(dist: &Path) -> Result<()> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", &target]).output();
    let libraries = rustc.ok().filter(|said| said.status.success());
    let there = libraries.is_some_and(|said| Path::new(String::from_utf8_lossy(&said.stdout).trim()).is_dir());
    if !there || Command::new("musl-gcc").arg("--version").output().is_err() {
        println!("note: no static client (it needs `rustup target add {target}` and musl-gcc)");
        return Ok(());
    }
    let build = ["build", "--release", "--locked", "-p", "tapgate-client", "--bins", "--target", &target];
    cargo::run("static client", &mut cargo::cargo(&build)?)?;
    for name in ["tap", "tapctl"] {
        let program = cargo::target_dir()?.join(&target).join("release").join(name);
        copy(&program, &dist.join("static").join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
