//! Makes MySQL and MariaDB.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::Authority;
use tapgate_model::Clock;
use tapgate_mysql::{Mysql, MysqlParts};
use tapgate_session::Gate;
use tapgate_sql::Classifier;

use crate::tls::{TlsParts, Upgrade};

/// MySQL, on a port of its own and within the client's tunnel.
pub(crate) fn make(
    authority: &Arc<Authority>,
    gate: &Gate,
    clock: &Arc<dyn Clock>,
    tls: &TlsParts,
    classifier: &Classifier,
) -> Result<Mysql> {
    let upgrade = Upgrade::new(tls.clone(), &[], None).context("TLS within MySQL can't be set up")?;
    Ok(Mysql::new(MysqlParts {
        gate: gate.clone(),
        clock: Arc::clone(clock),
        start_tls: Arc::new(upgrade),
        target_ca: authority.target_sources().1,
        classifier: classifier.clone(),
    }))
}
