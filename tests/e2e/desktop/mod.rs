//! Desktop sessions through the gate: real viewers, real desktops, what is seen and what is typed.

mod bad_input;
mod ends;
mod file;
mod nla;
mod page;
mod rdp;
mod scene;
mod vnc;
