//! SSH sessions through the gate: the system's own ssh and sshd.

mod certificates;
mod channels;
mod deeds;
mod ends;
mod forwarding;
mod jump;
mod prompt;
mod session;
mod stock;
mod targets;
mod tools;
