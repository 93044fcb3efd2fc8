//! The command lines of `tap` and `tapctl`, and what every command needs.

pub mod add;
pub mod admin;
pub mod audit;
pub mod auth;
pub mod db;
pub mod desktop;
pub mod edit;
pub mod invite;
pub mod kube;
pub mod lock;
pub mod mfa;
pub mod otp;
pub mod output;
pub mod password;
pub mod play;
pub mod resources;
pub mod sessions;
pub mod ssh_key;
pub mod tap;
pub mod tapctl;
pub mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, Parser};
use tapgate_model::{Clock as _, SystemClock, UserName};
use url::Url;

use crate::ceremony;
use crate::error::{Act as _, Failure, Result};
use crate::find::find;
use crate::gate_addr::GateAddr;
use crate::http::Http;
use crate::keys::LoginFiles;
use crate::profile::{Home, Profile};
use crate::solver::{self, Means, MfaMode};
use crate::tls::Tls;

pub use output::Format;

/// The flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The gate, as HOST:PORT; without it, the one that was logged in to last
    #[arg(long, visible_alias = "proxy", global = true, env = "TAP_GATE", value_name = "HOST:PORT")]
    pub gate: Option<GateAddr>,
    /// How to tap: a security key (cross-platform), the identity provider (sso), the browser (browser), a browser on
    /// another machine (paste, where the cluster allows it), codes for login (otp), or whichever is there (auto)
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "MODE")]
    pub mfa_mode: MfaMode,
    /// A file that acts as the security key, for tests and demos only
    #[arg(long, global = true, env = "TAP_SOFTWARE_KEY", value_name = "PATH")]
    pub software_key: Option<PathBuf>,
    /// Neither use nor keep windows: every session asks for its own tap
    #[arg(long, global = true)]
    pub no_agent: bool,
    /// How lists are written
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub format: Format,
}

impl Global {
    /// What answers taps.
    pub fn means(&self) -> Result<Means> {
        solver::choose(self.mfa_mode, self.software_key.clone())
    }
}

/// What a command of somebody who is logged in works with.
pub struct Context {
    /// The client's folders.
    pub home: Home,
    /// The gate, and who is logged in there.
    pub profile: Profile,
    /// Whether the agent is left alone.
    pub no_agent: bool,
    global: Global,
}

impl Context {
    /// The chosen gate's profile. A user who is named must be the one who is logged in.
    pub fn new(global: &Global, user: Option<&UserName>) -> Result<Self> {
        let home = Home::from_env()?;
        let profile = home.chosen(global.gate.as_ref())?;
        if let (Some(wanted), Some(known)) = (user, &profile.user)
            && wanted != known
        {
            return Err(Failure::new(format!("{known}, not {wanted}, is logged in at {}", profile.gate))
                .advise(format!("run tap login --gate {} --user {wanted}", profile.gate)));
        }
        Ok(Self { home, profile, no_agent: global.no_agent, global: global.clone() })
    }

    /// The user, where the login still holds.
    pub fn user(&self) -> Result<&UserName> {
        self.profile.logged_in(SystemClock.now())
    }

    /// The login's files.
    pub fn login_files(&self) -> LoginFiles {
        LoginFiles::within(&self.home.keys(&self.profile.gate))
    }

    /// TLS with the login certificate.
    pub fn tls(&self) -> Result<Tls> {
        self.user()?;
        Tls::with_login(self.profile.gate.clone(), &self.profile.ca_pin, &self.login_files())
    }

    /// Requests with the login certificate.
    pub fn with_login(&self) -> Result<Http> {
        self.tls().map(Http::new)
    }

    /// The origin that taps are made for.
    pub async fn origin(&self) -> Result<Url> {
        let http = Http::new(Tls::anonymous(self.profile.gate.clone(), &self.profile.ca_pin));
        let find = find(&http).await?;
        ceremony::origin(&self.profile.gate, &find.auth)
    }

    /// What answers taps.
    pub fn means(&self) -> Result<Means> {
        self.global.means()
    }

    /// Whether a session is to be tapped for at the identity provider: it was asked for, or the login came from there
    /// and no security key is at hand.
    pub fn wants_sso(&self) -> bool {
        match self.global.mfa_mode {
            MfaMode::Sso => true,
            MfaMode::Auto => {
                self.profile.connector.is_some() && self.global.software_key.is_none() && !cfg!(feature = "fido-usb")
            }
            MfaMode::CrossPlatform | MfaMode::Platform | MfaMode::Browser | MfaMode::Paste | MfaMode::Otp => false,
        }
    }

    /// Whether the identity provider may make the tap where no key of the user's is registered.
    pub fn may_use_sso(&self) -> bool {
        matches!(self.global.mfa_mode, MfaMode::Auto | MfaMode::Sso)
    }

    /// What answers for a key that is new: the software key in this file, the browser, or the hardware.
    pub fn new_key(&self, software_key: Option<PathBuf>) -> Result<Means> {
        let by_browser = matches!(self.global.mfa_mode, MfaMode::Browser | MfaMode::Paste);
        if !by_browser && software_key.is_none() && self.global.software_key.is_some() {
            return Err(Failure::new("the software key is registered already")
                .advise("name a file for the new one with --new-software-key PATH, or leave --software-key away"));
        }
        solver::choose(self.global.mfa_mode, software_key)
    }

    /// How lists are written.
    pub const fn format(&self) -> Format {
        self.global.format
    }
}

/// Reads the command line. What is wrong with it is told as every other error is; help and version
/// are no errors.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // A reader that has seen enough is no failure.
            error.print().ok();
            return ExitCode::SUCCESS;
        }
        let text = error.render().to_string();
        match text.strip_prefix("error: ") {
            Some(what) => eprintln!("ERROR: {}", what.trim_end()),
            // No command at all is answered with the help.
            None => eprintln!("{}", text.trim_end()),
        }
        ExitCode::FAILURE
    })
}

/// Runs a command's future on this thread and makes an exit code of what comes out. The runtime is
/// not waited for: a read of standard input that is still under way would never end.
pub fn block_on(future: impl Future<Output = Result<u8>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(future);
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(format!("the program cannot start: {error}"))),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("ERROR: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the completions of a command for a shell.
pub fn completions(mut command: Command, shell: clap_complete::Shell) -> Result<()> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    output::write(&String::from_utf8_lossy(&text))
}

/// Writes the manual pages of a command and of all its parts into a folder.
pub fn manual(command: Command, folder: &Path) -> Result<()> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.act(|| format!("the manual pages can't be written to {}", folder.display()))
}
