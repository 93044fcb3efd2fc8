//! Kubernetes: real kubectl through the real gate to a real API server.

mod bad_input;
mod clients;
mod credentials;
mod direct;
mod ends;
mod proxy;
mod recording;
mod resources;
pub(crate) mod scene;
mod sessions;
mod streams;
