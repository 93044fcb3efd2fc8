//! The clients and the servers that are written in Python: an environment below the user's cache, made once and used by the tests.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{cache, cargo};

/// The environment's folder below the cache, with the number of its recipe; the same stands in the lab.
const FOLDER: &str = "tapgate/python-5";

/// What is in it, at fixed versions. `cryptography`, with which the audit log is verified a second time, comes along.
/// A change of these wants another number above.
const PACKAGES: [&str; 8] = [
    "ansible-core==2.19.14",
    "paramiko==5.1.0",
    "asyncssh==2.24.1",
    "kubernetes==36.0.3",
    "psycopg==3.3.9",
    "psycopg-binary==3.3.9",
    "asyncpg==0.32.0",
    "moto[server]==5.2.5",
];

/// The file that says that all of it is there.
const DONE: &str = "complete";

/// Makes the environment where it is not there.
pub(crate) fn run(python: &Path) -> Result<()> {
    let folder = cache::folder("TAPGATE_PYTHON", FOLDER)
        .context("there is neither XDG_CACHE_HOME nor HOME (set one, or TAPGATE_PYTHON)")?;
    if !folder.join(DONE).is_file() {
        println!("missing: {}, for the tests (other clients)", PACKAGES.join(", "));
        // What an interrupted run has left is no environment.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        cargo::run("python3 -m venv", Command::new(python).args(["-m", "venv"]).arg(&folder))?;
        let pip = folder.join("bin/python");
        let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        cargo::run("pip install", Command::new(pip).args(words).args(PACKAGES))?;
        std::fs::write(folder.join(DONE), PACKAGES.join("\n"))?;
    }
    println!("found: {} for the tests (other clients)", folder.display());
    Ok(())
}
