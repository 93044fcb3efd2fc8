//! `tap`: the user's commands.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};
use tapgate_api::{EnrolBegin, TargetEntry, Targets, path};
use tapgate_model::{Clock as _, SystemClock, UnixTime, UserName};
use zeroize::Zeroize as _;

use super::db::Db;
use super::desktop::Desktops;
use super::kube::{self, Kube};
use super::mfa::{self, Mfa};
use super::play::{self, Play};
use super::ssh_key::{self, SshKeys};
use super::{Context, Global, otp, output, password};
use crate::db::config::ConfigDb;
use crate::db::proxy::ProxyDb;
use crate::desktop::proxy::ProxyDesktop;
use crate::error::{Failure, Result};
use crate::gate_addr::CaPin;
use crate::kube::proxy::ProxyKube;
use crate::load;
use crate::login;
use crate::profile::{Home, Profile};
use crate::proxy::app;
use crate::solver::MfaMode;
use crate::ssh::batch::Batch;
use crate::ssh::copy::Copy;
use crate::ssh::destination::{Destination, Tail};
use crate::ssh::options::Job;
use crate::{agent, db, desktop, ssh, sso};

/// Reach what is behind a Tapgate. A session that requires it asks for a tap of your security key.
#[derive(Debug, Parser)]
#[command(name = "tap", version, after_help = "Example:\n  tap ssh jerry@prod3")]
pub struct Tap {
    #[command(flatten)]
    global: Global,
    /// Your name at the gate
    #[arg(long, global = true, env = "TAP_USER", value_name = "NAME")]
    user: Option<UserName>,
    #[command(subcommand)]
    command: Command,
}

/// What a first contact with a gate needs.
#[derive(Debug, Clone, clap::Args)]
struct Trust {
    /// The gate's CA pin, as printed by `tapctl status` on the gate; needed once for each gate.
    /// Gates with a certificate that the system's own roots know are not supported yet
    #[arg(long, value_name = "sha256:…")]
    ca_pin: Option<CaPin>,
    /// Read the password from standard input (`TAP_PASSWORD_FILE` names a file instead)
    #[arg(long)]
    password_stdin: bool,
}

/// The way to log in by a key alone. A provider of this name can't be chosen by it.
const PASSWORDLESS: &str = "passwordless";

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in with password and security key, or at an identity provider
    #[command(
        after_help = "Examples:\n  tap login --gate localhost:3080 --user jerry --ca-pin sha256:…\n  tap login --mfa-mode=browser\n  tap login --auth=passwordless\n  tap login --auth=corp"
    )]
    Login {
        #[command(flatten)]
        trust: Trust,
        /// How to log in: `local` for name, password and key, `passwordless` by a key that was added for it alone, or
        /// the name of an identity provider
        #[arg(long, value_name = "WAY")]
        auth: Option<String>,
    },
    /// Spend an invite: choose a password and register a security key
    #[command(after_help = "Example:\n  tap enrol --gate localhost:3080 --ca-pin sha256:… --token …")]
    Enrol {
        #[command(flatten)]
        trust: Trust,
        /// The invite, as the administrator handed it over
        #[arg(long, env = "TAP_INVITE", hide_env_values = true, allow_hyphen_values = true)]
        token: String,
        /// What you call the key
        #[arg(long, default_value = "security key", value_name = "NAME")]
        device_name: String,
        /// Let the key log in without a password; it asks for its PIN or finger then
        #[arg(long, visible_alias = "allow-passwordless")]
        passwordless: bool,
    },
    /// Show a recorded session again, as it went
    #[command(
        after_help = "Examples:\n  tap play 6f1c… --safe --speed 4\n  tap play 6f1c… --as asciicast > session.cast"
    )]
    Play(Play),
    /// Show who is logged in, and until when
    #[command(after_help = "Example:\n  tap status")]
    Status,
    /// Forget the login certificates and close every window
    #[command(after_help = "Example:\n  tap logout")]
    Logout,
    /// List what you may reach
    #[command(after_help = "Example:\n  tap ls --format json")]
    Ls,
    /// Open an SSH session with the system's OpenSSH
    #[command(
        override_usage = "tap ssh [OPTIONS] [LOGIN@]TARGET [COMMAND]... [-- SSH-OPTIONS...]",
        after_help = "Examples:\n  tap ssh jerry@prod3\n  tap ssh jerry@prod3 uptime\n  tap ssh jerry@prod3 -- -L 8080:localhost:80 -N"
    )]
    Ssh {
        /// Forward your own agent (`$SSH_AUTH_SOCK`), never the one of this session
        #[arg(short = 'A')]
        forward_agent: bool,
        /// Who to become, where the target stands alone; rsync names it so
        #[arg(short = 'l', value_name = "LOGIN")]
        login: Option<String>,
        /// Where to, the command, and after -- options for OpenSSH
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "TARGET")]
        words: Vec<String>,
    },
    /// Run a command that reaches many nodes over SSH, by one tap that names exactly those
    #[command(
        override_usage = "tap batch [OPTIONS] --labels KEY=VALUE --login LOGIN -- COMMAND...",
        after_help = "Examples:\n  tap batch --labels env=prod --login deploy -- ansible-playbook site.yml\n  tap batch --nodes web1,web2 --login deploy --yes -- sh -c 'for h in web1 web2; do ssh $h uptime; done'\n  tap batch --labels env=prod --login deploy --format json"
    )]
    Batch(Batch),
    /// Reach Kubernetes clusters with kubectl and its like
    #[command(subcommand, after_help = "Example:\n  tap kube login prod")]
    Kube(Kube),
    /// Manage your security keys, and one-time codes for login
    #[command(subcommand, after_help = "Example:\n  tap mfa ls")]
    Mfa(Mfa),
    /// Manage the SSH keys with which plain ssh logs in
    #[command(subcommand, after_help = "Example:\n  tap ssh-key add ~/.ssh/id_ed25519_sk.pub")]
    SshKey(SshKeys),
    /// List, open and query databases
    #[command(subcommand, after_help = "Example:\n  tap db connect orders --db-user app --db-name shop")]
    Db(Db),
    /// List desktops and open them with a viewer
    #[command(subcommand, after_help = "Example:\n  tap desktop connect win1 --login ann")]
    Desktop(Desktops),
    /// Copy files with the system's scp
    #[command(
        override_usage = "tap scp [OPTIONS] [SCP-OPTIONS] FILE... [LOGIN@]TARGET:PATH",
        after_help = "Examples:\n  tap scp notes.txt jerry@prod3:/tmp/\n  tap scp -r jerry@prod3:/var/log/app ."
    )]
    Scp {
        /// scp's options, files here as PATH, and files there as LOGIN@TARGET:PATH
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "FILE")]
        words: Vec<String>,
    },
    /// See the applications that you may open
    #[command(subcommand, after_help = "Example:\n  tap app ls")]
    App(App),
    /// Print configuration for stock clients
    #[command(subcommand, after_help = "Example:\n  tap config ssh >> ~/.ssh/config")]
    Config(Config),
    /// Carry a protocol's bytes to the gate
    #[command(
        subcommand,
        after_help = "Examples:\n  ssh -o ProxyCommand='tap proxy ssh %r' jerry@prod3@localhost\n  tap proxy db orders --port 0"
    )]
    Proxy(Proxy),
    /// Open sessions through the gate at a steady rate, and tell what they took (`tapgate bench` is the same)
    #[command(
        override_usage = "tapgate bench [OPTIONS] --protocol PROTOCOL --targets TARGETS",
        after_help = "Examples:\n  tapgate bench --protocol ssh --targets dev1,dev2 --rate 50 --duration 1m\n  tapgate bench --protocol postgres --targets orders --login app --db-name shop --metrics http://127.0.0.1:3081/metrics --export hdr\n  tapgate bench --direct --protocol postgres --targets db1:5432 --login app --db-name shop --ca ca.pem --password-file pw\n\nLatency counts from when a session was due, not from when it could begin."
    )]
    Bench(Box<load::Options>),
    /// Keep the windows of this user
    #[command(hide = true)]
    Agent {
        /// The socket to serve
        socket: PathBuf,
    },
    /// Print the completions for a shell
    #[command(after_help = "Example:\n  tap completions bash > /etc/bash_completion.d/tap")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true, after_help = "Example:\n  tap manual /tmp/man")]
    Manual {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Lines for `~/.ssh/config`, by which plain ssh, rsync, git, editors and Ansible reach what `tap ls` lists
    #[command(
        after_help = "Examples:\n  tap config ssh >> ~/.ssh/config\n  tap config ssh --known-hosts >> ~/.ssh/known_hosts"
    )]
    Ssh {
        /// Print the line for a `known_hosts` file instead
        #[arg(long)]
        known_hosts: bool,
    },
    /// What psql, mariadb and JDBC must be told to reach a database
    #[command(after_help = "Example:\n  tap config db orders --db-user app --db-name shop")]
    Db(ConfigDb),
}

#[derive(Debug, Subcommand)]
enum App {
    /// List the applications, where to open each, and which ask for a tap
    #[command(after_help = "Example:\n  tap app ls --format json")]
    Ls,
}

#[derive(Debug, Subcommand)]
enum Proxy {
    /// An application at a socket or port of this machine, for curl, scripts and other programs
    #[command(
        after_help = "Examples:\n  tap proxy app grafana\n  tap proxy app grafana --port 0\n  tap proxy app broker --target-port 5671 --socket /tmp/broker.sock"
    )]
    App(app::Flags),
    /// The gate's SSH door on standard input and output, for OpenSSH's `ProxyCommand`
    #[command(after_help = "Example:\n  ssh -o ProxyCommand='tap proxy ssh %r' jerry@prod3@localhost")]
    Ssh {
        /// LOGIN@TARGET, to have it looked at before the connection
        destination: Option<String>,
        /// Lead to this target's own door, ask for a tap where one is due, and be the agent of the `ssh` that runs
        /// this; `tap config ssh` prints the lines that use it
        #[arg(long, value_name = "LOGIN@TARGET", conflicts_with = "destination", allow_hyphen_values = true)]
        window: Option<String>,
        /// Lead to this target's own door, for a command that signs by itself
        #[arg(long, hide = true, value_name = "TARGET", conflicts_with_all = ["destination", "window"])]
        behind: Option<String>,
    },
    /// A database on this machine, for programs that know nothing of the gate
    #[command(
        after_help = "Examples:\n  tap proxy db orders --db-user app --db-name shop\n  tap proxy db orders --db-user app --db-name shop --port 0"
    )]
    Db(ProxyDb),
    /// Serve Kubernetes clusters on this machine, for clients that can't run a credential plugin
    #[command(after_help = "Examples:\n  tap proxy kube prod\n  tap proxy kube prod staging --port 8443")]
    Kube(ProxyKube),
    /// A desktop on this machine, for any viewer
    #[command(
        after_help = "Examples:\n  tap proxy desktop win1 --login ann\n  tap proxy desktop win1 --login ann --port 0"
    )]
    Desktop(ProxyDesktop),
}

/// Runs the command.
pub async fn run(args: Tap) -> Result<u8> {
    let Tap { global, user, command } = args;
    match command {
        Command::Login { trust, auth } => match auth.as_deref() {
            Some(PASSWORDLESS) => log_in_passwordless(&global, user, trust).await,
            _ => log_in(&global, user, trust, auth).await,
        },
        Command::Enrol { trust, token, device_name, passwordless } => {
            let invite = EnrolBegin { token, password: String::new(), device_name, passwordless };
            enrol(&global, trust, invite).await
        }
        Command::Status => status(&Context::new(&global, user.as_ref())?),
        Command::Play(what) => play::run(&Context::new(&global, user.as_ref())?, &what).await,
        Command::Logout => log_out(&global).await,
        Command::Ls => list(&Context::new(&global, user.as_ref())?).await,
        Command::Scp { words } => {
            let context = Context::new(&global, user.as_ref())?;
            let copy = Copy::parse(&words, context.user()?)?;
            let destination = copy.destination.clone();
            return ssh::run::run(&context, &destination, &Job::Scp(copy), false).await;
        }
        Command::Config(Config::Ssh { known_hosts }) => {
            let context = Context::new(&global, user.as_ref())?;
            output::write(&ssh::config::text(&context, known_hosts).await?)
        }
        Command::Ssh { forward_agent, login, words } => {
            let context = Context::new(&global, user.as_ref())?;
            let (first, rest) = words.split_first().ok_or_else(|| Failure::new("no target is named"))?;
            let first = login.map_or_else(|| first.clone(), |login| format!("{login}@{first}"));
            let destination = Destination::parse(&first, context.user()?)?;
            let job = Job::Ssh(Tail::parse(rest)?);
            return ssh::run::run(&context, &destination, &job, forward_agent).await;
        }
        Command::Proxy(Proxy::Ssh { destination, window, behind }) => {
            let context = Context::new(&global, user.as_ref())?;
            if let Some(target) = behind {
                return ssh::window::behind(&context, &target).await.map(|()| 0);
            }
            if let Some(place) = window {
                return ssh::window::run(&context, &place).await.map(|()| 0);
            }
            destination.map(|text| Destination::parse(&text, context.user()?)).transpose()?;
            ssh::tunnel::run(&context.tls()?).await
        }
        Command::Bench(options) => return Box::pin(load::run(&global, user.as_ref(), &options)).await,
        Command::Batch(batch) => return ssh::batch::run(&Context::new(&global, user.as_ref())?, batch).await,
        Command::Kube(command) => kube::run(&Context::new(&global, user.as_ref())?, command).await,
        Command::Proxy(Proxy::App(flags)) => app::run(Context::new(&global, user.as_ref())?, flags).await,
        Command::App(App::Ls) => app::list(&Context::new(&global, user.as_ref())?).await,
        Command::Proxy(Proxy::Kube(serve)) => {
            crate::kube::proxy::run(Context::new(&global, user.as_ref())?, serve).await
        }
        Command::Proxy(Proxy::Db(serve)) => db::proxy::run(Context::new(&global, user.as_ref())?, serve).await,
        Command::Proxy(Proxy::Desktop(serve)) => {
            desktop::proxy::run(Context::new(&global, user.as_ref())?, serve).await
        }
        Command::Desktop(command) => {
            return super::desktop::run(Context::new(&global, user.as_ref())?, command).await;
        }
        Command::Config(Config::Db(config)) => db::config::run(&Context::new(&global, user.as_ref())?, &config).await,
        Command::Db(command) => return super::db::run(Context::new(&global, user.as_ref())?, command).await,
        Command::Mfa(command) => mfa::run(&Context::new(&global, user.as_ref())?, command).await,
        Command::SshKey(command) => ssh_key::run(&Context::new(&global, user.as_ref())?, command).await,
        Command::Agent { socket } => agent::server::run(&socket).await,
        Command::Completions { shell } => super::completions(Tap::command(), shell),
        Command::Manual { folder } => super::manual(Tap::command(), &folder),
    }?;
    Ok(0)
}

async fn log_in(global: &Global, user: Option<UserName>, trust: Trust, auth: Option<String>) -> Result<()> {
    let home = Home::from_env()?;
    let profile = login::first_trust(&home, global.gate.as_ref(), trust.ca_pin)?;
    if auth.as_deref() != Some("local") {
        let found = sso::find(&profile).await?;
        // By itself only where the cluster says that its people log in so.
        let own = global.mfa_mode == MfaMode::Auto && found.auth.kind != "local";
        if auth.is_some() || global.mfa_mode == MfaMode::Sso || own {
            let name = sso::connector(&found.auth, auth.as_deref())?;
            let profile = sso::login(&home, profile, &found, &name, user).await?;
            return show_profile(global, &profile);
        }
    }
    let user = user
        .or_else(|| profile.user.clone())
        .ok_or_else(|| Failure::new("nobody is named to log in").advise("pass --user NAME"))?;
    // Asked for first: without a key the password is typed for nothing.
    let mut means = global.means();
    // Last in the order of `auto`, where there is neither a key nor a browser.
    let code = match &means {
        Err(_) if global.mfa_mode == MfaMode::Auto => login::takes_codes(&profile).await?,
        _ => global.mfa_mode == MfaMode::Otp,
    };
    if code {
        let password = password::read(trust.password_stdin, &format!("Password of {user} at {}: ", profile.gate))?;
        let code = otp::ask("Code of your authenticator app: ")?;
        let profile = login::login_otp(&home, profile, user, password, &code).await?;
        return show_profile(global, &profile);
    }
    let means = means.as_mut().map_err(|failure| failure.clone())?;
    let password = password::read(trust.password_stdin, &format!("Password of {user} at {}: ", profile.gate))?;
    let profile = login::login(&home, profile, user, password, means).await?;
    show_profile(global, &profile)
}

async fn log_in_passwordless(global: &Global, user: Option<UserName>, trust: Trust) -> Result<()> {
    let home = Home::from_env()?;
    let profile = login::first_trust(&home, global.gate.as_ref(), trust.ca_pin)?;
    let mut means = global.means()?;
    let profile = login::login_passwordless(&home, profile, &mut means).await?;
    if let (Some(wanted), Some(found)) = (&user, &profile.user)
        && wanted != found
    {
        eprintln!("The key is {found}'s, not {wanted}'s.");
    }
    show_profile(global, &profile)
}

async fn enrol(global: &Global, trust: Trust, mut invite: EnrolBegin) -> Result<()> {
    let home = Home::from_env()?;
    let profile = login::first_trust(&home, global.gate.as_ref(), trust.ca_pin)?;
    let mut means = global.means()?;
    let password = password::choose(trust.password_stdin, "Choose a password: ")?;
    password.as_str().clone_into(&mut invite.password);
    let (profile, enrolled) = login::enrol(&home, profile, &invite, &mut means).await?;
    invite.password.zeroize();
    output::show(global.format, &enrolled, |enrolled| {
        let pin = enrolled
            .pin
            .as_ref()
            .map_or_else(String::new, |pin| format!("The key counts once this stands in tapgate.yaml:\n\n{pin}\n\n"));
        format!(
            "{} is enrolled at {}.\n{pin}Log in with: tap login --gate {} --user {}\n",
            enrolled.user, profile.gate, profile.gate, enrolled.user
        )
    })
}

async fn log_out(global: &Global) -> Result<()> {
    let home = Home::from_env()?;
    let profile = home.chosen(global.gate.as_ref())?;
    let gate = profile.gate.clone();
    login::logout(&home, profile).await?;
    output::write(&format!("Logged out of {gate}.\n"))
}

fn status(context: &Context) -> Result<()> {
    context.user()?;
    show_profile_as(context.format(), &context.profile)
}

fn show_profile(global: &Global, profile: &Profile) -> Result<()> {
    show_profile_as(global.format, profile)
}

fn show_profile_as(format: output::Format, profile: &Profile) -> Result<()> {
    output::show(format, profile, |profile| {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let expires = profile.expires.unwrap_or(UnixTime::from_secs(0));
        output::table(&[
            row("Gate", format!("https://{}", profile.gate)),
            row("Cluster", profile.cluster.clone().unwrap_or_default()),
            row("Logged in as", profile.user.as_ref().map_or_else(String::new, ToString::to_string)),
            row("Roles", profile.roles.join(", ")),
            row("Logins", profile.logins.join(", ")),
            row("Valid until", format!("{expires} ({})", left(expires, SystemClock.now()))),
        ])
    })
}

/// `11h59m left`.
fn left(end: UnixTime, now: UnixTime) -> String {
    let minutes = end.since(now).as_secs() / 60;
    format!("{}h{:02}m left", minutes / 60, minutes % 60)
}

async fn list(context: &Context) -> Result<()> {
    let Targets { targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
    output::show(context.format(), &targets, |targets| rows(targets))
}

/// `prod3 (env=prod)`, the logins there, and whether a tap is due.
pub(super) fn rows(targets: &[TargetEntry]) -> String {
    let row = |target: &TargetEntry| {
        let labels: Vec<_> = target.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let name =
            if labels.is_empty() { target.name.clone() } else { format!("{} ({})", target.name, labels.join(",")) };
        let mfa = if target.mfa_required { "MFA" } else { "" };
        vec![name, target.logins.join(","), mfa.to_owned()]
    };
    output::table(&targets.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Tap::command().debug_assert();
        for line in [
            "tap login --gate localhost:3080 --user jerry",
            "tap ls --format json",
            "tap ssh jerry@prod3",
            "tap ssh -l jerry prod3 rsync --server . /tmp",
            "tap scp -r -P 22 a jerry@prod3:/tmp/",
            "tap config ssh --known-hosts",
            "tap proxy ssh jerry@prod3 --gate localhost:3080",
            "tap enrol --gate localhost:3080 --token x",
            "tap enrol --gate localhost:3080 --token -DyY_x --device-name yubi",
            "tap --no-agent ssh jerry@prod3",
            "tap agent /tmp/x",
            "tap kube login prod --as dev",
            "tap kube credentials prod --login dev[view] --gate localhost:3080",
            "tap app ls",
            "tap kube tap prod --as dev",
            "tap proxy kube prod staging --as dev --port 8443",
            "tap proxy app grafana --port 0",
            "tap proxy app broker --target-port 5671 --socket /tmp/x",
            "tap proxy app broker --port 5671 --insecure-tcp",
            "tap mfa ls",
            "tap mfa add --name blue",
            "tap mfa add --name blue --new-software-key /tmp/key",
            "tap mfa add --otp",
            "tap mfa rm blue",
            "tap mfa rename blue green",
            "tap login --mfa-mode=otp",
            "tap db ls --labels env=prod --format json",
            "tap db connect orders --db-user app --db-name shop -- -c select",
            "tap db exec select --labels env=prod --db-user teleport-user --output-dir=logs",
            "tap db exec select --dbs a,b --max-connections 10 --yes",
            "tap proxy db orders --port 0",
            "tap proxy db orders --socket /tmp/x",
            "tap config db orders --db-user app --port 15432",
            "tap desktop ls --format json",
            "tap desktop connect win1 --login ann -- /size:800x600",
            "tap proxy desktop win1 --login ann --port 0",
            "tap proxy desktop win1 --port 0 --insecure-tcp",
            "tap login --proxy=localhost:3080 --auth=passwordless",
            "tap mfa add --name blue --passwordless",
            "tap login --auth=corp",
            "tap login --mfa-mode=sso --auth corp",
            "tap login --proxy=localhost:3080 --user=jerry",
        ] {
            assert!(Tap::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_follows_the_target_is_not_ours() {
        let check = |line: &str, expect: &[&str]| {
            let Command::Ssh { words, .. } = Tap::try_parse_from(line.split(' ')).unwrap().command else {
                panic!("{line}")
            };
            assert_eq!(words, expect, "{line}");
        };
        check("tap ssh jerry@prod3 ls -l --format json", &["jerry@prod3", "ls", "-l", "--format", "json"]);
        check("tap ssh -A jerry@prod3 -- -v", &["jerry@prod3", "--", "-v"]);
        check("tap ssh --no-agent jerry@prod3 -A", &["jerry@prod3", "-A"]);
    }

    #[test]
    fn lists() {
        let entry = |name: &str, env: &str, mfa_required| TargetEntry {
            kind: "node".into(),
            name: name.into(),
            labels: [("env".to_owned(), env.to_owned())].into(),
            logins: vec!["jerry".into()],
            mfa_required,
            protocol: None,
            description: None,
        };
        let text = rows(&[entry("dev1", "dev", false), entry("prod3", "prod", true)]);
        assert_eq!(text, "dev1 (env=dev)    jerry\nprod3 (env=prod)  jerry  MFA\n");
        assert_eq!(left(UnixTime::from_secs(3700), UnixTime::from_secs(40)), "1h01m left");
    }
}
