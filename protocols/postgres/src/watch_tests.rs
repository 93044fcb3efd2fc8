//! Tests of what belongs to what.

use super::*;

fn of(kind: u8, body: &[u8]) -> Frame<'_> {
    Frame { kind, body, whole: true }
}

/// A conversation, and what the log was told.
#[derive(Default)]
struct Talk(Watch);

impl Talk {
    fn client(&mut self, kind: u8, body: &[u8]) {
        let said = match kind {
            b'Q' => Some(Arc::new(Said::new(text(body).0, true))),
            b'P' => Some(Arc::new(Said::new(text(text(body).1).0, true))),
            _ => None,
        };
        self.0.client(&of(kind, body), said, None).unwrap();
    }

    fn refuse(&mut self, kind: u8, body: &[u8], words: &str) {
        let said = Some(Arc::new(Said::new(text(body).0, true)));
        self.0.client(&of(kind, body), said, Some(words.into())).unwrap();
    }

    fn target(&mut self, kind: u8, body: &[u8]) -> Option<Arc<str>> {
        let is_ours = |body: &[u8]| body.windows(4).any(|part| part == b"OURS");
        self.0.target(&of(kind, body), is_ours)
    }

    fn told(&mut self) -> Vec<String> {
        let told = self.0.over().map(|told| {
            let said = told.said.map_or("?".to_owned(), |said| said.text.to_string());
            format!("{said}: {:?} {}", told.rows, told.outcome)
        });
        told.collect()
    }
}

const ERROR: &[u8] = b"SERROR\0VERROR\0C42P01\0Mno such table\0\0";
const OURS: &[u8] = b"SERROR\0VERROR\0C42601\0Msyntax error at or near \"OURS\"\0\0";

#[test]
fn a_simple_query_is_told_once_with_all_its_rows() {
    let mut talk = Talk::default();
    talk.client(b'Q', b"insert x; select y\0");
    talk.0.stir();
    assert!(!talk.0.rests());
    talk.target(b'C', b"INSERT 0 5\0");
    talk.target(b'C', b"SELECT 3\0");
    assert!(talk.told().is_empty());
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["insert x; select y: Some(8) done"]);
    assert!(talk.0.rests());
    talk.client(b'Q', b"bad\0");
    talk.target(b'E', ERROR);
    talk.target(b'Z', b"I");
    talk.client(b'Q', b"begin\0");
    talk.target(b'C', b"BEGIN\0");
    talk.target(b'Z', b"T");
    assert_eq!(talk.told(), ["bad: None failed: 42P01", "begin: None done"]);
}

#[test]
fn what_is_prepared_is_told_when_it_is_run() {
    let mut talk = Talk::default();
    talk.client(b'P', b"s1\0select 1\0\0\0");
    talk.client(b'S', b"");
    talk.target(b'Z', b"I");
    for _ in 0..2 {
        talk.client(b'B', b"\0s1\0\0\0");
        talk.client(b'E', b"\0\0\0\0\0");
        talk.client(b'S', b"");
        talk.target(b'C', b"SELECT 1\0");
        talk.target(b'Z', b"I");
    }
    assert_eq!(talk.told(), ["select 1: Some(1) done"; 2]);
    talk.client(b'C', b"Ss1\0");
    talk.client(b'B', b"\0s1\0\0\0");
    talk.client(b'E', b"\0\0\0\0\0");
    talk.client(b'S', b"");
    talk.target(b'E', ERROR);
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["?: None failed: 42P01"]);
}

#[test]
fn many_runs_of_one_text_in_a_row_are_told_as_one() {
    let mut talk = Talk::default();
    talk.client(b'P', b"\0insert\0\0\0");
    for _ in 0..3 {
        talk.client(b'B', b"\0\0\0\0");
        talk.client(b'E', b"\0\0\0\0\0");
    }
    talk.client(b'S', b"");
    for _ in 0..3 {
        talk.target(b'C', b"INSERT 0 2\0");
    }
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["insert: Some(6) done"]);
}

#[test]
fn what_follows_a_failure_is_skipped_up_to_its_sync() {
    let mut talk = Talk::default();
    for text in ["a", "b"] {
        talk.client(b'P', format!("\0{text}\0\0\0").as_bytes());
        talk.client(b'B', b"\0\0\0\0");
        talk.client(b'E', b"\0\0\0\0\0");
    }
    talk.client(b'S', b"");
    talk.client(b'Q', b"c\0");
    talk.target(b'E', ERROR);
    talk.target(b'Z', b"I");
    talk.target(b'C', b"SELECT 1\0");
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["a: None failed: 42P01", "b: None skipped", "c: Some(1) done"]);
}

#[test]
fn a_refusal_takes_the_place_of_the_targets_error() {
    let mut talk = Talk::default();
    talk.refuse(b'Q', b"drop table x\0", "not here");
    assert_eq!(talk.target(b'E', OURS).as_deref(), Some("not here"));
    talk.target(b'Z', b"I");
    talk.client(b'P', b"\0a\0\0\0");
    talk.client(b'B', b"\0\0\0\0");
    talk.client(b'E', b"\0\0\0\0\0");
    talk.refuse(b'P', b"b\0", "nor here");
    talk.client(b'S', b"");
    talk.target(b'C', b"SELECT 1\0");
    assert_eq!(talk.target(b'E', OURS).as_deref(), Some("nor here"));
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["drop table x: None refused: not here", "a: Some(1) done", "b: None refused: nor here"]);
}

#[test]
fn a_refusal_behind_a_failure_is_not_reached() {
    let mut talk = Talk::default();
    talk.client(b'P', b"\0a\0\0\0");
    talk.client(b'B', b"\0\0\0\0");
    talk.client(b'E', b"\0\0\0\0\0");
    talk.refuse(b'P', b"b\0", "nor here");
    talk.client(b'S', b"");
    assert_eq!(talk.target(b'E', ERROR), None);
    talk.target(b'Z', b"I");
    assert_eq!(talk.told().len(), 2);
    assert!(talk.0.rests() && talk.0.unanswered.is_empty());
}

#[test]
fn a_copy_in_takes_the_syncs_that_come_before_its_end() {
    let mut talk = Talk::default();
    talk.client(b'P', b"\0copy x from stdin\0\0\0");
    talk.client(b'B', b"\0\0\0\0");
    talk.client(b'E', b"\0\0\0\0\0");
    talk.client(b'S', b"");
    talk.target(b'G', b"\0\0\0");
    talk.client(b'S', b"");
    talk.client(b'c', b"");
    talk.client(b'S', b"");
    talk.target(b'C', b"COPY 7\0");
    talk.target(b'Z', b"I");
    assert_eq!(talk.told(), ["copy x from stdin: Some(7) done"]);
    assert!(talk.0.unanswered.is_empty());
}

#[test]
fn the_end_of_a_session_leaves_nothing_untold() {
    let mut talk = Talk::default();
    talk.client(b'Q', b"select pg_sleep(9)\0");
    talk.client(b'X', b"");
    talk.0.finish();
    assert_eq!(talk.told(), ["select pg_sleep(9): None unanswered"]);
    assert!(talk.0.has_left() && !talk.0.was_dismissed());
    talk.target(b'E', b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0");
    assert!(talk.0.was_dismissed());
}

#[test]
fn nobody_piles_up_messages_without_end() {
    let mut watch = Watch::default();
    let flood = (0..=UNANSWERED_MAX).try_for_each(|_| watch.client(&of(b'S', b""), None, None));
    assert_eq!(flood, Err(Broken::Flood));
}
