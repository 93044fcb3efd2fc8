//! Applications: browsers and scripts through the gate to real web and TCP servers.

mod bad_input;
mod browser;
mod device;
mod dns;
mod door;
mod ends;
mod health;
mod http2;
mod pinned;
mod scene;
mod tcp;
mod tunnel;
mod upstream;
mod upstream_bad;
