//! A client of the gate's interface that keeps what `tap` would let go: keys, assertions, certificates.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use ssh_key::PublicKey;
use tapgate_api::{Assertion, Requirement, SessionBegin, SessionCertificates, SessionTarget, path};
use tapgate_client::ceremony::{Checked, Deed, Wish, origin};
use tapgate_client::gate_addr::{CaPin, GateAddr};
use tapgate_client::http::Http;
use tapgate_client::keys::{LoginFiles, sha256, to_base64};
use tapgate_client::solver::SoftwareKey;
use tapgate_client::tls::{Tls, install_provider};
use tapgate_lab::{Client, KeyPair, Sshd};
use tapgate_model::{Clock as _, Kind, SystemClock, TargetName, UserName};

use super::World;

/// Somebody who is logged in and has a software key.
pub(crate) struct Tapper {
    pub(crate) http: Http,
    gate: GateAddr,
    pin: CaPin,
    user: UserName,
    software_key: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Tapper {
    /// What this client's home holds.
    pub(crate) fn new(world: &World, client: &Client, user: &str) -> Result<Self> {
        install_provider();
        let gate: GateAddr = world.address.parse().map_err(|e| anyhow!("{e}"))?;
        let pin: CaPin = world.pin.parse().map_err(|e| anyhow!("{e}"))?;
        let files = login_files(world, client);
        let http = Http::new(Tls::with_login(gate.clone(), &pin, &files).map_err(|e| anyhow!("{e}"))?);
        let software_key = client.home().join("software-key.json");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { http, gate, pin, user: user.parse()?, software_key, runtime })
    }

    /// Asks for a session of this node and answers the assertion, not sent yet.
    pub(crate) fn assertion(&self, key: &KeyPair, target: &str) -> Result<(Assertion, bool)> {
        let spki = tapgate_identity::ssh_key_spki(&PublicKey::from_openssh(key.public())?).context("no Ed25519 key")?;
        self.assertion_for(&spki, Kind::Node, target, &Sshd::login()?)
    }

    /// The same for any target and any key.
    pub(crate) fn assertion_for(
        &self,
        spki: &[u8],
        kind: Kind,
        target: &str,
        login: &str,
    ) -> Result<(Assertion, bool)> {
        let wanted = SessionTarget { kind: kind.to_string(), name: target.to_owned(), login: login.to_owned() };
        let begin = SessionBegin { targets: vec![wanted], public_key: to_base64(spki) };
        let asked: Requirement = self.wait(self.http.post(path::SESSION_BEGIN, &begin))?;
        let Requirement::Tap { ceremony, reusable } = asked else { return Err(anyhow!("no tap is due")) };
        let name: TargetName = target.parse()?;
        let deed = Deed::Session { kind, target: &name, login, key: sha256(spki), reusable };
        let wish = Wish { gate: self.pin.digest(), user: &self.user, deed, now: SystemClock.now() };
        let find: tapgate_api::Find = self.wait(self.http.get(path::FIND, &[]))?;
        let origin = origin(&self.gate, &find.auth).map_err(|e| anyhow!("{e}"))?;
        let checked = Checked::new(*ceremony, &wish).map_err(|e| anyhow!("{e}"))?;
        let tapped = checked.tap(&origin, &mut SoftwareKey::at(self.software_key.clone()));
        Ok((tapped.map_err(|e| anyhow!("{e}"))?, reusable))
    }

    /// Sends an assertion.
    pub(crate) fn finish(&self, assertion: &Assertion) -> Result<SessionCertificates> {
        self.wait(self.http.post(path::SESSION_FINISH, assertion))
    }

    /// A session certificate for this key, laid beside it, where ssh looks.
    pub(crate) fn session(&self, key: &KeyPair, target: &str) -> Result<()> {
        let (assertion, _) = self.assertion(key, target)?;
        lay(key, &self.finish(&assertion)?.ssh_certificate)
    }

    /// Runs a request to its end.
    pub(crate) fn wait<T>(
        &self,
        request: impl Future<Output = Result<T, tapgate_client::error::Failure>>,
    ) -> Result<T> {
        self.runtime.block_on(request).map_err(|failure| anyhow!("{failure}"))
    }
}

/// Where this client's login is.
pub(crate) fn login_files(world: &World, client: &Client) -> LoginFiles {
    LoginFiles::within(&client.tap_home().join("keys").join(&world.address))
}

/// Writes a certificate beside its key.
pub(crate) fn lay(key: &KeyPair, certificate: &str) -> Result<()> {
    let name = key.path().file_name().unwrap_or_default().to_string_lossy();
    let path = key.path().with_file_name(format!("{name}-cert.pub"));
    Ok(std::fs::write(path, format!("{}\n", certificate.trim()))?)
}
