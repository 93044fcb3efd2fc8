//! One connection's channels: what the client says goes to the channel that it is for.

use std::collections::HashMap;

use bytes::Bytes;
use russh::server::Handle;
use tokio::sync::mpsc;

use super::process::{Channel, Input};
use super::say;
use crate::limits::CHANNELS_MAX;
use crate::wire::Packet;
use crate::write::{self, OpenFailure};

/// What a client may send on a channel before its program has taken it.
const WINDOW: u32 = 1024 * 1024;

/// Data in one packet, as OpenSSH has it.
const PACKET_MAX: u32 = 32 * 1024;

/// One connection to the demo target.
pub(super) struct Connection {
    handle: Handle,
    login: String,
    may_have_pty: bool,
    channels: HashMap<u32, mpsc::UnboundedSender<Input>>,
    next: u32,
}

impl Connection {
    pub(super) fn new(handle: Handle, login: String, may_have_pty: bool) -> Self {
        Self { handle, login, may_have_pty, channels: HashMap::new(), next: 0 }
    }

    /// Takes a packet; an error is one against the protocol.
    pub(super) fn packet(&mut self, bytes: &[u8]) -> Result<(), ()> {
        match Packet::parse(bytes).map_err(|_| ())? {
            Packet::GlobalRequest { want_reply: true, .. } => {
                self.handle.send_raw(write::request_failure());
            }
            Packet::GlobalRequest { .. } | Packet::RequestSuccess | Packet::RequestFailure => {}
            Packet::Open { kind, sender, window, packet_max, .. } => self.open(kind, sender, window, packet_max),
            Packet::WindowAdjust { recipient, bytes } => self.pass(recipient, Input::Window(bytes)),
            Packet::Data { recipient, length, .. } => {
                let start = bytes.len().saturating_sub(usize::try_from(length).map_err(|_| ())?);
                let data = bytes.get(start..).unwrap_or_default();
                self.pass(recipient, Input::Data(Bytes::copy_from_slice(data)));
            }
            Packet::Eof { recipient } => self.pass(recipient, Input::Eof),
            Packet::Close { recipient } => {
                self.pass(recipient, Input::Close);
                self.channels.remove(&recipient);
            }
            Packet::Request { recipient, name, want_reply, body } => {
                let input = Input::Request { name: name.to_owned(), want_reply, body: Bytes::copy_from_slice(body) };
                self.pass(recipient, input);
            }
            // This side opens no channels and asks nothing about them.
            Packet::OpenConfirmation { .. }
            | Packet::OpenFailure { .. }
            | Packet::Success { .. }
            | Packet::Failure { .. } => return Err(()),
        }
        Ok(())
    }

    fn pass(&self, number: u32, input: Input) {
        if let Some(channel) = self.channels.get(&number) {
            // What is said of a channel that has just ended is lost.
            drop(channel.send(input));
        }
    }

    fn open(&mut self, kind: &str, sender: u32, window: u32, packet_max: u32) {
        self.channels.retain(|_, channel| !channel.is_closed());
        if kind != "session" || self.channels.len() >= CHANNELS_MAX {
            let words = "the demo target has sessions only, and not too many";
            self.handle.send_raw(write::open_failure(sender, OpenFailure::Prohibited, words));
            return;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let (inputs, input) = mpsc::unbounded_channel();
        self.channels.insert(number, inputs);
        self.handle.send_raw(say::confirmation(sender, number, WINDOW, PACKET_MAX));
        let packet_max = usize::try_from(packet_max.clamp(1, PACKET_MAX)).unwrap_or(1);
        let channel = Channel::new(self.handle.clone(), sender, window, packet_max);
        tokio::spawn(channel.run(input, self.login.clone(), self.may_have_pty));
    }
}
