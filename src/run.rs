//! Runs one command of `tapgate`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use tapgate_config::Config;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::sockets::Sockets;
use crate::traces::Traces;
use crate::{Command, certificate, demo, keys, start, traces};

pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
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
            let config = load(&config)?;
            runtime()?.block_on(start::serve(config, sockets, heir))?;
        }
        Command::Keys(command) => keys::run(&command)?,
        Command::Ca { config, browsers, databases } => ca(&config, browsers, databases)?,
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
            tracing::error!(error = format!("{error:#}"), "There are no traces");
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
    let resources = look(&config)?;
    println!("{}: good, with {resources} resources in files", path.display());
    Ok(())
}

/// Looks at all that can be looked at before a start; answers how many resources the files hold.
pub(crate) fn look(config: &Config) -> Result<usize> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for file in tapgate_authority::resource_files(config.resources.as_deref())? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        match tapgate_policy::parse(&file.display().to_string(), &text) {
            Ok(parsed) => documents.extend(parsed),
            Err(found) => problems.extend(found),
        }
    }
    if let Some(files) = &config.certificate {
        certificate::read(files).context("the certificate for browsers can't be used")?;
    }
    if problems.is_empty() {
        problems = tapgate_policy::Policy::build(&documents).err().unwrap_or_default();
    }
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|p| format!("  {p}")).collect();
        return Err(anyhow!("the resource files can't be used (mend these and try again):\n{}", lines.join("\n")));
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
    println!();
    println!(
        "  tap enrol --gate {} --ca-pin sha256:{} --token {}",
        config.public_addr,
        parts.authority.gate_fingerprint(),
        invite.token
    );
    println!();
    if let Some(origin) = config.origins.first() {
        println!("Or open this link in a browser there:");
        println!();
        println!("  {origin}{}#{}", tapgate_api::web_path::ENROL_PAGE, invite.token);
        println!();
    }
    println!(
        "Either shows a line for first_admins in {}; the key counts from the next start with that line.",
        path.display()
    );
    Ok(())
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
    println!("# CA pin sha256:{}", authority.gate_fingerprint());
    println!("{}", authority.target_ca_line().context("the target authority's key can't be printed")?);
    Ok(())
}
