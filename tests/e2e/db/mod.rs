//! Database sessions through the gate: stock clients and real servers.

mod my_scene;
mod mysql;
mod mysql_ends;
mod mysql_hostile;
mod mysql_load;
mod mysql_policy;
