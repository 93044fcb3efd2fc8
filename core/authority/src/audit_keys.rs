//! What an auditor needs beside the log: the public keys of devices and providers, those of the past among them.

use tapgate_audit::{AuditConnector, AuditKey, AuditKeys, AuditProviderKey, Life, LogKey, LogPublicKey};
use tapgate_model::UnixTime;
use tapgate_proof::Registration;
use tapgate_store::Store;
use zeroize::Zeroizing;

use crate::cas::kept;
use crate::{Authority, AuthorityError, key};

/// The key that signs the audit log's checkpoints; made where there is none. It is read before the authority is: the
/// log comes first.
pub fn log_key(store: &dyn Store, now: UnixTime) -> Result<LogKey, AuthorityError> {
    let made = || LogKey::generate().map(Zeroizing::new).ok_or_else(|| AuthorityError::internal("a key can't be made"));
    let bytes = kept(store, "audit-log", now, made)?;
    LogKey::from_pkcs8(&bytes).ok_or_else(|| AuthorityError::internal("the stored key of the audit log is damaged"))
}

/// The key under which recordings are sealed; made where there is none.
pub fn recordings_key(store: &dyn Store, now: UnixTime) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    kept(store, "recordings", now, || Ok(Zeroizing::new(crate::token::random::<32>().to_vec())))
}

impl Authority {
    /// Every public key that counts or has counted. There is no secret in it.
    pub fn audit_keys(&self, log: LogPublicKey) -> Result<AuditKeys, AuthorityError> {
        let mut devices = Vec::new();
        for (prefix, counts) in [(key::REGISTRATIONS, true), (key::RETIRED, false)] {
            for registration in self.registrations(prefix)? {
                let lives = self.lives(&registration, counts)?;
                devices.push(AuditKey { registration, lives });
            }
        }
        let policy = std::sync::Arc::clone(&self.state.load().policy);
        let connector = |connector: &tapgate_policy::OidcResource| AuditConnector {
            issuer: connector.issuer_url.clone(),
            audience: connector.client_id.clone(),
            classes: connector.step_up_classes(),
            login_classes: connector.sign_in_classes(),
        };
        let provider_keys = self.sso_kept_keys()?.into_iter().flat_map(|(issuer, keys)| {
            keys.into_iter().map(move |key| AuditProviderKey { issuer: issuer.clone(), key })
        });
        Ok(AuditKeys {
            version: 1,
            cluster_name: self.cluster.clone(),
            gate: self.gate,
            relying_party: self.relying_party().clone(),
            pins: self.pins.load().to_vec(),
            log_keys: vec![log],
            devices,
            ssh_keys: self.audit_ssh_keys()?,
            accounts: self.sso_accounts()?,
            connectors: policy.connectors().map(connector).collect(),
            provider_keys: provider_keys.collect(),
        })
    }

    /// When a device counted: before it was removed, and since it was registered.
    fn lives(&self, registration: &Registration, counts: bool) -> Result<Vec<Life>, AuthorityError> {
        let prefix = key::registration(&registration.user, &registration.credential_id);
        let prefix = format!("{}/", prefix.replacen(key::REGISTRATIONS, key::LIVES, 1));
        let mut lives = Vec::new();
        for (key, entry) in self.store.list(&prefix, self.now().as_secs())? {
            let from = key.strip_prefix(&prefix).and_then(|text| text.parse().ok());
            let until = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
            if let (Some(from), Some(until)) = (from, until) {
                lives.push(Life { from: UnixTime::from_secs(from), until: Some(UnixTime::from_secs(until)) });
            }
        }
        // Of one that was removed before the gate kept such times, the end is not known.
        if counts || lives.is_empty() {
            lives.push(Life { from: registration.created, until: None });
        }
        Ok(lives)
    }
}
