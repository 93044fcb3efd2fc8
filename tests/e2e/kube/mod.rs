//! Kubernetes: real kubectl through the real gate to a real API server.

mod ends;
mod proxy;
mod resources;
mod scene;
mod sessions;
mod streams;
