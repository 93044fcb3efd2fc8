//! Which application a host name stands for, as the resources say just now.

use tapgate_model::TargetName;
use tapgate_session::Gate;

use crate::session::AppSession;

/// The host names of applications.
#[derive(Clone)]
pub(crate) struct Hosts {
    gate: Gate,
    /// The domain under which every application has a name, where there is one.
    domain: Option<String>,
    /// The port that browsers use.
    port: u16,
}

impl Hosts {
    pub(crate) const fn new(gate: Gate, domain: Option<String>, port: u16) -> Self {
        Self { gate, domain, port }
    }

    pub(crate) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The application of this host name, which is in lower case.
    pub(crate) fn app(&self, host: &str) -> Option<TargetName> {
        let domain = self.domain.as_deref();
        let snapshot = self.gate.snapshot();
        let mut apps = snapshot.policy().apps();
        apps.find(|app| app.public_host(domain).as_deref() == Some(host)).map(|app| app.name.clone())
    }

    /// The public host of an application.
    pub(crate) fn of(&self, app: &tapgate_session::AppResource) -> Option<String> {
        app.public_host(self.domain.as_deref())
    }

    /// The public host of a session: the one that its browser asks, or its application's.
    pub(crate) fn public(&self, session: &AppSession) -> Option<String> {
        session.host.clone().or_else(|| self.of(&session.app))
    }

    /// Host and port as browsers write them.
    pub(crate) fn authority(&self, host: &str) -> String {
        if self.port == 443 { host.to_owned() } else { format!("{host}:{}", self.port) }
    }

    /// The origin of this host.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("https://{}", self.authority(host))
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}
