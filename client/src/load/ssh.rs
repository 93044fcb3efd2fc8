//! One SSH session: a command, and its exit status.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use russh::client::{AuthResult, Config, DisconnectReason, Handler};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect, Preferred, cipher};
use tapgate_model::{Clock as _, SystemClock};

use super::route::Route;
use super::tally::{Fault, Kind};
use crate::error::{Act as _, Result};

/// What is offered: AES-GCM first, as `tap ssh` has it, and host certificates, by which the gate is known.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let ciphers = [cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::AES_256_CTR, cipher::AES_128_CTR];
    Arc::new(Config {
        preferred: Preferred {
            cipher: ciphers.to_vec().into(),
            host_key_certificates: Preferred::DEFAULT.key,
            ..Preferred::DEFAULT
        },
        nodelay: true,
        ..Config::default()
    })
});

/// By which keys a server is known: its own, or those that sign host certificates.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
}

impl Known {
    /// The gate's authorities, from the file that a login writes.
    pub(super) fn of_gate(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).act(|| format!("{} cannot be read", file.display()))?;
        let authority = |line: &str| PublicKey::from_openssh(line.strip_prefix("@cert-authority * ")?.trim()).ok();
        Ok(Self { keys: Vec::new(), authorities: text.lines().filter_map(authority).collect() })
    }

    /// These keys and no others.
    pub(super) const fn pinned(keys: Vec<PublicKey>) -> Self {
        Self { keys, authorities: Vec::new() }
    }

    /// Whether what a server has shown, and signed the key exchange by, is known. The gate's names are not compared:
    /// the tunnel's TLS has told that it is the gate.
    fn holds(&self, shown: &PublicKeyOrCertificate) -> bool {
        let key = shown.public_key();
        if self.keys.iter().any(|known| known.key_data() == key.key_data()) {
            return true;
        }
        let Some(certificate) = shown.certificate().filter(|found| found.cert_type() == CertType::Host) else {
            return false;
        };
        let authorities: Vec<_> = self.authorities.iter().map(|key| key.fingerprint(HashAlg::Sha256)).collect();
        certificate.validate_at(SystemClock.now().as_secs(), &authorities).is_ok()
    }
}

/// What the server says when it ends a connection.
type Said = Arc<Mutex<Option<String>>>;

struct Client {
    known: Arc<Known>,
    said: Said,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(self.known.holds(shown))
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(told) => {
                *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(told.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// Runs the command; answers when the target had opened a channel for it.
pub(super) async fn session(route: &Route, command: &str) -> Result<Instant, Fault> {
    let (stream, passport) = route.ssh().await?;
    let said = Said::default();
    // What was said of the end is the better reason.
    let fault = |kind: Kind, error: &dyn std::fmt::Display| {
        let told = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.map_or_else(
            || Fault::new(kind, error.to_string()),
            |told| Fault::new(Kind::Refused, told.trim_start_matches("ERROR: ")),
        )
    };
    let client = Client { known: Arc::clone(&passport.known), said: Arc::clone(&said) };
    let connecting = russh::client::connect_stream(Arc::clone(&CONFIG), stream, client);
    let mut handle = connecting.await.map_err(|error| match error {
        russh::Error::UnknownKey => {
            Fault::new(Kind::Unreachable, "the server's host key is not known (put it into --known-hosts)")
        }
        error => fault(Kind::Unreachable, &error),
    })?;
    let entered = if let Some(certificate) = passport.certificate {
        handle.authenticate_openssh_cert(&passport.user, passport.key, certificate).await
    } else {
        let key = PrivateKeyWithHashAlg::new(passport.key, Some(HashAlg::Sha256));
        handle.authenticate_publickey(&passport.user, key).await
    };
    match entered {
        Ok(AuthResult::Success) => {}
        Ok(AuthResult::Failure { .. }) => {
            return Err(fault(Kind::Refused, &"the server takes neither this login nor this key"));
        }
        Err(error) => return Err(fault(Kind::Broken, &error)),
    }
    let broken = |error: russh::Error| fault(Kind::Broken, &error);
    let mut channel = handle.channel_open_session().await.map_err(broken)?;
    let reached = Instant::now();
    channel.exec(true, command).await.map_err(broken)?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => return Err(Fault::new(Kind::Refused, "the server runs no commands")),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    // A server that is gone needs no farewell.
    handle.disconnect(Disconnect::ByApplication, "", "").await.ok();
    match status {
        Some(0) => Ok(reached),
        Some(status) => Err(Fault::new(Kind::Answer, format!("the command ended with {status}"))),
        None => Err(fault(Kind::Broken, &"the command ended without a status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gates_authorities_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        std::fs::write(&file, format!("@cert-authority * {key}\n@cert-authority * {key} old\nhost {key}\n")).unwrap();
        let known = Known::of_gate(&file).unwrap();
        assert_eq!((known.authorities.len(), known.keys.len()), (2, 0));
        let key = PublicKey::from_openssh(key).unwrap();
        assert!(!known.holds(&PublicKeyOrCertificate::PublicKey { key: key.clone(), hash_alg: None }));
        let pinned = Known::pinned(vec![key.clone()]);
        assert!(pinned.holds(&PublicKeyOrCertificate::PublicKey { key, hash_alg: None }));
    }
}
