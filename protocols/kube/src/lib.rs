//! Kubernetes API servers behind the gate.
//!
//! A client speaks HTTP to `https://k8s.<gate>/<cluster>/…` with its certificate. Every request is looked at by
//! itself: the certificate's time, the session that it belongs to, what it asks. It goes on with the gate's own
//! credentials and with `Impersonate` headers that say who the session's login is. `LIFECYCLE.md` walks through it.

mod answer;
mod body;
mod cluster;
mod filter;
pub mod fuzz;
mod headers;
mod health;
mod inflate;
mod json;
mod limits;
mod path;
mod prompt;
mod request_info;
mod rules;
mod serve;
mod sessions;
mod spdy;
mod status;
mod trace;
mod upgrade;
mod upstream;
mod ways;
mod websocket;

pub use health::Health;
pub use request_info::RequestInfo;
pub use serve::{Kube, KubeParts};
