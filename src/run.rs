//! Runs one command of `tapgate`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use tapgate_api::{InviteCreated, web_path};
use tapgate_authority::Authority;
use tapgate_config::{Config, SecretsKeyPlace};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::sockets::Sockets;
use crate::traces::Traces;
use crate::words::words;
use crate::{Command, bench, care, certificate, demo, keys, start, traces, vault};

pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        // Written before anything is set up.
        Command::Manual { .. } => {}
        Command::Version => println!("tapgate {}", env!("CARGO_PKG_VERSION")),
        Command::Check { config } => check(&config)?,
        Command::Init { config, admin } => {
            log();
            init(&config, &admin)?;
        }
        Command::Start { config, heir } => {
            log();
            // Before there are threads: what was handed down is read out of the environment, and cleared from it.
            let sockets = Sockets::handed_down();
            let path = config;
            let config = load(&path)?;
            runtime()?.block_on(start::serve(&path, config, sockets, heir))?;
        }
        Command::Keys(command) => keys::run(&command)?,
        Command::Care(command) => {
            log();
            care::run(&command)?;
        }
        Command::Ca { config, browsers, databases } => ca(&config, browsers, databases)?,
        Command::Bench { words } => return Err(bench::become_it(&words)),
        Command::Demo(options) => return runtime()?.block_on(demo::run(options)),
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")
}

/// The operator's log: JSON lines on standard error; `RUST_LOG` chooses how much.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,russh=warn"));
    let Some(endpoint) = traces::endpoint() else {
        return tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    };
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(filter);
    match Traces::to(&endpoint) {
        Ok(told) => tracing_subscriber::registry().with(lines).with(told.with_filter(traces::own())).init(),
        Err(error) => {
            tracing_subscriber::registry().with(lines).init();
            tracing::error!(error = words(&error), "There are no traces");
        }
    }
}

/// Reads the configuration; all its problems at once are the error.
pub(crate) fn load(path: &Path) -> Result<Config> {
    tapgate_config::load(path).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|p| format!("  {p}")).collect();
        anyhow!("the configuration can't be used (mend these and try again):\n{}", lines.join("\n"))
    })
}

fn check(path: &Path) -> Result<()> {
    let config = load(path)?;
    let resources = look(path, &config)?;
    println!("{}: good, with {resources} resources in files", path.display());
    Ok(())
}

/// Looks at all that can be looked at before a start, and says everything that is wrong at once, each with where it
/// is; answers how many resources the files hold.
pub(crate) fn look(path: &Path, config: &Config) -> Result<usize> {
    let (mut problems, mut documents) = (Vec::new(), Vec::new());
    for file in tapgate_authority::resource_files(config.resources.as_deref())? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        match tapgate_policy::parse(&file.display().to_string(), &text) {
            Ok(parsed) => documents.extend(parsed),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        problems = tapgate_policy::Policy::build(&documents).err().unwrap_or_default();
    }
    let mut lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    let at = |key: &str| format!("{}:{}", path.display(), tapgate_config::line_of(path, key));
    if let Some(Err(error)) = config.certificate.as_ref().map(certificate::read) {
        lines.push(format!("  {}: the certificate for browsers can't be used: {}", at("tls"), words(&error)));
    }
    // A file is made at the first start; what comes from elsewhere must be there.
    let key = config.data_dir.exists() || !matches!(config.secrets_key, SecretsKeyPlace::File(_));
    if let Err(error) = key.then(|| vault::look_at_key(config)).transpose() {
        lines.push(format!("  {}: {}", at("secrets_key"), words(&error)));
    }
    if !lines.is_empty() {
        return Err(anyhow!("the gate would not start with this (mend these and try again):\n{}", lines.join("\n")));
    }
    Ok(documents.len())
}

fn init(path: &Path, admin: &tapgate_model::UserName) -> Result<()> {
    let config = load(path)?;
    let parts = start::open(&config)?;
    let invite = parts.authority.first_admin(admin).context("can't invite the first administrator")?;
    println!(
        "The data directory {} is ready. Start the gate, and within an hour run on {}'s machine:",
        config.data_dir.display(),
        invite.user
    );
    show_invite(&config, &parts.authority, &invite);
    println!(
        "Either shows a line for first_admins in {}; the key counts from the next start with that line.",
        path.display()
    );
    Ok(())
}

/// Prints the two ways to enrol with an invite.
pub(crate) fn show_invite(config: &Config, authority: &Authority, invite: &InviteCreated) {
    let pin = authority.ca_pin();
    println!("\n  tap enrol --gate {} --ca-pin sha256:{pin} --token {}\n", config.public_addr, invite.token);
    if let Some(origin) = config.origins.first() {
        println!("Or open this link in a browser there:\n");
        println!("  {origin}{}#{}\n", web_path::ENROL_PAGE, invite.token);
    }
}

/// Prints the authority that the gate logs in to targets with, and the pin that clients know it by.
fn ca(path: &Path, browsers: bool, databases: bool) -> Result<()> {
    let config = load(path)?;
    let authority = start::authority_at_rest(&config)?;
    if browsers {
        print!("{}", authority.host_ca_pem());
        return Ok(());
    }
    if databases {
        print!("{}", authority.target_tls_ca_pem());
        return Ok(());
    }
    println!("# TrustedUserCAKeys of the targets behind {}", config.cluster_name);
    println!("# CA pin sha256:{}", authority.ca_pin());
    println!("{}", authority.target_ca_line().context("the target authority's key can't be printed")?);
    Ok(())
}
