//! Tells a supervisor how the gate stands: the datagrams of `sd_notify(3)`, where somebody wants them.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The gate is open. It says whose process it is: a fresh one may have taken over.
pub(crate) fn ready() {
    tell(&format!("MAINPID={}\nREADY=1\nSTATUS=open", std::process::id()));
}

/// The gate reads its files anew, until it says that it is ready.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
}

/// The gate is about to end.
pub(crate) fn stopping(sessions: usize) {
    tell(&format!("STOPPING=1\nSTATUS=closing, {sessions} sessions are open"));
}

fn tell(state: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = place.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, "The supervisor can't be told how the gate stands");
    }
}
