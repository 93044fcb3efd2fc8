//! The profile in TLS handshakes: what the gate asks of clients, and what a client asks of its gate.

mod client;
mod one;
mod pinned;
mod signatures;
mod target;

pub use client::{ClientAuth, ClientVerifier, server_config};
pub use one::target_config_of_one;
pub use pinned::{Lineage, PinnedGate};
pub use target::{TargetTlsError, target_config};

use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}
