//! The edge: what reaches the gate before anybody is known.

mod acme;
mod bare;
mod care;
mod clock;
mod deploy;
mod disks;
mod drain;
mod enrolling;
mod floods;
mod gate_ca;
mod handover;
mod interface;
mod limits;
mod operator;
mod port;
mod proxied;
mod reload;
mod rotation;
mod supervisor;
mod tls;
mod traces;
