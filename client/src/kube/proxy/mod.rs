//! `tap proxy kube`: clusters at a place on this machine, for every client that can't run a credential plugin.

mod local;
mod pass;
mod taps;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tapgate_model::{Kind, Login, TargetName};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use self::local::Local;
use self::pass::Pass;
use self::taps::Taps;
use crate::ceremony::Goal;
use crate::cli::kube::{clusters, login_at};
use crate::cli::{Context, output};
use crate::error::{Act as _, Failure, Result};
use crate::limits::PROXY_CONNECTIONS_MAX;
use crate::proxy::app::told_to_end;
use crate::proxy::http::Serve;
use crate::proxy::listen::{Listener, Place};
use crate::proxy::secret::Secret;

/// What to serve, and where.
#[derive(Debug, clap::Args)]
pub struct ProxyKube {
    /// The clusters, as in tap kube ls; one tap opens all of them
    #[arg(value_name = "CLUSTER", required = true)]
    pub clusters: Vec<TargetName>,
    /// Whom to be there, where your roles give several users
    #[arg(long = "as", value_name = "USER")]
    pub wanted: Option<String>,
    /// Listen on this port of 127.0.0.1, 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
}

/// What is printed once it serves.
#[derive(Debug, Serialize)]
struct Served {
    clusters: Vec<TargetName>,
    address: String,
    kubeconfig: PathBuf,
}

/// Serves until it is told to end.
pub async fn run(context: Context, proxy: ProxyKube) -> Result<()> {
    context.user()?;
    let known = clusters(&context).await?;
    let mut goals: Vec<Goal> = Vec::with_capacity(proxy.clusters.len());
    for target in proxy.clusters {
        let login = login_at(&known, &target, proxy.wanted.as_deref(), "--as")?;
        let login = Login::parse(Kind::KubeCluster, &login).act(|| "the login cannot be read".to_owned())?;
        if goals.iter().all(|goal| goal.target != target) {
            goals.push(Goal { kind: Kind::KubeCluster, target, login });
        }
    }
    let listener = Listener::bind(&Place::Port(proxy.port)).await?;
    let address = listener.address().ok_or_else(|| Failure::new("the proxy has no port"))?;
    let (format, folder) = (context.format(), context.home.run()?.to_owned());
    let taps = Taps::new(Arc::new(context), goals)?;
    taps.prepare().await?;
    let (secret, local) = (Secret::generate()?, Local::generate()?);
    let file = local.kubeconfig(&folder, address.port(), &secret, &taps.clusters())?;
    let told = Served { clusters: taps.clusters(), address: address.to_string(), kubeconfig: file.path().to_owned() };
    output::show(format, &told, describe)?;
    let serve = Arc::new(Serve::new(secret, address.port()));
    let pass = Arc::new(Pass { taps, serve, tls: TlsAcceptor::from(Arc::clone(&local.tls)) });
    // A security key is asked on the thread that it was found on, so that all connections stay on this one.
    let work = async {
        tokio::select! {
            failed = accept(&listener, &pass) => failed,
            ended = told_to_end() => ended,
        }
    };
    LocalSet::new().run_until(work).await
}

fn describe(served: &Served) -> String {
    let names: Vec<_> = served.clusters.iter().map(TargetName::as_str).collect();
    format!(
        "Proxying to {} at https://{} until Ctrl-C, for whoever can read the file below.\n\nexport KUBECONFIG={}\n",
        names.join(", "),
        served.address,
        served.kubeconfig.display()
    )
}

async fn accept(listener: &Listener, pass: &Arc<Pass>) -> Result<()> {
    let room = Arc::new(Semaphore::new(PROXY_CONNECTIONS_MAX));
    loop {
        let local = listener.accept().await?;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            eprintln!("WARNING: too many connections at once; one was closed");
            continue;
        };
        let pass = Arc::clone(pass);
        tokio::task::spawn_local(async move {
            if let Err(failure) = pass.connection(local).await {
                eprintln!("ERROR: {failure}");
            }
            drop(permit);
        });
    }
}
