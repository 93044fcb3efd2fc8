//! Kubernetes: real kubectl through the real gate to a real API server.

mod ends;
mod proxy;
mod resources;
pub(crate) mod scene;
mod sessions;
mod streams;
