//! The doors of the protocols, each made from its parts in a file of its own.

pub(crate) mod http;
