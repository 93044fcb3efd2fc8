//! What the key says of a touch: what OpenSSH asked for and a count, or what a test has written into a file.

use std::ffi::{CStr, OsStr};
use std::{env, fs, io};

use aws_lc_rs::digest::{SHA256, digest};

use crate::api::Refusal;

/// Somebody touched the key.
const PRESENT: u8 = 0x01;

/// And gave its PIN.
const VERIFIED: u8 = 0x04;

/// The key is to stay on the authenticator.
const RESIDENT: u8 = 0x20;

/// Names the file that says what comes next: `FLAGS COUNTER`, the flags in hexadecimal or the word `asked`. Each touch
/// counts on in it. Without a file the count begins at 1; without the variable the key does not count, as some do.
const STATE: &str = "TAPGATE_SK_STATE";

/// The word for the flags that OpenSSH asks for.
const ASKED: &str = "asked";

/// One touch.
pub(crate) struct Touch {
    /// What the key says that its owner did.
    pub(crate) flags: u8,
    /// How often it was touched.
    pub(crate) counter: u32,
}

/// Whether the key does what these flags ask for. Any PIN is the right one, and none is never.
pub(crate) fn demand(flags: u8, pin: Option<&CStr>) -> Result<(), Refusal> {
    if flags & RESIDENT != 0 {
        return Err(Refusal::Unsupported);
    }
    if flags & VERIFIED != 0 && pin.is_none_or(CStr::is_empty) {
        return Err(Refusal::PinRequired);
    }
    Ok(())
}

impl Touch {
    /// The next touch, for which these flags were asked.
    pub(crate) fn next(asked: u8) -> Result<Self, Refusal> {
        let asked = asked & (PRESENT | VERIFIED);
        let Some(file) = env::var_os(STATE) else { return Ok(Self { flags: asked, counter: 0 }) };
        Self::from_file(&file, asked).map_err(|why| {
            eprintln!("tapgate-skprovider: {}: {why}", file.display());
            Refusal::General
        })
    }

    fn from_file(file: &OsStr, asked: u8) -> io::Result<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{ASKED} 1"),
            other => other?,
        };
        let odd = || io::Error::other("is not `FLAGS COUNTER`");
        let (flags, counter) = text.trim().split_once(' ').ok_or_else(odd)?;
        let counter = counter.parse::<u32>().map_err(|_| odd())?;
        fs::write(file, format!("{flags} {}\n", counter.wrapping_add(1)))?;
        let flags = if flags == ASKED { asked } else { u8::from_str_radix(flags, 16).map_err(|_| odd())? };
        Ok(Self { flags, counter })
    }

    /// What is signed: the application's hash, the flags, the count, and the hash of what OpenSSH wants signed.
    pub(crate) fn signed(&self, application: Option<&CStr>, data: &[u8]) -> Vec<u8> {
        let application = digest(&SHA256, application.map(CStr::to_bytes).unwrap_or_default());
        let counter = self.counter.to_be_bytes();
        [application.as_ref(), &[self.flags], &counter, digest(&SHA256, data).as_ref()].concat()
    }
}
