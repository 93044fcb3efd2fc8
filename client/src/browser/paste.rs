//! The answer carried by hand: where the browser is on another machine, the person copies it from the page.

use std::io::stdin;

use tapgate_api::BrowserOutcome;
use tapgate_seal::{Key, SEALED_MAX};

use crate::cli::password::first_line;
use crate::error::{Act as _, Failure, Result};
use crate::limits::PASTE_TRIES_MAX;

/// Reads answers from standard input until one is sealed to our key for this request.
pub(super) async fn outcome(key: Key, context: Vec<u8>) -> Result<BrowserOutcome> {
    let reading = tokio::task::spawn_blocking(move || {
        for left in (0..PASTE_TRIES_MAX).rev() {
            eprint!("Paste the answer that the page shows: ");
            let line = first_line(stdin().lock(), "standard input", SEALED_CHARS_MAX)?;
            match open(&key, &context, &line) {
                Some(outcome) => return Ok(outcome),
                None if left > 0 => eprintln!("That is not the whole answer to this request. Copy it once more."),
                None => {}
            }
        }
        Err(Failure::new("no answer was pasted that fits").advise("start again"))
    });
    reading.await.act(|| "the answer cannot be read".to_owned())?
}

/// A pasted line and its end.
const SEALED_CHARS_MAX: u64 = 4_000;
const _: () = assert!(SEALED_MAX >= 4_000);

fn open(key: &Key, context: &[u8], line: &str) -> Option<BrowserOutcome> {
    // Terminals and mail programs break lines and add spaces.
    let sealed: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    serde_json::from_slice(&key.open(&sealed, context).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sealed_for_this_request_is_an_answer() {
        let key = Key::generate();
        let seal = |context: &[u8]| tapgate_seal::seal(key.public(), context, br#"{"outcome":"denied"}"#).unwrap();
        let line = format!(" {} \r", seal(b"context"));
        assert!(matches!(open(&key, b"context", &line), Some(BrowserOutcome::Denied)));
        assert!(open(&key, b"context", &seal(b"another")).is_none());
        assert!(open(&Key::generate(), b"context", &line).is_none());
        assert!(open(&key, b"context", "").is_none());
    }
}
