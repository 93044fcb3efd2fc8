//! The listening sockets: handed down by a supervisor, or by the process before, or bound here.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use listenfd::ListenFd;
use tokio::net::TcpSocket;

use crate::limits::BACKLOG;

/// Where listening sockets come from.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    handed: Vec<TcpListener>,
}

impl Sockets {
    /// What the environment says was handed down (`LISTEN_FDS`, as systemd does it). To be called before there are
    /// threads: the environment is cleared of it, so that no child believes it.
    pub(crate) fn handed_down() -> Self {
        let mut listed = ListenFd::from_env();
        let taken = (0..listed.len()).filter_map(|place| listed.take_tcp_listener(place).ok().flatten());
        Self { handed: taken.collect() }
    }

    /// How many were handed down and are not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.handed.len()
    }

    /// The socket for this address: one that was handed down for it, or at least for its port, or a fresh one.
    pub(crate) fn at(&mut self, address: SocketAddr, reuse_port: bool) -> Result<TcpListener> {
        let own = |listener: &TcpListener| listener.local_addr().ok();
        let exact = self.handed.iter().position(|listener| own(listener) == Some(address));
        let port = || self.handed.iter().position(|one| own(one).is_some_and(|at| at.port() == address.port()));
        let listener = match exact.or_else(port) {
            Some(place) => Ok(self.handed.swap_remove(place)),
            None => bind(address, reuse_port),
        };
        let ready = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        ready.with_context(|| format!("can't listen on {address} (is another gate running there?)"))
    }
}

fn bind(address: SocketAddr, reuse_port: bool) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier life that the kernel still remembers are no reason to wait.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_handed_down_is_taken_and_all_else_is_bound() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let handed: Vec<TcpListener> = (0..2).map(|_| bind(any, false).unwrap()).collect();
        let [first, second] = [&handed[0], &handed[1]].map(|listener| listener.local_addr().unwrap());
        let mut sockets = Sockets { handed };
        assert_eq!(sockets.at(second, false).unwrap().local_addr().unwrap(), second);
        // A supervisor may have bound all addresses of the port.
        let everywhere = SocketAddr::from(([0, 0, 0, 0], first.port()));
        let _first = sockets.at(everywhere, false).unwrap();
        assert_eq!(sockets.left(), 0);
        let taken = sockets.at(first, false).unwrap_err();
        assert!(format!("{taken:#}").contains("is another gate running there?"), "{taken:#}");
        assert_ne!(sockets.at(any, false).unwrap().local_addr().unwrap().port(), first.port());
    }

    #[tokio::test]
    async fn a_port_is_shared_where_all_who_share_it_say_so() {
        let one = bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = one.local_addr().unwrap();
        assert!(bind(address, true).is_ok());
        assert!(bind(address, false).is_err());
    }
}
