//! A process killed at any moment loses no write that it has acknowledged, and nothing is granted twice.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tapgate_store::{SqliteStore, Store};

const FILE: &str = "TAPGATE_STORE_KILL_TEST_FILE";
const ROUND: &str = "TAPGATE_STORE_KILL_TEST_ROUND";
const NAME: &str = "TAPGATE_STORE_KILL_TEST_NAME";
const ROUNDS: usize = 15;
const TOKENS: usize = 500;

/// What the killed processes had acknowledged, over all rounds.
#[derive(Default)]
struct Acknowledged {
    puts: BTreeMap<String, String>,
    spent: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

#[test]
fn killed_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    for round in 0..ROUNDS {
        let put = |n| tapgate_store::Write::Put { key: format!("token/{round}/{n}"), value: vec![], expires: None };
        store.write(&(0..TOKENS).map(put).collect::<Vec<_>>()).unwrap();
    }
    drop(store);
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            let path = &path;
            let children = ["a", "b"].map(|name| scope.spawn(move || run_and_kill(path, round, name)));
            for child in children {
                child.join().unwrap().iter().for_each(|line| acknowledged.note(line));
            }
        });
        acknowledged.check(&path);
    }
    let least = [acknowledged.puts.len(), acknowledged.spent.len(), acknowledged.taken.len()].into_iter().min();
    assert!(least >= Some(ROUNDS), "the processes did too little");
}

/// Starts a writer, kills it a random moment after a random number of its words, and gives what it has said.
fn run_and_kill(path: &Path, round: usize, name: &str) -> Vec<String> {
    let random = RandomState::new().hash_one(name);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(FILE, path)
        .env(ROUND, round.to_string())
        .env(NAME, name)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    for _ in 0..10 + random % 30 {
        words.read_line(&mut said).unwrap();
    }
    thread::sleep(Duration::from_micros(random / 30 % 20_000));
    child.kill().unwrap();
    child.wait().unwrap();
    words.read_to_string(&mut said).unwrap();
    // A last word that was cut off was not said.
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_owned).collect()
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["put", key, value, "done"] => drop(self.puts.insert((*key).to_owned(), (*value).to_owned())),
            ["spent", key, by, "done"] => {
                let before = self.spent.insert((*key).to_owned(), (*by).to_owned());
                assert_eq!(before, None, "{key} was granted twice");
            }
            ["taken", key, "done"] => assert!(self.taken.insert((*key).to_owned()), "{key} was taken twice"),
            _ => panic!("a writer said {line:?}"),
        }
    }

    fn check(&self, path: &Path) {
        let store = SqliteStore::open(path).unwrap();
        let holds = |key: &str| store.get(key, 0).unwrap().map(|entry| String::from_utf8(entry.value).unwrap());
        for (key, value) in self.puts.iter().chain(&self.spent) {
            assert_eq!(holds(key).as_ref(), Some(value), "{key}");
        }
        for key in &self.taken {
            assert_eq!(holds(key), None, "{key} was taken and is there");
        }
    }
}

/// The process that is killed: the test above runs this one in a process of its own. It tries what the round before
/// has granted a second time.
#[test]
fn writer() {
    let (Ok(file), Ok(round), Ok(name)) = (env::var(FILE), env::var(ROUND), env::var(NAME)) else { return };
    let round: usize = round.parse().unwrap();
    let store = SqliteStore::open(file).unwrap();
    thread::scope(|scope| {
        for thread in 0..2 {
            let (store, by) = (&store, format!("{round}{name}{thread}"));
            scope.spawn(move || (0..TOKENS).for_each(|n| write_all_kinds(store, round, n, &by)));
        }
    });
}

fn write_all_kinds(store: &SqliteStore, round: usize, n: usize, by: &str) {
    let say = |words: String| std::io::stderr().write_all((words + " done\n").as_bytes()).unwrap();
    store.put(&format!("put/{by}/{n}"), n.to_string().as_bytes(), None).unwrap();
    say(format!("put put/{by}/{n} {n}"));
    for round in [round.saturating_sub(1), round] {
        if store.cas(&format!("spent/{round}/{n}"), None, by.as_bytes(), None, 0).unwrap().is_some() {
            say(format!("spent spent/{round}/{n} {by}"));
        }
        if store.take(&format!("token/{round}/{n}"), 0).unwrap().is_some() {
            say(format!("taken token/{round}/{n}"));
        }
    }
}
