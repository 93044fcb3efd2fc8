//! `tapctl`: the administrator's commands.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};
use tapgate_api::{AdminAction, AppDown, Explanation, Status, path};
use tapgate_model::{Clock as _, SystemClock, TargetName, UserName};

use super::lock::LockArgs;
use super::resources::Selector;
use super::{Context, Global, add, admin, audit, auth, edit, invite, lock, output, play, resources, sessions};
use crate::error::{Act as _, Failure, Result};

/// Administer a Tapgate: resources, users, locks. Each change asks for a tap over what it changes.
#[derive(Debug, Parser)]
#[command(name = "tapctl", version, after_help = "Example:\n  tapctl get roles")]
pub struct Tapctl {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the cluster, its version and the CA pin
    #[command(after_help = "Example:\n  tapctl status")]
    Status,
    /// Print resources: roles, users, nodes, locks, cap, or KIND/NAME
    #[command(after_help = "Example:\n  tapctl get role/access-prod --format json")]
    Get {
        /// KIND, KIND/NAME or cap
        resource: Selector,
    },
    /// Create resources from YAML
    #[command(after_help = "Examples:\n  tapctl create -f roles.yaml\n  tapctl create --force - < roles.yaml")]
    Create {
        /// The file; - or nothing is standard input
        #[arg(short, long, value_name = "FILE", conflicts_with = "input")]
        file: Option<PathBuf>,
        /// The same, without -f
        #[arg(value_name = "FILE")]
        input: Option<PathBuf>,
        /// Replace what is there already
        #[arg(long)]
        force: bool,
    },
    /// Edit a resource in $EDITOR
    #[command(after_help = "Example:\n  tapctl edit cap")]
    Edit {
        /// cap or KIND/NAME
        resource: Selector,
    },
    /// Remove a resource
    #[command(after_help = "Example:\n  tapctl rm role/access-prod")]
    Rm {
        /// KIND/NAME
        resource: Selector,
    },
    /// Manage users
    #[command(subcommand, after_help = "Example:\n  tapctl users add jerry --roles access-dev,access-prod")]
    Users(Users),
    /// End sessions now and refuse new ones
    #[command(after_help = "Example:\n  tapctl lock --user=jerry --ttl 1h --message 'laptop lost'")]
    Lock(LockArgs),
    /// See which sessions are open and which were recorded (`tap play` shows one), and end one
    #[command(subcommand, after_help = "Example:\n  tapctl sessions ls")]
    Sessions(Sessions),
    /// Look at the audit log, and prove it
    #[command(subcommand, after_help = "Example:\n  tapctl audit verify --from 2026-11-01")]
    Audit(audit::Command),
    /// Add SSH servers
    #[command(subcommand, after_help = "Example:\n  tapctl node add web1 --addr 10.0.0.7:22 --labels env=prod --scan")]
    Node(add::Node),
    /// Add databases
    #[command(subcommand, after_help = "Example:\n  tapctl db add orders --protocol postgres --uri db1.internal:5432")]
    Db(add::Db),
    /// Add applications
    #[command(subcommand, after_help = "Example:\n  tapctl app add grafana --uri http://10.0.0.7:3000")]
    App(add::App),
    /// See the gate's authorities, hand them out, and rotate them
    #[command(subcommand, after_help = "Example:\n  tapctl auth rotate --type user --phase prepare")]
    Auth(auth::Auth),
    /// Say why a user may or may not open a target
    #[command(after_help = "Example:\n  tapctl explain jerry prod3")]
    Explain {
        /// The user
        user: UserName,
        /// The target
        target: TargetName,
    },
    /// Print the completions for a shell
    #[command(after_help = "Example:\n  tapctl completions bash > /etc/bash_completion.d/tapctl")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true, after_help = "Example:\n  tapctl manual /tmp/man")]
    Manual {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Sessions {
    /// Print the recordings, the newest first
    #[command(after_help = "Example:\n  tapctl sessions ls --format json")]
    Ls,
    /// Print everybody's sessions that are open now
    #[command(after_help = "Example:\n  tapctl sessions live")]
    Live,
    /// End a session now; who it belongs to may open another one, unless `tapctl lock` says otherwise
    #[command(after_help = "Example:\n  tapctl sessions kill 0197a2c4b7d0")]
    Kill {
        /// The session's number, as `tapctl sessions live` prints it
        session: String,
    },
}

#[derive(Debug, Subcommand)]
enum Users {
    /// Make a user, and print the command that enrols the first security key
    #[command(after_help = "Example:\n  tapctl users add jerry --roles access-dev,access-prod")]
    Add {
        /// The user's name
        name: UserName,
        /// The roles, with commas between them
        #[arg(long, value_delimiter = ',', required = true)]
        roles: Vec<String>,
    },
    /// Let a user choose a new password and enrol a new key; sessions and old keys end
    #[command(after_help = "Example:\n  tapctl users reset jerry")]
    Reset {
        /// The user's name
        name: UserName,
    },
    /// Print the users
    #[command(after_help = "Example:\n  tapctl users ls")]
    Ls,
    /// Remove a user
    #[command(after_help = "Example:\n  tapctl users rm jerry")]
    Rm {
        /// The user's name
        name: UserName,
    },
}

/// Runs the command.
pub async fn run(args: Tapctl) -> Result<u8> {
    if let Command::Completions { shell } = args.command {
        super::completions(Tapctl::command(), shell)?;
        return Ok(0);
    }
    if let Command::Manual { folder } = args.command {
        super::manual(Tapctl::command(), &folder)?;
        return Ok(0);
    }
    if let Command::Audit(command) = args.command {
        // A log at hand needs no gate.
        audit::run(&args.global, command).await?;
        return Ok(0);
    }
    let context = Context::new(&args.global, None)?;
    match args.command {
        Command::Status => status(&context).await,
        Command::Get { resource } => get(&context, &resource).await,
        Command::Create { file, input, force } => create(&context, file.or(input), force).await,
        Command::Edit { resource } => edit::edit(&context, &resource).await,
        Command::Rm { resource } => remove(&context, &resource).await,
        Command::Sessions(Sessions::Ls) => play::list(&context).await,
        Command::Sessions(Sessions::Live) => sessions::live(&context).await,
        Command::Sessions(Sessions::Kill { session }) => sessions::kill(&context, session).await,
        Command::Users(users) => run_users(&context, users).await,
        Command::Lock(args) => {
            let yaml = lock::document(&args, &lock::fresh_name()?, SystemClock.now())?;
            put(&context, yaml, false).await
        }
        Command::Node(command) => add::node(&context, command).await,
        Command::Db(command) => add::db(&context, command).await,
        Command::App(command) => add::app(&context, command).await,
        Command::Auth(command) => auth::run(&context, command).await,
        Command::Explain { user, target } => explain(&context, &user, &target).await,
        Command::Audit(_) | Command::Completions { .. } | Command::Manual { .. } => Ok(()),
    }?;
    Ok(0)
}

async fn run_users(context: &Context, users: Users) -> Result<()> {
    let one = |name: UserName| Selector { kind: "user".to_owned(), name: Some(name.to_string()) };
    match users {
        Users::Add { name, roles } => invite::invite(context, &name, roles).await,
        Users::Reset { name } => invite::invite(context, &name, Vec::new()).await,
        Users::Ls => get(context, &Selector { kind: "user".to_owned(), name: None }).await,
        Users::Rm { name } => remove(context, &one(name)).await,
    }
}

async fn status(context: &Context) -> Result<()> {
    let status: Status = context.with_login()?.get(path::STATUS, &[]).await?;
    output::show(context.format(), &status, |status| {
        let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
        let own = [("Cluster", &status.cluster), ("Version", &status.version), ("CA pin", &status.ca_pin)];
        let problems = status.kube_problems.iter().map(|problem| ("Kubernetes", problem));
        let mut rows: Vec<_> = own.into_iter().chain(problems).map(|(name, value)| row(name, value)).collect();
        let down = |app: &AppDown| row("Down", &format!("{}: {}", app.name, app.why));
        rows.extend(status.apps_down.iter().map(down));
        output::table(&rows)
    })
}

async fn get(context: &Context, selector: &Selector) -> Result<()> {
    resources::show(&resources::get(context, selector).await?, context.format())
}

async fn create(context: &Context, file: Option<PathBuf>, replace: bool) -> Result<()> {
    let yaml = if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        std::fs::read_to_string(&path).act(|| format!("{} cannot be read", path.display()))?
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).act(|| "standard input cannot be read".to_owned())?;
        text
    };
    if yaml.trim().is_empty() {
        return Err(Failure::new("there is no resource in it").advise("give a YAML document with kind and metadata"));
    }
    put(context, yaml, replace).await
}

async fn put(context: &Context, yaml: String, replace: bool) -> Result<()> {
    let outcome = admin::change(context, &AdminAction::PutResources { yaml, replace }).await?;
    output::show(context.format(), &outcome, admin::lines)
}

async fn remove(context: &Context, selector: &Selector) -> Result<()> {
    let name = selector.name.clone().ok_or_else(|| Failure::new("rm takes one resource").advise("use KIND/NAME"))?;
    let action = AdminAction::DeleteResource { kind: selector.kind.clone(), name };
    let outcome = admin::change(context, &action).await?;
    output::show(context.format(), &outcome, admin::lines)
}

async fn explain(context: &Context, user: &UserName, target: &TargetName) -> Result<()> {
    let query = [("user", user.as_str()), ("target", target.as_str())];
    let explanation: Explanation = context.with_login()?.get(path::EXPLAIN, &query).await?;
    output::show(context.format(), &explanation, |explanation| {
        let verdicts = output::lines(&explanation.verdicts);
        let roles = explanation.roles.iter().map(|role| vec![format!("  {}", role.role), role.says.clone()]);
        format!("{verdicts}\nRoles of {}:\n{}", explanation.user, output::table(&roles.collect::<Vec<_>>()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Tapctl::command().debug_assert();
        for line in [
            "tapctl status",
            "tapctl get roles --format yaml",
            "tapctl create",
            "tapctl create -f - --force",
            "tapctl create roles.yaml",
            "tapctl edit cap",
            "tapctl lock --user=jerry --ttl 1h --message x",
            "tapctl users add ann --roles a,b --gate localhost:3080",
            "tapctl explain jerry prod3 --format json",
            "tapctl audit verify --log a --keys k --expect-head 3:ab --from 2026-11-01",
            "tapctl audit tail -f",
            "tapctl auth rotate --type user --phase switch --now",
            "tapctl auth export --type target",
            "tapctl node add web1 --addr 10.0.0.7:22 --labels env=prod,team=web --scan",
            "tapctl db add orders --protocol postgres --uri db:5432 --ca-cert ca.pem",
            "tapctl app add grafana --uri http://10.0.0.7:3000 --force",
        ] {
            assert!(Tapctl::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "tapctl audit verify --from x",
            "tapctl lock",
            "tapctl lock --user a --role b",
            "tapctl get thing",
            "tapctl users add a,b",
            "tapctl node add web1 --addr 10.0.0.7:22",
            "tapctl auth rotate --type user",
        ] {
            assert!(Tapctl::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
