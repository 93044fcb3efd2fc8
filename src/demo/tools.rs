//! Runs `tap` and `tapctl` for a demo user, each with a home of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// How long one command of the demo may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// A demo user's commands.
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    pub(super) key: PathBuf,
    pub(super) password: PathBuf,
    bin: PathBuf,
}

/// What a command said, in text.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl User {
    pub(super) fn new(dir: &Path, name: &'static str) -> Result<Self> {
        let home = dir.join(name);
        std::fs::create_dir_all(&home).with_context(|| format!("can't make {}", home.display()))?;
        let password = home.join("password");
        let secret = hex::encode(rand::random::<[u8; 12]>());
        write_private(&password, &secret)?;
        let key = dir.join("keys").join(name);
        std::fs::create_dir_all(dir.join("keys")).context("can't make the directory of the software keys")?;
        let bin = std::env::current_exe()?.parent().context("the program has no directory")?.to_owned();
        Ok(Self { name, home: home.join("tap"), key, password, bin })
    }

    /// A thief's copy of this user's files: all of them, but no key to tap.
    pub(super) fn thief(&self, dir: &Path) -> Result<Self> {
        let home = dir.join("elsewhere");
        copy(&self.home, &home)?;
        let (key, password) = (dir.join("the-thief-has-no-key"), self.password.clone());
        Ok(Self { name: self.name, home, key, password, bin: self.bin.clone() })
    }

    /// The lines that make a shell this user's.
    pub(super) fn exports(&self) -> String {
        format!(
            "export PATH={}:$PATH\nexport TAP_HOME={}\nexport TAP_SOFTWARE_KEY={}\nexport TAP_PASSWORD_FILE={}",
            self.bin.display(),
            self.home.display(),
            self.key.display(),
            self.password.display()
        )
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, program: &str, arguments: &[&str]) -> Result<Said> {
        let path = self.bin.join(program);
        if !path.exists() {
            bail!("{} is missing beside tapgate (build it with `cargo build --workspace`)", path.display());
        }
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env("TAP_HOME", &self.home)
            .env("TAP_PASSWORD_FILE", &self.password)
            .env("XDG_RUNTIME_DIR", self.home.parent().unwrap_or(&self.home))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.key.exists() || program == "tap" && arguments.first() == Some(&"enrol") {
            command.env("TAP_SOFTWARE_KEY", &self.key);
        }
        let output = tokio::time::timeout(COMMAND_MAX, command.output()).await;
        let output = output.with_context(|| format!("{program} {} took too long", arguments.join(" ")))??;
        Ok(Said::from(&output))
    }

    /// Runs a command that must succeed.
    pub(super) async fn must(&self, program: &str, arguments: &[&str]) -> Result<Said> {
        let said = self.run(program, arguments).await?;
        if said.code != 0 {
            bail!("{program} {} failed for {}: {}{}", arguments.join(" "), self.name, said.stdout, said.stderr);
        }
        Ok(said)
    }
}

impl From<&Output> for Said {
    fn from(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("can't write {}", path.display()))
}

/// Copies a directory as a thief would: every file that can be read.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("can't read {}", from.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
