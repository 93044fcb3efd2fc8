//! A user's machine: a private home, the client's commands and the system's ssh.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, ensure};

use crate::{Lab, Process, limits, own_binary, program};

/// One user's own home and software key.
#[derive(Debug, Clone)]
pub struct Client {
    home: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// What ran.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Ran {
    /// Itself if it succeeded; else an error with all it said.
    pub fn success(self) -> Result<Self> {
        ensure!(self.status.success(), "{self}");
        Ok(self)
    }

    /// Itself if it failed with this exit status; else an error with all it said.
    pub fn failure(self, code: i32) -> Result<Self> {
        ensure!(self.status.code() == Some(code), "expected exit status {code}: {self}");
        Ok(self)
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, status, stdout, stderr } = self;
        write!(
            f,
            "{name} ended with {status}\n--- its standard output\n{stdout}\n--- its standard error\n{stderr}\n---"
        )
    }
}

impl Client {
    /// A new home with a software key of its own, which stands for a security key and taps at once.
    pub fn new(lab: &Lab, name: &str) -> Result<Self> {
        let home = lab.dir(&format!("home-{name}"))?;
        let ssh_config = home.join("ssh_config");
        std::fs::write(&ssh_config, ssh_config_text(&home)).context("cannot write an ssh_config")?;
        let key = home.join("software-key.json");
        let client = Self { home, variables: Vec::new() };
        Ok(client.with("TAP_SOFTWARE_KEY", key))
    }

    /// The same home with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The same home without a security key at hand: a copied disk.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.variables.retain(|(name, _)| name != "TAP_SOFTWARE_KEY");
        self
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The directory of the client's files.
    pub fn tap_home(&self) -> PathBuf {
        self.home.join(".tap")
    }

    /// Runs `tap` to its end.
    pub fn tap<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Ran> {
        self.start(&own_binary("tap")?, arguments)?.finish(limits::COMMAND)
    }

    /// Runs `tapctl` to its end.
    pub fn tapctl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Ran> {
        self.start(&own_binary("tapctl")?, arguments)?.finish(limits::COMMAND)
    }

    /// Runs the system's ssh to its end, with this home's configuration alone.
    pub fn ssh<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Ran> {
        self.start_ssh(arguments)?.finish(limits::COMMAND)
    }

    /// Starts the system's ssh, with this home's configuration alone.
    pub fn start_ssh<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Process> {
        let own = [OsString::from("-F"), self.home.join("ssh_config").into_os_string()];
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_os_string());
        self.start(&program("ssh", "openssh-client")?, own.into_iter().chain(arguments))
    }

    /// Starts any program as this user; its input stays open.
    pub fn start<A: AsRef<OsStr>>(&self, path: &Path, arguments: impl IntoIterator<Item = A>) -> Result<Process> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Process::start(&name, self.surround(&mut Command::new(path)).args(arguments))
    }

    /// Starts any program as this user on a terminal of its own: prompts, passwords, full-screen programs.
    pub fn start_on_terminal<A: AsRef<OsStr>>(
        &self,
        path: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Process> {
        let words = std::iter::once(path.as_os_str().to_os_string())
            .chain(arguments.into_iter().map(|argument| argument.as_ref().to_os_string()));
        let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Whoever runs the tests in the background of a script has Ctrl-C ignored, and so would all that is started here.
        let mut script = Command::new(program("env", "coreutils")?);
        script.args(["--default-signal=INT,QUIT"]).arg(program("script", "bsdutils")?);
        script.args(["-q", "-e", "-c", &line.join(" "), "/dev/null"]);
        Process::start(&format!("{name} on a terminal"), self.surround(&mut script))
    }

    /// Nothing of the surroundings goes in but what is named: neither an agent nor a display of whoever runs
    /// the tests.
    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let kept = ["PATH", "LANG", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command
            .env_clear()
            .envs(kept)
            .env("HOME", &self.home)
            .env("TAP_HOME", self.tap_home())
            .env("SHELL", "/bin/sh")
            .env("TERM", "dumb")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.home)
    }
}

/// ssh takes the home directory from the user database, not from HOME: everything private is named here.
fn ssh_config_text(home: &Path) -> String {
    let known_hosts = home.join("known_hosts");
    format!(
        "Host *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  \
         IdentitiesOnly yes\n  IdentityAgent none\n  PasswordAuthentication no\n  \
         KbdInteractiveAuthentication no\n  ControlPath none\n  UpdateHostKeys no\n",
        known_hosts.display()
    )
}

/// A word as a POSIX shell takes it literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_private() {
        let lab = Lab::new().unwrap();
        let client = Client::new(&lab, "jerry").unwrap().with("COLOUR", "blue");
        let shell = program("sh", "dash").unwrap();
        let say = "echo $HOME; echo $TAP_HOME; echo $COLOUR; echo $SSH_AUTH_SOCK; test -n \"$TAP_SOFTWARE_KEY\"";
        let ran = client.start(&shell, ["-c", say]).unwrap().finish(limits::COMMAND).unwrap().success().unwrap();
        let home = client.home().display();
        assert_eq!(ran.stdout, format!("{home}\n{home}/.tap\nblue\n\n"));
        let ran = client.without_key().start(&shell, ["-c", say]).unwrap().finish(limits::COMMAND).unwrap();
        ran.failure(1).unwrap();
    }

    #[test]
    fn a_terminal_is_a_terminal() {
        let lab = Lab::new().unwrap();
        let client = Client::new(&lab, "jerry").unwrap();
        let shell = program("sh", "dash").unwrap();
        let ask = "test -t 0 && printf 'it'\"'\"'s you? '; read answer; echo \"so: $answer\"; exit 3";
        let mut process = client.start_on_terminal(&shell, ["-c", ask]).unwrap();
        process.wait_for("it's you? ").unwrap();
        process.write(b"yes\n").unwrap();
        process.wait_for("so: yes").unwrap();
        process.finish(limits::COMMAND).unwrap().failure(3).unwrap();
    }
}
