//! Network Level Authentication (MS-CSSP), NTLM within TLS and bound to its certificate: the gate's logon on a desktop,
//! and the proof of a client that brings a one-time password.

use sspi::credssp::{
    ClientMode, ClientState, CredSspClient, CredSspMode, CredSspServer, CredentialsProxy, NStatusCode, ServerMode,
    ServerState, TsRequest,
};
use sspi::generator::GeneratorState;
use sspi::ntlm::NtlmConfig;
use sspi::{AuthIdentity, Username};
use tapgate_relay::Io;
use tapgate_session::Upstream;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::der;
use super::x224::ReadError;
use crate::limits::{CREDSSP_MAX, CREDSSP_STEPS_MAX};
use crate::password::Password;

/// Why the desktop did not let the gate in, in words for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NlaError {
    #[error("its certificate can't be read")]
    Certificate,
    #[error("the login's name can't be used for Network Level Authentication")]
    Name,
    #[error("it did not take the gate's name and password (it hung up)")]
    HungUp(#[from] std::io::Error),
    #[error("Network Level Authentication failed: {0}")]
    Failed(String),
    #[error("it wants Kerberos, which the gate does not speak")]
    Kerberos,
    #[error("Network Level Authentication went on for too long")]
    TooLong,
}

/// Logs on. The password goes to the desktop at the end, encrypted for whoever has the key of the certificate that TLS
/// has looked at.
pub(super) async fn prove(
    stream: &mut TlsStream<Upstream>,
    (user, domain): (&str, Option<&str>),
    password: &Password,
    host: &str,
) -> Result<(), NlaError> {
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let key = key_of(shown.ok_or(NlaError::Certificate)?)?;
    client(stream, (user, domain), password.reveal().to_owned(), key, host).await
}

async fn client(
    io: &mut (impl Io + ?Sized),
    (user, domain): (&str, Option<&str>),
    password: String,
    key: Vec<u8>,
    host: &str,
) -> Result<(), NlaError> {
    let username = Username::new(user, domain).map_err(|_| NlaError::Name)?;
    let identity = AuthIdentity { username, password: password.into() };
    let (mode, service) = (ClientMode::Ntlm(NtlmConfig::default()), format!("TERMSRV/{host}"));
    let mut client = CredSspClient::new(key, identity.into(), CredSspMode::WithCredentials, mode, service)
        .map_err(|error| failed(&error))?;
    let mut said = TsRequest::default();
    for _ in 0..CREDSSP_STEPS_MAX {
        let step = match client.process(said).start() {
            GeneratorState::Completed(step) => step.map_err(|error| failed(&error))?,
            // Only Kerberos asks others on the way.
            GeneratorState::Suspended(_) => return Err(NlaError::Kerberos),
        };
        match step {
            ClientState::ReplyNeeded(answer) => write(io, &answer).await?,
            ClientState::FinalMessage(answer) => return write(io, &answer).await,
        }
        said = read(io).await?;
    }
    Err(NlaError::TooLong)
}

fn failed(error: &sspi::Error) -> NlaError {
    NlaError::Failed(format!("{:?}", error.error_type))
}

/// Reads one message.
async fn read(io: &mut (impl Io + ?Sized)) -> Result<TsRequest, NlaError> {
    let bytes = der::read(io, CREDSSP_MAX).await.map_err(|error| match error {
        ReadError::Io(error) => NlaError::HungUp(error),
        ReadError::Malformed | ReadError::TooLong => NlaError::TooLong,
    })?;
    TsRequest::from_buffer(&bytes).map_err(|error| NlaError::Failed(error.to_string()))
}

async fn write(io: &mut (impl Io + ?Sized), said: &TsRequest) -> Result<(), NlaError> {
    let mut bytes = Vec::new();
    said.encode_ts_request(&mut bytes).map_err(|error| NlaError::Failed(error.to_string()))?;
    io.write_all(&bytes).await?;
    Ok(io.flush().await?)
}

/// The key of a certificate, as both sides of the authentication bind themselves to it.
pub(crate) fn key_of(certificate: &[u8]) -> Result<Vec<u8>, NlaError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| NlaError::Certificate)?;
    Ok(certificate.public_key().subject_public_key.data.to_vec())
}

/// Has a client prove that it knows this password, whatever it calls itself. It is bound to the gate's certificate with
/// this key, so that whoever stands between learns nothing that they could use.
pub(crate) async fn verify(io: &mut (impl Io + ?Sized), key: Vec<u8>, password: &str) -> Result<(), NlaError> {
    let mode = ServerMode::Ntlm(NtlmConfig::new("tapgate".to_owned()));
    let mut server = CredSspServer::new(key, OnePassword(password), mode).map_err(|error| failed(&error))?;
    for _ in 0..CREDSSP_STEPS_MAX {
        let said = read(io).await?;
        let step = match server.process(said).start() {
            GeneratorState::Completed(step) => step,
            GeneratorState::Suspended(_) => return Err(NlaError::Kerberos),
        };
        match step {
            Ok(ServerState::ReplyNeeded(answer)) => write(io, &answer).await?,
            // Only behind a proof that verifies. What the client gives away here, its password, is dropped.
            Ok(ServerState::Finished(_)) => return Ok(()),
            Err(refused) => {
                // Whatever it was, the client reads that the password was wrong, and no more.
                if let Some(answer) = refused.ts_request {
                    let error_code = Some(NStatusCode::LOGON_FAILURE);
                    write(io, &TsRequest { version: answer.version, error_code, ..TsRequest::default() }).await?;
                }
                return Err(failed(&refused.error));
            }
        }
    }
    Err(NlaError::TooLong)
}

/// The one password that is good here, under any name.
struct OnePassword<'a>(&'a str);

impl CredentialsProxy for OnePassword<'_> {
    type AuthenticationData = AuthIdentity;

    fn auth_data_by_user(&mut self, username: &Username) -> std::io::Result<AuthIdentity> {
        Ok(AuthIdentity { username: username.clone(), password: self.0.to_owned().into() })
    }

    fn auth_data(&mut self) -> std::io::Result<Vec<AuthIdentity>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a client with this password, bound to this key, at a gate whose password and key are others'.
    async fn logon(password: &str, key: &[u8]) -> (bool, bool) {
        let (mut ours, mut theirs) = tokio::io::duplex(8192);
        let gate = tokio::spawn(async move { verify(&mut ours, vec![7; 65], "one-time").await.is_ok() });
        let client = client(&mut theirs, ("ann", None), password.to_owned(), key.to_vec(), "gate").await.is_ok();
        drop(theirs);
        (gate.await.unwrap(), client)
    }

    #[tokio::test]
    async fn only_the_password_opens_and_only_over_the_gates_own_certificate() {
        assert_eq!(logon("one-time", &[7; 65]).await, (true, true));
        for (password, key) in [("one-timE", [7; 65]), ("", [7; 65]), ("one-time", [8; 65])] {
            assert!(!logon(password, &key).await.0, "{password}");
        }
    }

    #[tokio::test]
    async fn a_proof_that_is_no_proof_opens_nothing() {
        // A first message that already carries what only a proof may carry.
        let forged = TsRequest { pub_key_auth: Some(vec![1; 32]), ..TsRequest::default() };
        for said in [forged, TsRequest { auth_info: Some(vec![1; 64]), ..TsRequest::default() }] {
            let (mut ours, mut theirs) = tokio::io::duplex(8192);
            let gate = tokio::spawn(async move { verify(&mut ours, vec![7; 65], "one-time").await.is_ok() });
            write(&mut theirs, &said).await.unwrap();
            drop(theirs);
            assert!(!gate.await.unwrap());
        }
    }
}
