//! The edge: what reaches the gate before anybody is known.

mod bare;
mod care;
mod deploy;
mod enrolling;
mod interface;
mod limits;
mod operator;
mod port;
mod proxied;
mod reload;
mod rotation;
mod tls;
