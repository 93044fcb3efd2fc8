//! The edge: what reaches the gate before anybody is known.

mod acme;
mod bare;
mod clock;
mod disks;
mod drain;
mod floods;
mod handover;
mod interface;
mod limits;
mod operator;
mod port;
mod proxied;
mod reload;
mod supervisor;
mod tls;
mod traces;
