//! Secrets at the terminal: typed unseen, and ended at once by Ctrl-C with the terminal as it was.
//!
//! A prompt that leaves Ctrl-C to the system dies with the echo switched off. This one reads the keys itself.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{Act as _, Failure, Result};
use crate::limits::PASSWORD_BYTES_MAX;

/// What a shell says of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Asks for a secret.
pub fn secret(prompt: &str) -> Result<Zeroizing<String>> {
    let act = || "the terminal cannot be asked".to_owned();
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").act(act)?;
    let raw = Raw::of(&terminal)?;
    let mut typed = Typed::default();
    (&terminal).write_all(prompt.as_bytes()).act(act)?;
    let outcome = loop {
        let mut key = [0; 1];
        let read = (&terminal).read(&mut key).act(act)?;
        match if read == 0 { Some(Pressed::Enter) } else { typed.press(key[0]) } {
            None => {}
            Some(pressed) => break pressed,
        }
    };
    (&terminal).write_all(b"\n").act(act)?;
    drop(raw);
    match outcome {
        Pressed::Enter => typed.text(),
        Pressed::Interrupt => std::process::exit(INTERRUPTED),
    }
}

/// What ends the typing.
#[derive(Debug, PartialEq, Eq)]
enum Pressed {
    Enter,
    Interrupt,
}

/// What was typed so far.
#[derive(Default)]
struct Typed(Zeroizing<Vec<u8>>);

impl Typed {
    /// Takes a key, as terminals send them: a line, its end, and what corrects it.
    fn press(&mut self, key: u8) -> Option<Pressed> {
        match key {
            // Ctrl-D ends a line that holds something, and an empty one too.
            b'\r' | b'\n' | 0x04 => return Some(Pressed::Enter),
            // Ctrl-C and Ctrl-\.
            0x03 | 0x1c => return Some(Pressed::Interrupt),
            // The last character, which may be of several bytes.
            0x08 | 0x7f => while self.0.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            0x15 => self.0.zeroize(),
            // More would move what was typed, and leave a copy behind.
            _ if self.0.len() < self.0.capacity() || self.grow() => self.0.push(key),
            _ => {}
        }
        None
    }

    /// Room for all there may be, at the first key.
    fn grow(&mut self) -> bool {
        let most = usize::try_from(PASSWORD_BYTES_MAX).unwrap_or(usize::MAX);
        let first = self.0.capacity() == 0;
        if first {
            self.0.reserve_exact(most);
        }
        first
    }

    fn text(&self) -> Result<Zeroizing<String>> {
        let text = std::str::from_utf8(&self.0).map_err(|_| Failure::new("that is no text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// A terminal that shows nothing and signals nothing, until this is dropped.
struct Raw<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Raw<'a> {
    fn of(terminal: &'a File) -> Result<Self> {
        let act = || "the terminal cannot be asked".to_owned();
        let before = tcgetattr(terminal).act(act)?;
        let mut silent = before.clone();
        silent.local_flags &= !(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent).act(act)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> (String, Option<Pressed>) {
        let mut typed = Typed::default();
        let ended = keys.iter().find_map(|key| typed.press(*key));
        (typed.text().unwrap().to_string(), ended)
    }

    #[test]
    fn keys_are_taken_as_terminals_send_them() {
        assert_eq!(typed(b"secret\rmore"), ("secret".to_owned(), Some(Pressed::Enter)));
        assert_eq!(typed(b"secx\x7fret\n").0, "secret");
        assert_eq!(typed("ab\u{e9}\u{7f}c\r".as_bytes()).0, "abc");
        assert_eq!(typed(b"wrong\x15right\r").0, "right");
        assert_eq!(typed(b"secret\x03"), ("secret".to_owned(), Some(Pressed::Interrupt)));
        assert_eq!(typed(b"\x7f\x7f\r"), (String::new(), Some(Pressed::Enter)));
        let long = vec![b'x'; 10_000];
        assert!(u64::try_from(typed(&long).0.len()).unwrap() <= PASSWORD_BYTES_MAX);
    }
}
