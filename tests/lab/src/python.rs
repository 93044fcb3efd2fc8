//! Clients and servers that are written in Python: in an environment of their own, which `cargo xtask setup` makes.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::missing::cached;

/// The environment's folder below the cache, with the number of its recipe; the same stands in xtask.
const FOLDER: &str = "tapgate/python-5";

/// A program of that environment, such as `python` or `ansible-playbook`.
pub fn python_program(name: &str) -> Result<PathBuf> {
    let path = cached("TAPGATE_PYTHON", FOLDER).map(|folder| folder.join("bin").join(name));
    match path.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("{name} is not installed for the tests (run `cargo xtask setup`)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let error = python_program("a-program-of-nobody").unwrap_err().to_string();
        assert!(error.contains("cargo xtask setup"), "{error}");
    }
}
