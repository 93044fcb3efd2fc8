//! `tap` and `tapctl`: the user's and the administrator's commands, as modules that the two binaries share.

pub mod agent;
pub mod audit;
pub mod browser;
pub mod ceremony;
pub mod child;
pub mod cli;
pub mod db;
pub mod desktop;
pub mod error;
pub mod files;
pub mod gate_addr;
pub mod http;
pub mod keys;
pub mod kube;
pub mod limits;
pub mod login;
pub mod profile;
pub mod proxy;
pub mod registration;
pub mod session;
pub mod solver;
pub mod ssh;
pub mod ssh_agent;
pub mod sso;
pub mod tls;
pub mod tunnel;
