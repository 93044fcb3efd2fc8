//! Kubernetes: real kubectl through the real gate to a real API server.

pub(crate) mod scene;
mod sessions;
mod streams;
