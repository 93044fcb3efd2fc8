//! Applications: browsers and scripts through the gate to real web and TCP servers.

mod bad_input;
mod browser;
mod door;
mod scene;
mod tcp;
mod tunnel;
mod upstream;
