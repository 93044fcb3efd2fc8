//! Kubernetes clusters: the context in the kubeconfig, and the credentials that kubectl asks for.

pub mod credentials;
pub mod kubeconfig;
pub mod proxy;
