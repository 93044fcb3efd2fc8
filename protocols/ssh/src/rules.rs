//! What may pass: channel types and requests by name, and the words of each refusal.

use tapgate_audit::{Deed, Text};

use crate::side::Side;
use crate::wire::only_string;

/// The request that every peer answers and nobody obeys.
pub(crate) const KEEPALIVE: &str = "keepalive@openssh.com";

/// The channel type over which a forwarded agent is reached.
pub(crate) const AGENT_CHANNEL: &str = "auth-agent@openssh.com";

/// The request to forward an agent.
pub(crate) const AGENT_REQUEST: &str = "auth-agent-req@openssh.com";

/// What the session's roles allow beside a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// `ssh -L`, `-D`, `-W` and `-R`, with ports and with sockets.
    pub(crate) port_forwarding: bool,
    /// `ssh -A`.
    pub(crate) forward_agent: bool,
    /// `scp` and `sftp`. It keeps honest tools from copying; whoever has a shell can copy with `cat`.
    pub(crate) file_copy: bool,
}

/// What the client asked for by which the target may open channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// That its agent be forwarded.
    pub(crate) agent: bool,
    /// That the target listen at a port or socket.
    pub(crate) listener: bool,
}

/// What becomes of a channel that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenRule {
    /// It is passed on, after a verdict for a further channel.
    Weigh,
    /// It is passed on.
    Pass,
    /// It is refused in these words.
    Refuse(&'static str),
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestRule {
    /// It is passed on.
    Pass,
    /// It asks for agent forwarding, and is passed on.
    Agent,
    /// It asks the target to listen, and is passed on after a verdict.
    Listen,
    /// It is answered with no.
    Refuse,
}

impl Rules {
    /// Judges a channel type, by what the client asked for before.
    pub(crate) fn open(self, from: Side, kind: &str, asked: Asked) -> OpenRule {
        match (from, kind) {
            (Side::Client, "session") => OpenRule::Weigh,
            (Side::Client, "direct-tcpip" | "direct-streamlocal@openssh.com") if self.port_forwarding => {
                OpenRule::Weigh
            }
            (Side::Client, "direct-tcpip" | "direct-streamlocal@openssh.com") => {
                OpenRule::Refuse("port forwarding is not allowed here (ask for a role with port_forwarding)")
            }
            (Side::Client, "tun@openssh.com") => OpenRule::Refuse("tunnel devices are not supported by this gate"),
            (Side::Client, _) => OpenRule::Refuse("this gate does not know this type of channel"),
            (Side::Target, AGENT_CHANNEL) if self.forward_agent && asked.agent => OpenRule::Pass,
            (Side::Target, "forwarded-tcpip" | "forwarded-streamlocal@openssh.com")
                if self.port_forwarding && asked.listener =>
            {
                OpenRule::Weigh
            }
            (_, "x11") => OpenRule::Refuse("X11 forwarding is not supported by this gate"),
            (Side::Target, _) => OpenRule::Refuse("the gate lets a target open no channel of this type"),
        }
    }

    /// Judges a request about the connection.
    pub(crate) fn global(self, from: Side, name: &str) -> RequestRule {
        match (from, name) {
            (_, KEEPALIVE) | (Side::Client, "no-more-sessions@openssh.com") => RequestRule::Pass,
            (Side::Client, "tcpip-forward" | "streamlocal-forward@openssh.com") if self.port_forwarding => {
                RequestRule::Listen
            }
            (Side::Client, "cancel-tcpip-forward" | "cancel-streamlocal-forward@openssh.com")
                if self.port_forwarding =>
            {
                RequestRule::Pass
            }
            // Among the rest is hostkeys-00@openssh.com, by which a target would teach the client
            // its own host keys for the gate's name.
            _ => RequestRule::Refuse,
        }
    }

    /// Judges a request about a session channel.
    pub(crate) fn request(self, from: Side, name: &str, body: &[u8]) -> RequestRule {
        match (from, name) {
            (_, KEEPALIVE | "eow@openssh.com" | "xon-xoff")
            | (Side::Client, "pty-req" | "env" | "shell" | "window-change" | "signal" | "break")
            | (Side::Target, "exit-status" | "exit-signal") => RequestRule::Pass,
            (Side::Client, "exec" | "subsystem") if self.file_copy || !is_file_copy(name, body) => RequestRule::Pass,
            (Side::Client, AGENT_REQUEST) if self.forward_agent => RequestRule::Agent,
            _ => RequestRule::Refuse,
        }
    }
}

/// Whether a command or subsystem is what `scp` and `sftp` ask for.
pub(crate) fn is_file_copy(name: &str, body: &[u8]) -> bool {
    let text = only_string(body).map(String::from_utf8_lossy).unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    match program(&mut words) {
        "scp" => name == "exec" && words.any(|w| w == "-t" || w == "-f"),
        _ => is_sftp(name, body),
    }
}

/// Whether what runs on a channel after this request speaks SFTP.
pub(crate) fn is_sftp(name: &str, body: &[u8]) -> bool {
    let text = only_string(body).map(String::from_utf8_lossy).unwrap_or_default();
    matches!((name, program(&mut text.split_ascii_whitespace())), ("subsystem", "sftp") | ("exec", "sftp-server"))
}

fn program<'a>(words: &mut impl Iterator<Item = &'a str>) -> &'a str {
    words.next().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

/// What the log is told of a request that starts something on a channel.
pub(crate) fn deed(name: &str, body: &[u8]) -> Option<Deed> {
    let text = || only_string(body).map(|text| Text::from(&*String::from_utf8_lossy(text)));
    match name {
        "shell" => Some(Deed::Command(None)),
        "exec" => Some(Deed::Command(Some(text().unwrap_or_default()))),
        "subsystem" => Some(Deed::Subsystem(text().unwrap_or_default())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Client, Target};

    const NONE: Rules = Rules { port_forwarding: false, forward_agent: false, file_copy: false };
    const ASKED: Asked = Asked { agent: true, listener: true };
    const ALL: Rules = Rules { port_forwarding: true, forward_agent: true, file_copy: true };

    fn string(text: &str) -> Vec<u8> {
        [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn channels() {
        let refused = |rule| matches!(rule, OpenRule::Refuse(_));
        assert_eq!(NONE.open(Client, "session", Asked::default()), OpenRule::Weigh);
        for kind in ["direct-tcpip", "direct-streamlocal@openssh.com"] {
            assert_eq!(ALL.open(Client, kind, Asked::default()), OpenRule::Weigh, "{kind}");
            assert!(refused(NONE.open(Client, kind, ASKED)), "{kind}");
            assert!(refused(ALL.open(Target, kind, ASKED)), "{kind}");
        }
        assert_eq!(ALL.open(Target, AGENT_CHANNEL, ASKED), OpenRule::Pass);
        assert!(refused(ALL.open(Target, AGENT_CHANNEL, Asked::default())), "the client must have asked");
        assert!(refused(NONE.open(Target, AGENT_CHANNEL, ASKED)));
        for kind in ["forwarded-tcpip", "forwarded-streamlocal@openssh.com"] {
            assert_eq!(ALL.open(Target, kind, ASKED), OpenRule::Weigh, "{kind}");
            assert!(refused(ALL.open(Target, kind, Asked::default())), "{kind}");
            assert!(refused(NONE.open(Target, kind, ASKED)), "{kind}");
            assert!(refused(ALL.open(Client, kind, ASKED)), "{kind}");
        }
        for kind in ["tun@openssh.com", "x11", AGENT_CHANNEL] {
            assert!(refused(ALL.open(Client, kind, ASKED)), "{kind}");
        }
        for kind in ["session", "x11"] {
            assert!(refused(ALL.open(Target, kind, ASKED)), "{kind}");
        }
        assert!(matches!(ALL.open(Target, "x11", ASKED), OpenRule::Refuse(words) if words.contains("X11")));
    }

    #[test]
    fn global_requests() {
        for (from, name, expect) in [
            (Client, KEEPALIVE, RequestRule::Pass),
            (Target, KEEPALIVE, RequestRule::Pass),
            (Client, "no-more-sessions@openssh.com", RequestRule::Pass),
            (Client, "tcpip-forward", RequestRule::Listen),
            (Client, "cancel-tcpip-forward", RequestRule::Pass),
            (Client, "streamlocal-forward@openssh.com", RequestRule::Listen),
            (Client, "cancel-streamlocal-forward@openssh.com", RequestRule::Pass),
            (Target, "tcpip-forward", RequestRule::Refuse),
            (Target, "hostkeys-00@openssh.com", RequestRule::Refuse),
            (Target, "no-more-sessions@openssh.com", RequestRule::Refuse),
        ] {
            assert_eq!(ALL.global(from, name), expect, "{from} {name}");
            let without = if name.contains("forward") { RequestRule::Refuse } else { expect };
            assert_eq!(NONE.global(from, name), without, "{from} {name}");
        }
    }

    #[test]
    fn session_requests() {
        let passes = |from, name| ALL.request(from, name, &string("true")) == RequestRule::Pass;
        for name in ["pty-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "break", "xon-xoff"] {
            assert!(passes(Client, name), "{name}");
        }
        for name in ["exit-status", "exit-signal", "x11-req", "winadj@putty.projects.tartarus.org"] {
            assert!(!passes(Client, name), "{name}");
        }
        for name in ["exit-status", "exit-signal", "eow@openssh.com", KEEPALIVE] {
            assert!(passes(Target, name), "{name}");
        }
        for name in ["pty-req", "shell", "exec", AGENT_REQUEST] {
            assert!(!passes(Target, name), "{name}");
        }
        assert_eq!(ALL.request(Client, AGENT_REQUEST, b""), RequestRule::Agent);
        assert_eq!(NONE.request(Client, AGENT_REQUEST, b""), RequestRule::Refuse);
    }

    #[test]
    fn what_is_told_of_requests() {
        assert_eq!(deed("shell", b""), Some(Deed::Command(None)));
        assert_eq!(deed("exec", &string("ls -l")), Some(Deed::Command(Some("ls -l".into()))));
        assert_eq!(deed("subsystem", &string("sftp")), Some(Deed::Subsystem("sftp".into())));
        assert_eq!(deed("env", &string("SECRET")), None);
        let Some(Deed::Command(Some(long))) = deed("exec", &string(&"x".repeat(200_000))) else { panic!("a command") };
        assert_eq!(long.as_str().len(), 1024);
        assert!(is_sftp("subsystem", &string("sftp")) && is_sftp("exec", &string("/usr/lib/sftp-server -e")));
        assert!(!is_sftp("exec", &string("sftp")) && !is_sftp("exec", &string("scp -t x")));
    }

    #[test]
    fn file_copy() {
        for (name, text, copies) in [
            ("subsystem", "sftp", true),
            ("subsystem", "netconf", false),
            ("exec", "scp -t /tmp", true),
            ("exec", "/usr/bin/scp -r -f .", true),
            ("exec", "/usr/lib/openssh/sftp-server", true),
            ("exec", "scp a b", false),
            ("exec", "ls", false),
            ("exec", "", false),
        ] {
            let expect = if copies { RequestRule::Refuse } else { RequestRule::Pass };
            assert_eq!(NONE.request(Client, name, &string(text)), expect, "{text}");
            assert_eq!(ALL.request(Client, name, &string(text)), RequestRule::Pass, "{text}");
        }
    }
}
