//! `tap kube`: which clusters there are, the context for kubectl, and what kubectl asks for.

use std::path::PathBuf;

use clap::Subcommand;
use tapgate_api::{TargetEntry, Targets, path};
use tapgate_model::{Kind, Login, TargetName};

use super::{Context, output};
use crate::error::{Act as _, Failure, Result};
use crate::kube::{credentials, kubeconfig};
use crate::session::{self, Access};

/// `tap kube …`
#[derive(Debug, Subcommand)]
pub enum Kube {
    /// List the clusters that you may reach
    #[command(after_help = "Example:\n  tap kube ls --format json")]
    Ls,
    /// Write a context for kubectl, which then asks `tap` for credentials by itself
    #[command(after_help = "Examples:\n  tap kube login prod\n  tap kube login prod --as dev && kubectl get pods")]
    Login {
        /// The cluster
        cluster: TargetName,
        /// Whom to be there, where your roles give several users; `tap kube ls` lists them
        #[arg(long = "as", value_name = "USER")]
        wanted: Option<String>,
        /// The file to write; without it, what kubectl itself would write to
        #[arg(long, value_name = "PATH")]
        kubeconfig: Option<PathBuf>,
    },
    /// Tap now, so that the next command finds a fresh tap where your role wants one
    #[command(after_help = "Example:\n  tap kube tap prod && kubectl delete pod web-0")]
    Tap {
        /// The cluster
        cluster: TargetName,
        /// Whom to be there, where your roles give several users
        #[arg(long = "as", value_name = "USER")]
        wanted: Option<String>,
    },
    /// What kubectl runs: prints certificate and key of a session, after a tap where one is due
    #[command(after_help = "Example:\n  tap kube credentials prod --login 'dev[view]'")]
    Credentials {
        /// The cluster
        cluster: TargetName,
        /// Whom to be there
        #[arg(long, value_name = "USER[GROUP,…]")]
        login: String,
    },
}

/// Runs the command.
pub async fn run(context: &Context, command: Kube) -> Result<()> {
    match command {
        Kube::Ls => list(context).await,
        Kube::Login { cluster, wanted, kubeconfig } => log_in(context, &cluster, wanted.as_deref(), kubeconfig).await,
        Kube::Tap { cluster, wanted } => tap_now(context, &cluster, wanted.as_deref()).await,
        Kube::Credentials { cluster, login } => {
            let login = Login::parse(Kind::KubeCluster, &login).act(|| "the login cannot be read".to_owned())?;
            output::write(&format!("{}\n", credentials::run(context, &cluster, &login).await?))
        }
    }
}

/// The clusters that this user may open.
pub(crate) async fn clusters(context: &Context) -> Result<Vec<TargetEntry>> {
    let Targets { mut targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
    targets.retain(|target| target.kind == Kind::KubeCluster.as_str());
    Ok(targets)
}

async fn list(context: &Context) -> Result<()> {
    let clusters = clusters(context).await?;
    output::show(context.format(), &clusters, |clusters| super::tap::rows(clusters))
}

async fn log_in(
    context: &Context,
    cluster: &TargetName,
    wanted: Option<&str>,
    kubeconfig: Option<PathBuf>,
) -> Result<()> {
    let login = login_at(&clusters(context).await?, cluster, wanted, "--as")?;
    let profile = &context.profile;
    let program = std::env::current_exe().act(|| "tap does not know where it is".to_owned())?;
    let mut arguments: Vec<String> =
        ["kube", "credentials", cluster.as_str(), "--login", &login].map(str::to_owned).into();
    arguments.extend(["--gate".to_owned(), profile.gate.to_string()]);
    let entry = kubeconfig::Entry {
        name: format!("{}-{cluster}", profile.gate.host()),
        server: format!("https://{}/{cluster}", profile.gate),
        server_name: profile.cluster_door(),
        ca: super::auth::of_gate(context).await?,
        command: (program.display().to_string(), arguments),
    };
    let path = match kubeconfig {
        Some(path) => path,
        None => kubeconfig::default_path()?,
    };
    kubeconfig::write(&path, &entry)?;
    output::write(&format!("Wrote the context {} to {}. Try: kubectl get pods\n", entry.name, path.display()))
}

async fn tap_now(context: &Context, cluster: &TargetName, wanted: Option<&str>) -> Result<()> {
    let login = login_at(&clusters(context).await?, cluster, wanted, "--as")?;
    let login = Login::parse(Kind::KubeCluster, &login).act(|| "the login cannot be read".to_owned())?;
    if context.no_agent {
        return Err(
            Failure::new("without the agent nothing keeps the tap for the next command").advise("leave --no-agent out")
        );
    }
    match session::open_anew(context, Kind::KubeCluster, cluster, &login).await? {
        Access::Window { .. } => output::write(&format!("Tapped for {cluster}. Run your command now.\n")),
        Access::Login => output::write(&format!("No tap is due for {cluster}.\n")),
    }
}

/// The login in a cluster that is wanted, by this option, or the only one.
pub(crate) fn login_at(
    clusters: &[TargetEntry],
    cluster: &TargetName,
    wanted: Option<&str>,
    option: &str,
) -> Result<String> {
    let entry = clusters.iter().find(|entry| entry.name == cluster.as_str());
    let entry = entry.ok_or_else(|| {
        Failure::new(format!("there is no cluster \"{cluster}\", or it is not yours"))
            .advise("tap kube ls shows what you may open")
    })?;
    choose(&entry.logins, wanted, option)
}

/// The login that is wanted, or the only one.
fn choose(logins: &[String], wanted: Option<&str>, option: &str) -> Result<String> {
    let user = |login: &String| login.split('[').next().unwrap_or_default().to_owned();
    let fits = |login: &&String| wanted.is_none_or(|wanted| user(login) == wanted || *login == wanted);
    let mut fitting = logins.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => {
            Err(Failure::new("your roles do not give you that user here").advise("tap kube ls shows whom you may be"))
        }
        (Some(_), Some(_)) => {
            let users: Vec<String> = logins.iter().map(user).collect();
            Err(Failure::new("your roles give you several users here")
                .advise(format!("choose one with {option}: {}", users.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_to_be() {
        let two = ["dev[edit,view]".to_owned(), "ops[admin]".to_owned()];
        assert_eq!(choose(&two, Some("dev"), "--as").unwrap(), "dev[edit,view]");
        assert_eq!(choose(&two[1..], None, "--as").unwrap(), "ops[admin]");
        assert!(choose(&two, None, "--as").unwrap_err().to_string().contains("--as: dev, ops"));
        assert!(choose(&two, Some("root"), "--as").is_err());
    }
}
