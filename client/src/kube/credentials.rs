//! What kubectl asks its credential plugin for (`client.authentication.k8s.io/v1`): certificate and key of a session.

use serde::Serialize;
use tapgate_model::{Kind, Login, TargetName, UnixTime};

use crate::cli::Context;
use crate::error::{Act as _, Result};
use crate::limits::WINDOW_MARGIN;
use crate::session::{self, Access, Signer};

/// The plugin's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: &'static str,
    kind: &'static str,
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: String,
    client_certificate_data: String,
    client_key_data: String,
}

/// Gets the credentials, after a tap where one is due; answers the JSON that belongs on standard output.
pub async fn run(context: &Context, cluster: &TargetName, login: &Login) -> Result<String> {
    let status = match session::open(context, Kind::KubeCluster, cluster, login).await? {
        Access::Login => {
            let files = context.login_files();
            let read = |path: &std::path::Path| {
                std::fs::read_to_string(path).act(|| format!("{} cannot be read", path.display()))
            };
            Status {
                expiration_timestamp: context.profile.expires.unwrap_or(UnixTime::from_secs(0)).to_string(),
                client_certificate_data: read(&files.tls_certificate)?,
                client_key_data: read(&files.tls_key)?,
            }
        }
        Access::Window { certificates, signer } => {
            let key = match signer {
                Signer::Here(key) => key,
                Signer::Agent(agent, id) => agent.key(id).await?,
            };
            let expires = certificates.expires.saturating_sub(WINDOW_MARGIN.as_secs());
            Status {
                expiration_timestamp: UnixTime::from_secs(expires).to_string(),
                client_certificate_data: certificates.tls_certificate,
                client_key_data: key.to_pem().to_string(),
            }
        }
    };
    let answer = ExecCredential { api_version: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
    serde_json::to_string(&answer).act(|| "the credentials cannot be written".to_owned())
}
