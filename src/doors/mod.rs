//! The doors of the protocols: each made of what the edge has.

pub(crate) mod kube;
