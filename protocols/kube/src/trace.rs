//! What a recording is told of an exec or attach: its terminal, what it puts out, and how it ends. What is typed is not
//! recorded: it may be a password, and where it is none the terminal shows it.

use serde::Deserialize;
use tapgate_audit::Taped;

use crate::limits::{PLAIN_OUTPUT_MAX, SIZE_BYTES_MAX, STATUS_BYTES_MAX};
use crate::websocket::Unreadable;

/// What tells the recording.
pub(crate) type Tell = Box<dyn FnMut(Taped<'_>) + Send>;

/// What a terminal is taken for until it has told its size, and what container runtimes set `TERM` to.
const TERMINAL: Taped<'_> = Taped::Terminal { cols: 80, rows: 24, name: "xterm" };

/// An exec or attach that is recorded.
pub(crate) struct Trace {
    tell: Tell,
    terminal: Terminal,
    /// How much of the output is still recorded, where there is no terminal.
    left: usize,
    skipped: u64,
    size: Vec<u8>,
    status: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminal {
    None,
    /// There is one, and the recording has not been told yet.
    Due,
    Told,
}

/// A terminal's size, as clients write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// `metav1.Status`, as far as it says how a command ended.
#[derive(Deserialize)]
struct Status {
    #[serde(rename = "status")]
    outcome: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Trace {
    /// Of what has a terminal or none.
    pub(crate) fn new(tell: Tell, terminal: bool) -> Self {
        let terminal = if terminal { Terminal::Due } else { Terminal::None };
        Self { tell, terminal, left: PLAIN_OUTPUT_MAX, skipped: 0, size: Vec::new(), status: Vec::new() }
    }

    /// It put this out, as errors or not.
    pub(crate) fn output(&mut self, bytes: &[u8], errors: bool) {
        if self.terminal == Terminal::Due {
            self.terminal = Terminal::Told;
            (self.tell)(TERMINAL);
        }
        let kept = if self.terminal == Terminal::None { bytes.len().min(self.left) } else { bytes.len() };
        let (kept, rest) = bytes.split_at(kept);
        if self.terminal == Terminal::None {
            self.left -= kept.len();
            self.skipped += u64::try_from(rest.len()).unwrap_or(u64::MAX);
        }
        if !kept.is_empty() {
            (self.tell)(if errors { Taped::Errors(kept) } else { Taped::Output(kept) });
        }
    }

    /// The client said this of its terminal's size: JSON objects, one after the other.
    pub(crate) fn sizes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.size.push(*byte);
            if *byte == b'}' {
                let size = serde_json::from_slice(&std::mem::take(&mut self.size));
                if let Ok(Size { width, height }) = size {
                    self.resized(width.into(), height.into());
                }
            } else if self.size.len() > SIZE_BYTES_MAX {
                self.size.clear();
            }
        }
    }

    fn resized(&mut self, cols: u32, rows: u32) {
        match self.terminal {
            Terminal::None => {}
            Terminal::Due => {
                self.terminal = Terminal::Told;
                (self.tell)(Taped::Terminal { cols, rows, name: "xterm" });
            }
            Terminal::Told => (self.tell)(Taped::Resize { cols, rows }),
        }
    }

    /// The server said this of how it ended. It is read at the end, so it may not be long.
    pub(crate) fn status(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        self.status.extend_from_slice(bytes);
        if self.status.len() > STATUS_BYTES_MAX { Err(Unreadable) } else { Ok(()) }
    }

    /// It is over.
    pub(crate) fn over(&mut self) {
        let text = std::mem::take(&mut self.status);
        let ended: Result<Status, _> = serde_json::from_slice(text.trim_ascii());
        let exit = match &ended {
            Ok(status) if status.outcome == "Success" => Some(0),
            Ok(status) => {
                let code = status.details.causes.iter().find(|cause| cause.reason == "ExitCode");
                code.and_then(|cause| cause.message.parse().ok())
            }
            Err(_) => None,
        };
        // Where it is no exit status, it is words for the user, as before the fourth version of the protocol.
        if exit.is_none() && !text.is_empty() {
            let words = ended.map_or_else(|_| String::from_utf8_lossy(&text).into_owned(), |status| status.message);
            self.output(words.as_bytes(), true);
        }
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            (self.tell)(Taped::Skipped(skipped));
        }
        if let Some(exit) = exit {
            (self.tell)(Taped::Exit(exit));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a recording is told while this happens.
    fn told(terminal: bool, act: impl FnOnce(&mut Trace)) -> Vec<String> {
        let all = Arc::<Mutex<Vec<String>>>::default();
        let to = Arc::clone(&all);
        let mut trace = Trace::new(Box::new(move |what| to.lock().unwrap().push(format!("{what:?}"))), terminal);
        act(&mut trace);
        trace.over();
        let all = all.lock().unwrap();
        all.clone()
    }

    #[test]
    fn a_terminal_is_told_whole_with_its_sizes() {
        let all = told(true, |trace| {
            trace.sizes(b"{\"Width\":91,\"Hei");
            trace.sizes(b"ght\":33}\n{\"Width\":80,\"Height\":24}\n{\"Width\":\"?\"}");
            trace.output(b"hi", false);
            trace.status(b"{\"metadata\":{},\"status\":\"Success\"}\n").unwrap();
        });
        let due = [
            "Terminal { cols: 91, rows: 33, name: \"xterm\" }",
            "Resize { cols: 80, rows: 24 }",
            "Output([104, 105])",
            "Exit(0)",
        ];
        assert_eq!(all, due);
        let all = told(true, |trace| trace.output(&vec![b'x'; PLAIN_OUTPUT_MAX + 1], false));
        assert!(all.len() == 2 && all[0] == format!("{TERMINAL:?}") && all[1].len() > PLAIN_OUTPUT_MAX);
    }

    #[test]
    fn without_a_terminal_only_the_beginning_is_told() {
        let all = told(false, |trace| {
            trace.output(b"e", true);
            trace.output(&vec![b'x'; PLAIN_OUTPUT_MAX - 1], false);
            trace.output(b"yz", false);
            trace.sizes(b"{\"Width\":91,\"Height\":33}");
            let status = "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\
                          \"ExitCode\",\"message\":\"7\"}]}}";
            trace.status(status.as_bytes()).unwrap();
        });
        assert_eq!((all[0].as_str(), all.len()), ("Errors([101])", 4));
        assert_eq!(all[2..], ["Skipped(2)", "Exit(7)"]);
    }

    #[test]
    fn what_did_not_come_about_is_told_in_its_words() {
        let all = told(false, |trace| trace.status(b"{\"status\":\"Failure\",\"message\":\"no\"}").unwrap());
        assert_eq!(all, ["Errors([110, 111])"]);
        let all = told(false, |trace| trace.status(b"no").unwrap());
        assert_eq!(all, ["Errors([110, 111])"]);
        told(false, |trace| assert!(trace.status(&vec![b' '; STATUS_BYTES_MAX + 1]).is_err()));
    }
}
