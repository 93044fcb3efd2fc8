//! The doors of the protocols: each made of what the edge has, in a file of its own.

pub(crate) mod desktop;
pub(crate) mod http;
pub(crate) mod kube;
pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod ssh;
