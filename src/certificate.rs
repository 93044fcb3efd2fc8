//! Which certificate a handshake is shown: the gate's own where clients know it by its pin, the operator's where
//! browsers come. The operator's is read from its files, and read anew when they change.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use anyhow::{Context as _, Result, ensure};
use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tapgate_config::CertificateFiles;
use tapgate_model::{Digest, UnixTime, tunnel};

use crate::limits::CERTIFICATE_FILE_MAX;
use crate::words::words;

/// The operator's certificate, where there is one.
#[derive(Debug, Default)]
pub(crate) struct OperatorCertificate {
    files: Option<CertificateFiles>,
    current: ArcSwapOption<CertifiedKey>,
}

impl OperatorCertificate {
    /// Reads the files, which must be good where they are named.
    pub(crate) fn open(files: Option<CertificateFiles>) -> Result<Self> {
        let one = Self { files, current: ArcSwapOption::empty() };
        one.reload()?;
        Ok(one)
    }

    /// The same for files that the gate itself writes: they may not be there yet, and what is broken is asked for anew.
    pub(crate) fn issued(files: CertificateFiles) -> Self {
        let one = Self { files: Some(files), current: ArcSwapOption::empty() };
        if one.files().is_some_and(|files| files.certificate.exists())
            && let Err(error) = one.reload()
        {
            tracing::error!(error = words(&error), "The certificate that was issued before can't be used");
        }
        one
    }

    /// From when till when the certificate is valid, where there is one that can be read.
    pub(crate) fn span(&self) -> Option<(UnixTime, UnixTime)> {
        let current = self.current.load_full()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(current.cert.first()?).ok()?;
        let at = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok().map(UnixTime::from_secs);
        Some((at(parsed.validity().not_before)?, at(parsed.validity().not_after)?))
    }

    /// Whether the certificate is for this name.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        self.of(name).is_some()
    }

    /// The files, to look at whether they have changed.
    pub(crate) const fn files(&self) -> Option<&CertificateFiles> {
        self.files.as_ref()
    }

    /// Reads the files anew. Where anything is wrong, the certificate of before stays.
    pub(crate) fn reload(&self) -> Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        self.current.store(Some(Arc::new(read(files)?)));
        Ok(())
    }

    /// The certificate, where it is for this name.
    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.current.load_full().filter(|certified| is_for(certified, name))
    }
}

/// Reads a chain and its key: PEM, the server's own certificate first.
pub(crate) fn read(files: &CertificateFiles) -> Result<CertifiedKey> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain = CertificateDer::pem_slice_iter(&bytes(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{certificate} holds no certificates in PEM"))?;
    ensure!(!chain.is_empty(), "{certificate} holds no certificate in PEM");
    let private = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?);
    let private = private.with_context(|| format!("{key} holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, private, &default_provider())
        .with_context(|| format!("{key} is not the key of {certificate}, or of a kind that TLS does not take"))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?.len();
    ensure!(size <= CERTIFICATE_FILE_MAX, "{} is larger than {CERTIFICATE_FILE_MAX} bytes", path.display());
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

/// Whether the certificate is for this name, as a browser would look at it.
fn is_for(certified: &CertifiedKey, name: &str) -> bool {
    let (Some(leaf), Ok(name)) = (certified.cert.first(), ServerName::try_from(name)) else { return false };
    let parsed = ParsedCertificate::try_from(leaf);
    parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
}

/// A certificate's chain, and its key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Which host authority signs at present.
pub(crate) type Era = Arc<dyn Fn() -> Digest + Send + Sync>;

/// The gate's own certificate for some names. When another host authority signs than when it was made, it is made anew.
pub(crate) struct Own {
    make: Box<dyn Fn() -> io::Result<Shown> + Send + Sync>,
    era: Era,
    current: ArcSwap<(Digest, Arc<CertifiedKey>)>,
}

impl Own {
    pub(crate) fn new(make: impl Fn() -> io::Result<Shown> + Send + Sync + 'static, era: Era) -> io::Result<Self> {
        let current = (era(), certified(make()?)?);
        Ok(Self { make: Box::new(make), era, current: ArcSwap::from_pointee(current) })
    }

    /// The one to show now. Where no new one can be made, the one of before is good still.
    pub(crate) fn get(&self) -> Arc<CertifiedKey> {
        let (now, current) = ((self.era)(), self.current.load_full());
        if current.0 == now {
            return Arc::clone(&current.1);
        }
        match (self.make)().and_then(certified) {
            Ok(fresh) => {
                self.current.store(Arc::new((now, Arc::clone(&fresh))));
                fresh
            }
            Err(error) => {
                tracing::error!(%error, "The gate's certificate can't be made anew");
                Arc::clone(&current.1)
            }
        }
    }

    /// This very certificate from now on, for those who hold on to its key.
    pub(crate) fn fixed(&self) -> Self {
        let current = self.current.load_full();
        let era = current.0;
        let never = || Err(io::Error::other("a certificate that stays is not made anew"));
        Self { make: Box::new(never), era: Arc::new(move || era), current: ArcSwap::new(current) }
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

fn certified((chain, key): Shown) -> io::Result<Arc<CertifiedKey>> {
    CertifiedKey::from_der(chain, key, &default_provider()).map(Arc::new).map_err(io::Error::other)
}

/// The certificates of one name: a handshake is shown one of them.
#[derive(Debug)]
pub(crate) struct Certificates {
    own: Arc<Own>,
    operator: Arc<OperatorCertificate>,
}

impl Certificates {
    pub(crate) const fn new(own: Arc<Own>, operator: Arc<OperatorCertificate>) -> Self {
        Self { own, operator }
    }
}

impl ResolvesServerCert for Certificates {
    /// This project's client says so in its ALPN, and is shown the certificate that it has pinned; so is who names
    /// nobody. All others are shown the operator's, where it is for the name they ask for.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pinned = hello.alpn().into_iter().flatten().any(|name| name.starts_with(tunnel::PREFIX));
        let operator = hello.server_name().filter(|_| !pinned).and_then(|name| self.operator.of(name));
        Some(operator.unwrap_or_else(|| self.own.get()))
    }
}
