//! What answers a tap: a security key on USB, the browser, or the software key for tests and demos.

mod client_data;
mod resident;
mod software;
#[cfg(feature = "fido-usb")]
mod usb;
mod ways;

use std::path::PathBuf;

use clap::ValueEnum;
use url::Url;
use webauthn_rs_proto::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse,
};

use crate::browser::Carry;
use crate::error::{Failure, Result};

pub use software::SoftwareKey;
#[cfg(feature = "fido-usb")]
pub use usb::UsbKey;
pub use ways::login_hint;
use ways::{Surroundings, Way};

/// Something that can be tapped.
pub trait Solver {
    /// Answers a ceremony with a key that is registered already.
    fn authenticate(&mut self, origin: &Url, request: RequestChallengeResponse) -> Result<PublicKeyCredential>;

    /// Makes a key for this gate.
    fn register(&mut self, origin: &Url, request: CreationChallengeResponse) -> Result<RegisterPublicKeyCredential>;
}

/// How a tap is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MfaMode {
    /// What this machine can do.
    Auto,
    /// A security key.
    CrossPlatform,
    /// The machine's own authenticator.
    Platform,
    /// The browser.
    Browser,
    /// A browser on another machine, whose answer is pasted here.
    Paste,
    /// The identity provider.
    Sso,
    /// A one-time code.
    Otp,
}

/// What answers a tap.
pub enum Means {
    /// A key that this program reaches.
    Key(Box<dyn Solver>),
    /// Whatever the browser reaches.
    Browser(Carry),
}

/// Says that a tap is due, and to whoever reads it at a terminal how else it could be made.
pub fn ask_for_touch(what: &str) {
    eprintln!("{what}");
    if let Some(hint) = ways::hint(Way::SecurityKey) {
        eprintln!("{hint}");
    }
}

/// The same of the browser.
pub fn mention_other_ways() {
    if let Some(hint) = ways::hint(Way::Browser) {
        eprintln!("{hint}");
    }
}

/// The means that the flags and this build allow.
pub fn choose(mode: MfaMode, software_key: Option<PathBuf>) -> Result<Means> {
    let here = Surroundings::here();
    match mode {
        MfaMode::Browser => return Ok(Means::Browser(Carry::Loopback)),
        MfaMode::Paste => return Ok(Means::Browser(Carry::Paste)),
        MfaMode::Platform => return Err(here.no_platform()),
        MfaMode::Auto | MfaMode::CrossPlatform => {}
        MfaMode::Otp => {
            return Err(Failure::new("per-session MFA is not satisfied by 'otp' devices")
                .advise("one-time codes are for tap login alone; use --mfa-mode=cross-platform or browser"));
        }
        MfaMode::Sso => {
            return Err(Failure::new("identity providers make taps for login and for sessions alone")
                .advise("use --mfa-mode=browser, or --mfa-mode=cross-platform with a security key"));
        }
    }
    match software_key {
        Some(path) => {
            eprintln!("WARNING: using the software security key at {} (for tests and demos only)", path.display());
            Ok(Means::Key(Box::new(SoftwareKey::at(path))))
        }
        // By itself only where it opens before the person's eyes.
        None if mode == MfaMode::Auto && here.auto() == Some(Way::Browser) => Ok(Means::Browser(Carry::Loopback)),
        None => usb_key().map(Means::Key),
    }
}

#[cfg(feature = "fido-usb")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is no such key")]
fn usb_key() -> Result<Box<dyn Solver>> {
    Ok(Box::new(UsbKey))
}

#[cfg(not(feature = "fido-usb"))]
fn usb_key() -> Result<Box<dyn Solver>> {
    Err(Failure::new("this build of tap cannot reach security keys on USB").advise(
        "use --mfa-mode=browser, or build it with --features fido-usb; --software-key PATH is for tests and demos",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_are_not_there_say_so() {
        let refusal = |mode| choose(mode, Some("/x".into())).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refusal(MfaMode::Sso).starts_with("identity providers make taps for login and for sessions alone"));
        assert!(
            refusal(MfaMode::Platform).contains("(use --mfa-mode=browser"),
            "a software key is none of the machine's"
        );
        let error = choose(MfaMode::Otp, Some("/x".into())).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.starts_with("per-session MFA is not satisfied by 'otp' devices"), "{error}");
        assert!(matches!(choose(MfaMode::Auto, Some("/x".into())), Ok(Means::Key(_))));
        assert!(matches!(choose(MfaMode::Browser, Some("/x".into())), Ok(Means::Browser(Carry::Loopback))));
        assert!(matches!(choose(MfaMode::Paste, None), Ok(Means::Browser(Carry::Paste))));
    }
}
