//! Databases: finding them, opening them with their own clients, serving them on this machine, and running one
//! statement in many of them.

pub mod config;
pub mod connect;
pub mod exec;
pub mod find;
pub mod front;
pub mod program;
pub mod proxy;
pub mod select;
