//! Fuzz bodies: plain functions that panic where something is wrong.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::FutureExt as _;

use crate::login::{Credentials, log_in};
use crate::name::Destination;
use crate::relay::{self, Eye, Step};
use crate::said::Said;
use crate::startup::{self, Packet};
use crate::watch::Watch;
use crate::wire::{Broken, Frame, field, text};

/// A first packet of any bytes, and what is made of it.
pub fn startup(bytes: &[u8]) {
    let _ = crate::serve::sniff(bytes);
    drop(startup::read(&mut &*bytes).now_or_never());
    match startup::parse(bytes) {
        Ok(Packet::Startup(startup)) => {
            drop(startup.negotiation());
            for host in [None, Some("orders")] {
                if let Ok(destination) = Destination::of(&startup, host) {
                    let again = destination.login.to_string();
                    assert_eq!(again, format!("{}/{}", destination.user, destination.database));
                }
            }
        }
        Ok(Packet::Cancel(key)) => {
            let request = key.request();
            let read = startup::parse(request.get(4..).unwrap_or_default());
            assert_eq!(read.ok(), Some(Packet::Cancel(key)), "a key must read as itself");
        }
        Ok(Packet::Tls | Packet::Gss) | Err(_) => {}
    }
}

/// What a target may say while the gate logs in to it.
pub fn login(bytes: &[u8]) {
    let mut io = tokio::io::join(bytes, tokio::io::sink());
    let credentials = Credentials { user: "app", password: None, clear: true, binding: None };
    drop(log_in(&mut io, credentials).now_or_never());
}

/// A conversation: the first byte says how often each side speaks. What passes unseen passes unchanged.
pub fn conversation(bytes: &[u8]) {
    let (split, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let (client, target) = rest.split_at(split.min(rest.len()));
    let mut watch = Watch::default();
    for (side, said) in [(Side::Client, client), (Side::Target, target)] {
        let mut output = Vec::new();
        let within = AtomicBool::new(false);
        let mut eye = Both { side, watch: &mut watch };
        let mut from = said;
        drop(relay::pass(&mut from, &mut output, &mut eye, &within).now_or_never());
        assert!(said.starts_with(&output), "nothing is changed where nothing is judged");
        drop(watch.over());
    }
    watch.finish();
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Target,
}

/// Looks at everything.
struct Both<'a> {
    side: Side,
    watch: &'a mut Watch,
}

impl Eye for Both<'_> {
    fn wants(&self, kind: u8) -> Option<usize> {
        let wants = match self.side {
            Side::Client => Watch::wants_of_client(kind),
            Side::Target => Watch::wants_of_target(kind),
        };
        wants.then_some(1024)
    }

    async fn look(&mut self, frame: Frame<'_>) -> Result<Step, Broken> {
        let _ = field(frame.body, b'M');
        match self.side {
            Side::Client => {
                let said = Some(Arc::new(Said::new(text(frame.body).0, frame.whole)));
                let refused = frame.body.first().filter(|byte| **byte == b'!').map(|_| Arc::from("no"));
                self.watch.client(&frame, said, refused)?;
            }
            Side::Target => drop(self.watch.target(&frame, |body| body.first() == Some(&b'!'))),
        }
        Ok(Step::Pass)
    }

    fn moved(&mut self) {
        self.watch.stir();
    }
}
