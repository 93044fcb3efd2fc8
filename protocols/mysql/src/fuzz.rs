//! The bodies of the fuzz targets: whatever the bytes, they are read without a panic.

use crate::answer::{Answer, Form, Step};
use crate::command::Command;
use crate::kill::Kill;
use crate::uses;
use crate::wire::greeting::Greeting;
use crate::wire::login::First;

/// Reads bytes as every packet that a peer may send during a login.
pub fn login(data: &[u8]) {
    drop(Greeting::parse(data));
    if let Ok(First::Login(packet)) = First::parse(data) {
        // What was read can be said again.
        assert!(First::parse(&packet.encode()).is_ok());
    }
}

/// Reads bytes as commands: their forms, and what their texts ask for.
pub fn command(data: &[u8]) {
    if let Command::Query(text) | Command::Prepare(text) = Command::parse(data) {
        let text = String::from_utf8_lossy(text);
        drop(uses::databases(&text));
        if let Some(kill) = Kill::parse(&text) {
            assert_eq!(Kill::parse(&kill.text_for(7)).map(|kill| kill.thread), Some(7));
        }
    }
}

/// Reads bytes as answers of every form: each chunk is a length and a packet.
pub fn answer(data: &[u8]) {
    let forms = [Form::Status, Form::Text, Form::Results, Form::Prepared, Form::Columns, Form::Rows, Form::Stream];
    for (form, no_eof) in forms.into_iter().flat_map(|form| [(form, true), (form, false)]) {
        let mut answer = Answer::new(form, no_eof);
        let mut rest = data;
        while let Some((length, more)) = rest.split_first() {
            let (packet, after) = more.split_at(usize::from(*length).min(more.len()));
            rest = after;
            if matches!(answer.packet(packet, packet.len()), Step::Ended(_) | Step::Strange) {
                break;
            }
        }
    }
}
