//! A gate without Network Level Authentication has nothing to give to clients with a file.

use std::net::SocketAddr;
use std::sync::Arc;

use tapgate_model::Clock;
use tapgate_relay::{Io, Sniff};

use crate::Desktop;
use crate::page::{DesktopFile, NoFile, Wish};
use crate::serve::WebSessions;

/// There are none.
pub(crate) struct Files;

impl Files {
    pub(crate) fn new(_: Arc<dyn Clock>, _: Arc<dyn WebSessions>) -> Self {
        Self
    }
}

pub(crate) const fn sniff(_: &[u8]) -> Sniff {
    Sniff::No
}

impl Desktop {
    /// Says that there can be none.
    pub fn file(&self, _: Wish) -> Result<DesktopFile, NoFile> {
        Err(NoFile::NotBuilt)
    }

    pub(crate) async fn with_file(&self, io: Box<dyn Io>, _: SocketAddr, _: Option<Box<dyn Send + Sync>>) {
        drop(io);
    }
}
