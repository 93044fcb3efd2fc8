//! `tap ssh`, `tap scp` and `tap proxy ssh`: the system's OpenSSH, with the gate's certificates.

pub mod agent_socket;
pub mod batch;
pub mod config;
pub mod copy;
pub mod destination;
pub mod options;
pub mod run;
pub mod tunnel;
pub mod window;
