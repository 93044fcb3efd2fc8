//! The certificate authority of the edge tests (Pebble, by the makers of Let's Encrypt): built once from its published
//! Go module, below the user's cache.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, cargo};

/// The folder below the cache, with the number of its recipe; the same stands in the lab. A change of
/// `tests/lab/pebble` wants another number.
const FOLDER: &str = "tapgate/pebble-1";

/// What is built.
const PROGRAMS: [&str; 2] = ["pebble", "pebble-challtestsrv"];

/// Builds what is not there.
pub(crate) fn run(go: &Path) -> Result<()> {
    let folder = cache::folder("TAPGATE_PEBBLE", FOLDER)
        .context("there is neither XDG_CACHE_HOME nor HOME (set one, or TAPGATE_PEBBLE)")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let source = cargo::root()?.join("tests/lab/pebble");
    ensure!(source.is_dir(), "{} is not there", source.display());
    for name in PROGRAMS {
        let path = folder.join(name);
        if !path.is_file() {
            let package = format!("github.com/letsencrypt/pebble/v2/cmd/{name}");
            println!("missing: {name}, for the edge tests (built from {package})");
            // Under another name until it is whole, so that an interrupted build is none.
            let fresh = folder.join(format!("{name}.new"));
            let mut command = Command::new(go);
            command.current_dir(&source).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
            command.args(["build", "-p", "2", "-trimpath", "-o"]).arg(&fresh).arg(&package);
            cargo::run(&format!("go build {package}"), &mut command)?;
            std::fs::rename(&fresh, &path).with_context(|| format!("cannot keep {}", path.display()))?;
        }
        println!("found: {} for the edge tests", path.display());
    }
    Ok(())
}
