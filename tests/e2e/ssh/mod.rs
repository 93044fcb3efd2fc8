//! SSH sessions through the gate: the system's own ssh and sshd.

mod certificates;
mod channels;
mod clients;
mod crowd;
mod deeds;
mod ends;
mod features;
mod forwarding;
mod jump;
mod plain;
mod prompt;
mod recording;
mod recording_s3;
mod servers;
mod session;
mod stock;
mod targets;
mod tools;
