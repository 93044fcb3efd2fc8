//! Which ways to tap this machine has, which of them `auto` takes, and what is said of the others.

use std::io::IsTerminal as _;

use tapgate_api::FindAuth;

use crate::browser;
use crate::error::Failure;

/// A way to tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A security key that this program reaches.
    SecurityKey,
    /// Whatever the browser reaches.
    Browser,
}

/// The kinds of system that differ in what a program at the terminal may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Linux,
    MacOs,
    Windows,
}

/// What there is on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) system: System,
    /// Whether a browser would open before the person's eyes.
    pub(super) screen: bool,
    /// Whether this build reaches security keys, and something is plugged in that may be one.
    pub(super) usb: bool,
}

impl Surroundings {
    pub(super) fn here() -> Self {
        let system = match std::env::consts::OS {
            "windows" => System::Windows,
            "macos" => System::MacOs,
            _ => System::Linux,
        };
        let usb = cfg!(feature = "fido-usb") && (system != System::Linux || has_hid());
        Self { system, screen: browser::possible(), usb }
    }

    /// The order is WebAuthn, the identity provider, the browser, codes; the provider and codes are for login
    /// alone, and are looked at there. On Windows the browser is never opened unasked: the system's own dialog
    /// reaches everything that the browser does.
    pub(super) fn auto(self) -> Option<Way> {
        if self.usb {
            return Some(Way::SecurityKey);
        }
        (self.screen && self.system != System::Windows).then_some(Way::Browser)
    }

    /// Why no authenticator of the machine itself can be asked from here, and what reaches it.
    pub(super) fn no_platform(self) -> Failure {
        let (what, advice) = match self.system {
            System::Linux => (
                "Linux has no authenticator of its own that a program at the terminal could ask",
                "use --mfa-mode=browser for passkeys, or --mfa-mode=cross-platform with a security key",
            ),
            System::MacOs => (
                "Touch ID answers only programs that are signed for it, and this one is not",
                "use --mfa-mode=browser, which reaches Touch ID",
            ),
            System::Windows => {
                ("this build of tap cannot reach Windows Hello", "use --mfa-mode=browser, which reaches it")
            }
        };
        Failure::new(what).advise(advice)
    }
}

/// Whether anything is plugged in that speaks as security keys do.
fn has_hid() -> bool {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("hidraw"))
}

/// What a person at a terminal reads below the prompt: how to end it, and how to choose another way.
pub(super) fn hint(taken: Way) -> Option<String> {
    std::io::stderr().is_terminal().then(|| text(taken))
}

fn text(taken: Way) -> String {
    let others = match taken {
        Way::SecurityKey => "--mfa-mode=browser",
        Way::Browser => "--mfa-mode=cross-platform, with a security key that is plugged in",
    };
    format!("(Ctrl-C ends this; another way is {others})")
}

/// What a person at a terminal reads when a login begins: the cluster's other ways.
pub fn login_hint(auth: &FindAuth) -> Option<String> {
    std::io::stderr().is_terminal().then(|| login_text(auth)).flatten()
}

fn login_text(auth: &FindAuth) -> Option<String> {
    let has = |factor: &str| auth.second_factors.iter().any(|known| known == factor);
    let browser = (has("webauthn") && auth.allow_cli_auth_via_browser).then_some("--mfa-mode=browser");
    let key = has("webauthn").then_some("--mfa-mode=cross-platform");
    let code = has("otp").then_some("--mfa-mode=otp");
    let ways: Vec<_> = key.into_iter().chain(browser).chain(code).collect();
    (ways.len() > 1).then(|| format!("Ways to log in here: {}", ways.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_first_that_is_there() {
        let check = |system, screen, usb, expect| {
            assert_eq!(Surroundings { system, screen, usb }.auto(), expect, "{system:?} {screen} {usb}");
        };
        for system in [System::Linux, System::MacOs, System::Windows] {
            check(system, true, true, Some(Way::SecurityKey));
            check(system, false, false, None);
        }
        check(System::Linux, true, false, Some(Way::Browser));
        check(System::MacOs, true, false, Some(Way::Browser));
        check(System::Windows, true, false, None);
    }

    #[test]
    fn every_system_says_what_to_do_without_an_authenticator_of_its_own() {
        for system in [System::Linux, System::MacOs, System::Windows] {
            let said = Surroundings { system, screen: true, usb: false }.no_platform().to_string();
            assert!(said.contains("(use --mfa-mode=browser"), "{said}");
        }
    }

    #[test]
    fn the_ways_are_those_of_the_cluster() {
        let auth = |factors: &[&str], allow_cli_auth_via_browser| FindAuth {
            kind: "local".into(),
            second_factors: factors.iter().map(ToString::to_string).collect(),
            rp_id: String::new(),
            origin: String::new(),
            allow_cli_auth_via_browser,
            connectors: Vec::new(),
        };
        let said = login_text(&auth(&["webauthn", "otp"], true)).unwrap();
        assert_eq!(said, "Ways to log in here: --mfa-mode=cross-platform, --mfa-mode=browser, --mfa-mode=otp");
        assert_eq!(login_text(&auth(&["webauthn"], false)), None, "there is no other");
        assert!(text(Way::SecurityKey).contains("--mfa-mode=browser") && text(Way::Browser).contains("cross-platform"));
    }
}
