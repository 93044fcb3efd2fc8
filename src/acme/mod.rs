//! The certificate for browsers, from an authority that issues by itself (ACME, RFC 8555): asked for, kept, and renewed.

mod challenge;
mod http;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tapgate_config::{AcmeConfig, CertificateFiles};
use tapgate_model::{Clock, UnixTime};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use challenge::Challenges;

use crate::certificate::OperatorCertificate;
use crate::limits::{ACME_LOOK, ACME_MAX, ACME_POLL_MAX, ACME_RETRY_FIRST, ACME_RETRY_LAST};
use crate::words::words;

/// How much of a directory's URL is in the name of its account's file: file systems take 255 bytes.
const NAME_MAX: usize = 200;

/// Who looks after the certificate.
pub(crate) struct Acme {
    pub(crate) config: AcmeConfig,
    /// The directory of what is kept.
    pub(crate) folder: PathBuf,
    pub(crate) certificate: Arc<OperatorCertificate>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The directory of what is kept, below the gate's own.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("acme")
}

/// The files of the certificate.
pub(crate) fn files(folder: &Path) -> CertificateFiles {
    CertificateFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

impl Acme {
    /// Asks for a certificate whenever one is due, until it is told to stop.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut pause = ACME_RETRY_FIRST;
        loop {
            let wait = if self.is_due() { self.ask(&mut pause).await } else { ACME_LOOK };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// Whether there is no certificate for these names, or two thirds of its time are over.
    fn is_due(&self) -> bool {
        let Some((from, to)) = self.certificate.span() else { return true };
        let third = Duration::from_secs(to.since(from).as_secs() / 3);
        let missing = self.config.names.iter().any(|name| !self.certificate.is_for(name));
        missing || self.clock.now() >= UnixTime::from_secs(to.as_secs().saturating_sub(third.as_secs()))
    }

    /// Asks once; answers how long to wait until the next look.
    async fn ask(&self, pause: &mut Duration) -> Duration {
        let asked = timeout(ACME_MAX, self.issue()).await.unwrap_or_else(|_| bail_late());
        self.challenges.clear();
        let result = if asked.is_ok() { "good" } else { "broken" };
        metrics::counter!("tapgate_acme_orders_total", "result" => result).increment(1);
        match asked {
            Ok(()) => {
                tracing::info!(
                    names = self.config.names.join(" "),
                    "The certificate authority has issued a certificate"
                );
                *pause = ACME_RETRY_FIRST;
                ACME_LOOK
            }
            Err(error) => {
                let next = *pause;
                let error = words(&error);
                tracing::error!(error, next_in_secs = next.as_secs(), "No certificate was issued: what there is stays");
                *pause = (next * 2).min(ACME_RETRY_LAST);
                next
            }
        }
    }

    async fn issue(&self) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let account = self.account().await?;
        let names: Vec<Identifier> = self.config.names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.context("the order was refused")?;
        self.show(&mut order).await?;
        let retry = RetryPolicy::default().timeout(ACME_POLL_MAX);
        match order.poll_ready(&retry).await.context("the order does not get ready")? {
            OrderStatus::Ready | OrderStatus::Valid => {}
            status => bail!("the order is {status:?}: {}", why(&mut order).await),
        }
        let key = KeyPair::generate().context("no key could be made")?;
        let mut parameters = CertificateParams::new(self.config.names.clone())?;
        parameters.distinguished_name = DistinguishedName::new();
        let request = parameters.serialize_request(&key)?;
        order.finalize_csr(request.der()).await.context("the certificate request was refused")?;
        let chain = order.poll_certificate(&retry).await.context("the certificate does not come")?;
        let files = files(&self.folder);
        // The key first: with the chain of before it makes no pair, and then the pair is asked for again.
        put(&files.key, key.serialize_pem().as_bytes())?;
        put(&files.certificate, chain.as_bytes())?;
        self.certificate.reload().context("what was issued can't be used")
    }

    /// The account of this directory: the one that was kept, or a new one.
    async fn account(&self) -> Result<Account> {
        let http = || http::Http::new(self.config.trust.as_deref()).map(Box::new);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.config.directory.chars().map(plain).take(NAME_MAX).collect();
        let file = self.folder.join(format!("account-{name}.json"));
        if let Ok(text) = fs::read(&file) {
            let kept: AccountCredentials =
                serde_json::from_slice(&text).with_context(|| format!("{} is no account", file.display()))?;
            let account = Account::builder_with_http(http()?).from_credentials(kept).await;
            return account.context("the account can't be used");
        }
        let contact = self.config.contact.as_ref().map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let made = Account::builder_with_http(http()?).create(&wanted, self.config.directory.clone(), None).await;
        let (account, kept) = made.context("there is no account to be had")?;
        put(&file, &serde_json::to_vec(&kept)?)?;
        Ok(account)
    }

    /// Shows what the authority wants to see at each name.
    async fn show(&self, order: &mut Order) -> Result<()> {
        let kind = || if self.config.http_listen.is_some() { ChallengeType::Http01 } else { ChallengeType::TlsAlpn01 };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.context("an authorization can't be read")?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let offered = authorization.challenge(kind());
            let mut challenge = offered.with_context(|| format!("the authority offers no {:?}", kind()))?;
            let Identifier::Dns(name) = challenge.identifier().identifier else { bail!("it is about no host name") };
            let (name, proof) = (name.clone(), challenge.key_authorization());
            match kind() {
                ChallengeType::Http01 => self.challenges.show_http(&challenge.token, proof.as_str()),
                _ => self.challenges.show_tls(&name, proof.digest().as_ref())?,
            }
            challenge.set_ready().await.with_context(|| format!("the authority does not look at {name}"))?;
        }
        Ok(())
    }
}

fn bail_late() -> Result<()> {
    bail!("the authority took longer than {} seconds", ACME_MAX.as_secs())
}

/// What the authority found wrong, as far as it says.
async fn why(order: &mut Order) -> String {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        found.extend(state.challenges.iter().filter_map(|challenge| challenge.error.as_ref()).map(ToString::to_string));
    }
    if found.is_empty() { "the authority does not say why".to_owned() } else { found.join("; ") }
}

/// Writes a file for its owner alone, whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let written: std::io::Result<()> = (|| {
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    })();
    written.with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::date_time_ymd;
    use tapgate_model::ManualClock;

    /// Whether a certificate of the year 2027 for this name is asked for again on this day of it.
    fn is_due(name: &str, day: u64) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2027, 1, 1);
        parameters.not_after = date_time_ymd(2028, 1, 1);
        let files = files(folder.path());
        put(&files.certificate, parameters.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        put(&files.key, key.serialize_pem().as_bytes()).unwrap();
        let new_year = UnixTime::from_secs(1_798_761_600);
        let config = AcmeConfig {
            directory: "https://ca.example.com/d".to_owned(),
            contact: None,
            names: vec!["gate.example.com".to_owned()],
            trust: None,
            http_listen: None,
        };
        let acme = Acme {
            config,
            folder: folder.path().to_owned(),
            certificate: Arc::new(OperatorCertificate::issued(files)),
            challenges: Arc::default(),
            clock: Arc::new(ManualClock::new(new_year.plus(Duration::from_secs(day * 86_400)))),
        };
        acme.is_due()
    }

    #[test]
    fn a_certificate_is_due_when_two_thirds_of_its_time_are_over_or_a_name_is_missing() {
        assert!(!is_due("gate.example.com", 1) && !is_due("gate.example.com", 242));
        assert!(is_due("gate.example.com", 245) && is_due("gate.example.com", 400));
        assert!(is_due("other.example.com", 1));
    }

    #[test]
    fn where_there_is_none_it_is_due_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let none = OperatorCertificate::issued(files(folder.path()));
        assert_eq!((none.span(), none.is_for("gate.example.com")), (None, false));
    }
}
