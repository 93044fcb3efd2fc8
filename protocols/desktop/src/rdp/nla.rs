//! Network Level Authentication (MS-CSSP) towards a desktop: NTLM within TLS, bound to the desktop's certificate.

use sspi::credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, TsRequest};
use sspi::generator::GeneratorState;
use sspi::ntlm::NtlmConfig;
use sspi::{AuthIdentity, Username};
use tapgate_session::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

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
    let (_, certificate) = shown.and_then(|der| X509Certificate::from_der(der).ok()).ok_or(NlaError::Certificate)?;
    let key = certificate.public_key().subject_public_key.data.to_vec();
    let username = Username::new(user, domain).map_err(|_| NlaError::Name)?;
    let identity = AuthIdentity { username, password: password.reveal().to_owned().into() };
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
        let (answer, is_last) = match step {
            ClientState::ReplyNeeded(answer) => (answer, false),
            ClientState::FinalMessage(answer) => (answer, true),
        };
        let mut bytes = Vec::new();
        answer.encode_ts_request(&mut bytes).map_err(|error| NlaError::Failed(error.to_string()))?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        if is_last {
            return Ok(());
        }
        said = read(stream).await?;
    }
    Err(NlaError::TooLong)
}

fn failed(error: &sspi::Error) -> NlaError {
    NlaError::Failed(format!("{:?}", error.error_type))
}

/// Reads one message, whose head tells its length.
async fn read(stream: &mut TlsStream<Upstream>) -> Result<TsRequest, NlaError> {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).await?;
    let further = match bytes.get(1) {
        Some(first) if first & 0x80 != 0 => usize::from(first & 0x7f),
        _ => 0,
    };
    if further > 4 {
        return Err(NlaError::TooLong);
    }
    bytes.resize(2 + further, 0);
    stream.read_exact(bytes.get_mut(2..).unwrap_or_default()).await?;
    let length = match bytes.get(2..).unwrap_or_default() {
        [] => usize::from(bytes.get(1).copied().unwrap_or_default()),
        more => more.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    };
    if length > CREDSSP_MAX {
        return Err(NlaError::TooLong);
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    stream.read_exact(bytes.get_mut(head..).unwrap_or_default()).await?;
    TsRequest::from_buffer(&bytes).map_err(|error| NlaError::Failed(error.to_string()))
}
