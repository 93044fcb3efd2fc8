//! Database sessions through the gate: stock clients and real servers.

mod client;
mod client_exec;
mod client_mysql;
mod client_proxy;
mod hostile_targets;
pub(crate) mod my_scene;
mod mysql;
mod mysql_ends;
mod mysql_hostile;
mod mysql_load;
mod mysql_policy;
mod mysql_real;
mod postgres;
mod postgres_bulk;
mod postgres_drivers;
mod postgres_ends;
mod postgres_hostile;
mod postgres_load;
mod postgres_logins;
mod postgres_newer;
mod postgres_policy;
mod rust_drivers;
pub(crate) mod scene;
