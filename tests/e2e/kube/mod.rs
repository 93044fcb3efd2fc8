//! Kubernetes: real kubectl through the real gate to a real API server.

mod scene;
mod sessions;
mod streams;
