//! SSH sessions through the gate: the system's own ssh and sshd.

mod session;
