//! Conversations of two peers over a relay, honest and not.

use proptest::prelude::*;
use tapgate_audit::Way;

use super::*;
use crate::limits::{CHANNEL_WINDOW_MAX, CHANNELS_MAX, DATA_MAX};
use crate::rules::{AGENT_CHANNEL, AGENT_REQUEST, KEEPALIVE};
use crate::wire::number;
use Side::{Client, Target};

const RULES: Rules = Rules { port_forwarding: false, forward_agent: true, file_copy: true };

/// Keeps what was sent.
#[derive(Default)]
struct Log {
    sent: Vec<(Side, Bytes)>,
    queued: Vec<(Queued, u32)>,
    full: Option<&'static str>,
    weighed: usize,
    last: Option<Opening>,
    deeds: Vec<Deed>,
}

impl Ground for Log {
    fn send(&mut self, to: Side, packet: Bytes, load: Load<'_>) {
        self.sent.push((to, packet));
        if let Load::Data(queued, bytes) = load {
            self.queued.push((queued.clone(), bytes));
        }
    }

    fn did(&mut self, deed: Deed) {
        self.deeds.push(deed);
    }

    fn may_open(&mut self, what: Opening) -> Result<(), String> {
        self.weighed += 1;
        self.last = Some(what);
        self.full.map_or(Ok(()), |words| Err(words.to_owned()))
    }
}

struct Talk {
    relay: Relay,
    log: Log,
}

impl Talk {
    fn new(rules: Rules) -> Self {
        Self { relay: Relay::new(rules), log: Log::default() }
    }

    /// An open session channel: the client's 1, the target's 2, with windows of this size.
    fn with_session(window: u32) -> Self {
        let mut talk = Self::new(RULES);
        talk.say(Client, &open("session", 1, window)).unwrap();
        talk.say(Target, &confirm(1, 2, window)).unwrap();
        talk
    }

    /// Says a packet and answers what went out.
    fn say(&mut self, from: Side, packet: &[u8]) -> Result<Vec<(Side, Bytes)>, Violation> {
        self.log.sent.clear();
        self.relay.packet(&mut self.log, from, packet)?;
        Ok(std::mem::take(&mut self.log.sent))
    }

    fn passes(&mut self, from: Side, packet: &[u8]) {
        assert_eq!(self.say(from, packet), Ok(vec![(!from, Bytes::copy_from_slice(packet))]));
    }

    fn swallows(&mut self, from: Side, packet: &[u8]) {
        assert_eq!(self.say(from, packet), Ok(vec![]));
    }
}

fn packet(kind: u8, fields: &[u32]) -> Vec<u8> {
    let mut packet = vec![kind];
    packet.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    packet
}

fn string(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

fn open(kind: &str, number: u32, window: u32) -> Vec<u8> {
    [vec![number::OPEN], string(kind.as_bytes()), packet(0, &[number, window, 32768])[1..].to_vec()].concat()
}

fn confirm(recipient: u32, number: u32, window: u32) -> Vec<u8> {
    packet(number::OPEN_CONFIRMATION, &[recipient, number, window, 32768])
}

fn data(recipient: u32, length: usize) -> Vec<u8> {
    [packet(number::DATA, &[recipient]), string(&vec![7; length])].concat()
}

fn request(recipient: u32, name: &str, want_reply: bool) -> Vec<u8> {
    [packet(number::REQUEST, &[recipient]), string(name.as_bytes()), vec![u8::from(want_reply)]].concat()
}

fn global(name: &str, want_reply: bool) -> Vec<u8> {
    [vec![number::GLOBAL_REQUEST], string(name.as_bytes()), vec![u8::from(want_reply)]].concat()
}

#[test]
fn a_session_from_open_to_exit_status() {
    let mut talk = Talk::with_session(2_000_000);
    for (from, said) in [
        (Client, request(2, "pty-req", true)),
        (Client, request(2, "env", false)),
        (Client, request(2, "shell", true)),
        (Target, packet(number::SUCCESS, &[1])),
        (Target, packet(number::WINDOW_ADJUST, &[1, 100])),
        (Target, packet(number::SUCCESS, &[1])),
        (Client, data(2, 3)),
        (Target, data(1, 32768)),
        (Client, packet(number::WINDOW_ADJUST, &[2, 32768])),
        (Client, packet(number::EOF, &[2])),
        (Target, request(1, "exit-status", false)),
        (Target, packet(number::EOF, &[1])),
        (Target, packet(number::CLOSE, &[1])),
        (Client, packet(number::CLOSE, &[2])),
    ] {
        talk.passes(from, &said);
    }
    assert!(talk.relay.target_is_done());
    talk.passes(Client, &open("session", 1, 5));
    assert!(!talk.relay.target_is_done());
}

#[test]
fn refusals_have_words() {
    let mut talk = Talk::new(RULES);
    for (from, kind) in
        [(Client, "direct-tcpip"), (Client, "x11"), (Target, "x11"), (Target, "forwarded-tcpip"), (Target, "session")]
    {
        let sent = talk.say(from, &open(kind, 9, 100)).unwrap();
        let [(to, answer)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((*to, answer.first()), (from, Some(&number::OPEN_FAILURE)));
        assert_eq!(answer.get(1..9), Some([0, 0, 0, 9, 0, 0, 0, 1].as_slice()));
        assert!(answer.len() > 40, "there are words in it");
    }
    assert!(talk.relay.target_is_done());
    assert_eq!(talk.log.weighed, 0);
}

#[test]
fn each_channel_of_the_client_is_weighed() {
    let mut talk = Talk::with_session(100);
    talk.log.full = Some("MFA is required");
    let sent = talk.say(Client, &open("session", 5, 100)).unwrap();
    let [(Client, answer)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(answer.windows(15).any(|w| w == b"MFA is required"));
    assert_eq!(talk.log.weighed, 2);
}

#[test]
fn channels_have_an_end() {
    let mut talk = Talk::new(RULES);
    for n in 0..u32::try_from(CHANNELS_MAX).unwrap() {
        talk.passes(Client, &open("session", n, 100));
    }
    let sent = talk.say(Client, &open("session", 1000, 100)).unwrap();
    let [(Client, answer)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(answer.get(5..9), Some([0, 0, 0, 4].as_slice()), "a shortage");
    // A refusal by the target makes room.
    let refusal = [packet(number::OPEN_FAILURE, &[0, 2]), string(b"no"), string(b"")].concat();
    talk.passes(Target, &refusal);
    talk.passes(Client, &open("session", 1000, 100));
}

#[test]
fn an_overrun_is_a_violation_in_both_directions() {
    for (from, number) in [(Client, 2), (Target, 1)] {
        let mut talk = Talk::with_session(10);
        talk.passes(from, &data(number, 4));
        talk.passes(from, &data(number, 6));
        assert_eq!(talk.say(from, &data(number, 1)), Err(Violation::Overrun(from, number)));
    }
    let mut talk = Talk::with_session(1_000_000);
    assert_eq!(talk.say(Client, &data(2, 32769)), Err(Violation::Overrun(Client, 2)), "a packet larger than agreed");
}

#[test]
fn giant_windows_are_passed_on_in_parts() {
    let mut talk = Talk::new(RULES);
    let sent = talk.say(Client, &open("session", 1, u32::MAX)).unwrap();
    assert_eq!(sent, vec![(Target, Bytes::from(open("session", 1, CHANNEL_WINDOW_MAX)))]);
    talk.say(Target, &confirm(1, 2, 100)).unwrap();
    for _ in 0..CHANNEL_WINDOW_MAX / 32768 {
        talk.passes(Target, &data(1, 32768));
    }
    assert_eq!(talk.say(Target, &data(1, 1)), Err(Violation::Overrun(Target, 1)));
    talk.relay.drained(&mut talk.log);
    assert_eq!(talk.log.sent, vec![], "everything still waits");
    let woken = talk.log.queued.iter().filter(|(queued, bytes)| queued.remove(*bytes)).count();
    assert_eq!(woken, 1, "one wake for all of it");
    talk.relay.drained(&mut talk.log);
    let expect = Bytes::from(packet(number::WINDOW_ADJUST, &[2, CHANNEL_WINDOW_MAX]));
    assert_eq!(talk.log.sent, vec![(Target, expect)]);
    assert_eq!(talk.say(Client, &packet(number::WINDOW_ADJUST, &[2, u32::MAX])), Err(Violation::Window(Client, 2)));
}

#[test]
fn packet_sizes_are_cut_to_the_limit() {
    let mut talk = Talk::new(RULES);
    let giant = [vec![number::OPEN], string(b"session"), packet(0, &[1, 100, u32::MAX])[1..].to_vec()].concat();
    let sent = talk.say(Client, &giant).unwrap();
    let expect = [vec![number::OPEN], string(b"session"), packet(0, &[1, 100, DATA_MAX])[1..].to_vec()].concat();
    assert_eq!(sent, vec![(Target, Bytes::from(expect))]);
}

#[test]
fn refused_requests_are_answered_in_their_turn() {
    let mut talk = Talk::with_session(100);
    let failure = (Client, write::failure(1));
    assert_eq!(talk.say(Client, &request(2, "x11-req", true)), Ok(vec![failure.clone()]));
    talk.swallows(Client, &request(2, "x11-req", false));
    talk.passes(Client, &request(2, "pty-req", true));
    talk.swallows(Client, &request(2, "x11-req", true));
    let success = packet(number::SUCCESS, &[1]);
    assert_eq!(talk.say(Target, &success), Ok(vec![(Client, Bytes::from(success.clone())), failure]));
    assert_eq!(talk.say(Target, &success), Err(Violation::Unasked(Target)));
}

#[test]
fn global_requests_keep_their_order_with_our_own() {
    let mut talk = Talk::new(RULES);
    talk.swallows(Target, &global("hostkeys-00@openssh.com", false));
    talk.passes(Client, &global("no-more-sessions@openssh.com", false));
    let refused = (Client, write::request_failure());
    assert_eq!(talk.say(Client, &global("tcpip-forward", true)), Ok(vec![refused.clone()]));
    talk.relay.keepalive(&mut talk.log, Target);
    assert_eq!(talk.log.sent, vec![(Target, write::keepalive())]);
    talk.passes(Client, &global(KEEPALIVE, true));
    talk.swallows(Client, &global("tcpip-forward", true));
    let answer = vec![number::REQUEST_FAILURE];
    talk.swallows(Target, &answer);
    assert_eq!(talk.say(Target, &answer), Ok(vec![(Client, Bytes::from(answer.clone())), refused]));
    assert_eq!(talk.say(Target, &answer), Err(Violation::Unasked(Target)));
    assert_eq!(talk.say(Client, &answer), Err(Violation::Unasked(Client)));
}

#[test]
fn an_agent_is_forwarded_only_where_asked_and_allowed() {
    let agent = open(AGENT_CHANNEL, 7, 100);
    let mut talk = Talk::with_session(100);
    assert_eq!(talk.say(Target, &agent).unwrap()[0].1.first(), Some(&number::OPEN_FAILURE));
    talk.passes(Client, &request(2, AGENT_REQUEST, false));
    talk.passes(Target, &agent);
    talk.passes(Client, &confirm(7, 8, 100));
    talk.passes(Target, &data(8, 5));
    talk.passes(Client, &data(7, 5));
    // Such a channel knows no requests.
    assert_eq!(talk.say(Client, &request(7, "shell", true)), Ok(vec![(Client, write::failure(8))]));
}

const FORWARDING: Rules = Rules { port_forwarding: true, ..RULES };

fn forward_to(kind: &str, number: u32, host: &str) -> Vec<u8> {
    let port = |port: u32| port.to_be_bytes().to_vec();
    [open(kind, number, 1000), string(host.as_bytes()), port(5432), string(b"10.0.0.9"), port(40000)].concat()
}

fn listen(name: &str) -> Vec<u8> {
    [global(name, true), string(b"127.0.0.1"), 0u32.to_be_bytes().to_vec()].concat()
}

#[test]
fn a_forwarded_connection_is_told_once_it_is_over() {
    let mut talk = Talk::new(FORWARDING);
    talk.passes(Client, &forward_to("direct-tcpip", 1, "db1"));
    talk.say(Target, &confirm(1, 2, 1000)).unwrap();
    talk.passes(Client, &data(2, 10));
    talk.passes(Target, &data(1, 30));
    talk.passes(Target, &data(1, 4));
    talk.passes(Target, &packet(number::CLOSE, &[1]));
    assert_eq!(talk.log.deeds, vec![]);
    talk.passes(Client, &packet(number::CLOSE, &[2]));
    let told = |way, bytes_up, bytes_down| {
        let (destination, origin) = ("db1:5432".into(), "10.0.0.9:40000".into());
        Deed::Forward { way, destination, origin, bytes_up, bytes_down }
    };
    assert_eq!(talk.log.deeds, vec![told(Way::Local, 10, 34)]);
    // One that is still open when the session ends is told then; one that never opened is not.
    talk.passes(Client, &forward_to("direct-tcpip", 1, "db1"));
    talk.say(Target, &confirm(1, 2, 1000)).unwrap();
    talk.passes(Client, &forward_to("direct-tcpip", 3, "db1"));
    talk.relay.over(&mut talk.log);
    assert_eq!(talk.log.deeds, vec![told(Way::Local, 10, 34), told(Way::Local, 0, 0)]);
}

#[test]
fn a_forwarding_that_leads_nowhere_is_refused() {
    let mut talk = Talk::new(FORWARDING);
    let sent = talk.say(Client, &open("direct-tcpip", 1, 1000)).unwrap();
    let [(Client, answer)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(answer.windows(8).any(|w| w == b"does not"), "{answer:?}");
    assert_eq!(talk.log.weighed, 0);
}

#[test]
fn the_target_opens_channels_for_listeners_that_were_asked_for() {
    let mut talk = Talk::new(FORWARDING);
    let inbound = forward_to("forwarded-tcpip", 7, "127.0.0.1");
    assert_eq!(talk.say(Target, &inbound).unwrap()[0].1.first(), Some(&number::OPEN_FAILURE));
    talk.passes(Client, &listen("tcpip-forward"));
    assert_eq!(talk.log.last, Some(Opening::Listener));
    assert!(matches!(talk.log.deeds.as_slice(), [Deed::Forward { way: Way::Listen, .. }]));
    talk.passes(Target, &packet(number::REQUEST_SUCCESS, &[40001]));
    talk.passes(Target, &inbound);
    assert_eq!(talk.log.last, Some(Opening::Inbound));
    talk.say(Client, &confirm(7, 8, 1000)).unwrap();
    talk.passes(Target, &data(8, 5));
    talk.passes(Client, &global("cancel-tcpip-forward", true));
    // After the window nothing new opens, from either side.
    talk.log.full = Some("MFA is required");
    let sent = talk.say(Target, &forward_to("forwarded-tcpip", 9, "127.0.0.1")).unwrap();
    assert!(matches!(sent.as_slice(), [(Target, answer)] if answer.windows(3).any(|w| w == b"MFA")), "{sent:?}");
    talk.swallows(Client, &listen("tcpip-forward"));
    let refused = (Client, write::request_failure());
    let success = vec![number::REQUEST_SUCCESS];
    assert_eq!(talk.say(Target, &success), Ok(vec![(Client, Bytes::from(success.clone())), refused]));
}

#[test]
fn what_a_channel_starts_is_told() {
    let mut talk = Talk::with_session(100_000);
    let with = |name, text: &str| [request(2, name, true), string(text.as_bytes())].concat();
    talk.passes(Client, &with("env", "SECRET"));
    talk.passes(Client, &request(2, "shell", true));
    talk.passes(Client, &with("exec", "ls"));
    talk.passes(Client, &with("subsystem", "sftp"));
    let remove = [&[0, 0, 0, 11, 13, 0, 0, 0, 1], string(b"/a").as_slice()].concat();
    let (first, second) = remove.split_at(6);
    for part in [first, second] {
        talk.passes(Client, &[packet(number::DATA, &[2]), string(part)].concat());
    }
    let remove = Deed::Sftp { operation: "remove", path: "/a".into(), to: None };
    let due = [Deed::Command(None), Deed::Command(Some("ls".into())), Deed::Subsystem("sftp".into()), remove];
    assert_eq!(talk.log.deeds, due);
    let mut strict = Talk::new(Rules { file_copy: false, ..RULES });
    strict.say(Client, &open("session", 1, 100)).unwrap();
    strict.say(Target, &confirm(1, 2, 100)).unwrap();
    strict.say(Client, &with("subsystem", "sftp")).unwrap();
    assert_eq!(strict.log.deeds, vec![], "what is refused was not done");
}

#[test]
fn what_is_said_of_channels_that_are_not_there() {
    let mut talk = Talk::with_session(100);
    for said in [data(9, 1), packet(number::EOF, &[9]), packet(number::CLOSE, &[9]), confirm(9, 3, 100)] {
        assert_eq!(talk.say(Client, &said), Err(Violation::NoChannel(Client, 9)));
    }
    for said in [packet(number::WINDOW_ADJUST, &[9, 1]), request(9, "shell", true), packet(number::SUCCESS, &[9])] {
        talk.swallows(Client, &said);
    }
    assert_eq!(talk.say(Client, &open("session", 1, 100)), Err(Violation::Number(Client, 1)));
    talk.passes(Client, &open("session", 4, 100));
    assert_eq!(talk.say(Target, &confirm(4, 2, 100)), Err(Violation::Number(Target, 2)));
    assert_eq!(talk.say(Client, &confirm(4, 3, 100)), Err(Violation::NoChannel(Client, 4)), "its own channel");
    // An unconfirmed channel carries nothing.
    assert_eq!(talk.say(Target, &data(4, 1)), Err(Violation::NoChannel(Target, 4)));
}

#[test]
fn nothing_comes_after_the_end() {
    let mut talk = Talk::with_session(100);
    talk.passes(Client, &packet(number::EOF, &[2]));
    assert_eq!(talk.say(Client, &data(2, 1)), Err(Violation::NoChannel(Client, 2)));
    talk.passes(Client, &packet(number::CLOSE, &[2]));
    assert_eq!(talk.say(Client, &packet(number::CLOSE, &[2])), Err(Violation::NoChannel(Client, 2)));
    // The target may still say what it had to say.
    talk.passes(Target, &data(1, 5));
    talk.passes(Target, &request(1, "exit-status", false));
}

#[test]
fn who_is_at_work() {
    let mut talk = Talk::with_session(100);
    let mut activity = |from, said: &[u8]| talk.relay.packet(&mut talk.log, from, said);
    assert_eq!(activity(Client, &data(2, 1)), Ok(Activity::Person));
    assert_eq!(activity(Client, &request(2, "window-change", false)), Ok(Activity::Person));
    assert_eq!(activity(Client, &request(2, KEEPALIVE, false)), Ok(Activity::Machine));
    assert_eq!(activity(Client, &global(KEEPALIVE, false)), Ok(Activity::Machine));
    assert_eq!(activity(Client, &packet(number::WINDOW_ADJUST, &[2, 1])), Ok(Activity::Machine));
}

proptest! {
    /// Any packets in any order: the relay answers or refuses, and says nothing that is no packet.
    #[test]
    fn any_conversation(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        crate::fuzz::conversation(&bytes);
        crate::fuzz::packet(&bytes);
        crate::fuzz::user_name(&bytes);
    }

    /// The same with packets that are well formed, so that conversations get far.
    #[test]
    fn any_well_formed_conversation(steps in prop::collection::vec((any::<bool>(), 0u8..12, 0u32..4, 0u32..70_000), 0..120)) {
        let mut bytes = Vec::new();
        for (client, kind, number, size) in steps {
            let said = match kind {
                0 => open("session", number, size),
                1 => open("direct-tcpip", number, u32::MAX - size),
                2 => confirm(number, number + 1, size),
                3 => data(number, usize::try_from(size % 200).unwrap()),
                4 => packet(number::WINDOW_ADJUST, &[number, size]),
                5 => packet(number::CLOSE, &[number]),
                6 => request(number, "shell", size & 1 == 0),
                7 => request(number, "x11-req", size & 1 == 0),
                8 => global(KEEPALIVE, true),
                9 => packet(number::SUCCESS, &[number]),
                10 => vec![number::REQUEST_FAILURE],
                _ => packet(number::EOF, &[number]),
            };
            bytes.push(u8::from(client) | 2);
            bytes.push(u8::try_from(said.len().min(255)).unwrap());
            bytes.extend(said);
        }
        crate::fuzz::conversation(&bytes);
    }
}
