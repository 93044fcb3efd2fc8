//! The protocols that the edge offers, each made of the gate's parts.

pub(crate) mod mysql;
pub(crate) mod postgres;
