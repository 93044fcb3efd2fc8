//! Makes the PostgreSQL protocol.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::Authority;
use tapgate_config::Config;
use tapgate_model::{Clock, tunnel};
use tapgate_postgres::{Postgres, PostgresParts};
use tapgate_session::Gate;
use tapgate_sql::Classifier;

use crate::tls::{TlsParts, Upgrade};

/// PostgreSQL, at its own first bytes and through TLS.
pub(crate) fn make(
    config: &Config,
    authority: &Arc<Authority>,
    gate: &Gate,
    clock: &Arc<dyn Clock>,
    tls: &TlsParts,
    classifier: &Classifier,
) -> Result<Postgres> {
    let under = under(config);
    let upgrade = Upgrade::new(tls.clone(), &[tunnel::POSTGRES_DIRECT], under.clone());
    Ok(Postgres::new(PostgresParts {
        gate: gate.clone(),
        start_tls: Arc::new(upgrade.context("TLS within PostgreSQL can't be set up")?),
        target_ca: authority.target_sources().1,
        clock: Arc::clone(clock),
        under,
        classifier: classifier.clone(),
    }))
}

/// The name below which databases have names of their own; an address has none below it.
pub(crate) fn under(config: &Config) -> Option<String> {
    let host = &config.public_addr.host;
    host.parse::<std::net::IpAddr>().is_err().then(|| format!("db.{}", host.to_ascii_lowercase()))
}
