//! Manual pages and completions, as the programs themselves write them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Where a shell's completions of a program lie below a system's root, or in dist/.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions", ""),
    ("zsh", "usr/share/zsh/vendor-completions", "_"),
    ("fish", "usr/share/fish/vendor_completions.d", ""),
];

/// Has a program write its manual pages into `usr/share/man/man1` below this folder, packed as Debian has them.
pub(crate) fn pages(program: &Path, stage: &Path) -> Result<()> {
    let folder = stage.join("usr/share/man/man1");
    let what = format!("manual pages of {}", program.display());
    cargo::run(&what, Command::new(program).arg("manual").arg(&folder))?;
    let written = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let files = written.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let fresh = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "1"));
    cargo::run("manual pages", Command::new("gzip").arg("-9nf").args(fresh))
}

/// Has a program write its completions for every shell that has a place for them.
pub(crate) fn completions(program: &Path, name: &str, stage: &Path) -> Result<()> {
    for (shell, place, before) in SHELLS {
        let said = Command::new(program).args(["completions", shell]).output();
        let said = said.with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(said.status.success(), "{name} writes no completions for {shell}");
        let after = if shell == "fish" { ".fish" } else { "" };
        let file = stage.join(place).join(format!("{before}{name}{after}"));
        let folder = file.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&file, said.stdout).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
