//! Desktop sessions through the gate: real viewers, real desktops, what is seen and what is typed.

mod bad_input;
mod ends;
mod nla;
mod rdp;
mod scene;
mod vnc;
