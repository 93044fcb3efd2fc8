//! Files to and from a terminal's node: real ones, several by one tap, as the role allows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::scene::Scene;
use crate::world::{text, until};

/// How long a file may take.
const FILE_MAX: Duration = Duration::from_mins(1);

/// Bytes that no compression and no translation of line ends leaves alone.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

impl Scene {
    /// Chooses these files in the page, as a person does in the browser's dialog.
    fn choose(&self, files: &[PathBuf]) -> Result<()> {
        let expression = json!({"expression": "document.querySelector('#upload')"});
        let found = self.browser.devtools("Runtime.evaluate", &expression)?;
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let chosen = json!({"files": files, "objectId": found["result"]["objectId"]});
        self.browser.devtools("DOM.setFileInputFiles", &chosen).map(drop)
    }

    fn open_files(&self, directory: &Path) -> Result<()> {
        self.browser.click("button[aria-expanded='false']")?;
        self.browser.fill("#directory", &directory.display().to_string())
    }

    /// How many of the transfers have this state.
    fn transfers(&self, words: &str) -> Result<usize> {
        let script = "return [...document.querySelectorAll('.files li')].map(item => item.innerText)";
        let all = self.browser.script(script)?;
        let all = all.as_array().context("no list")?;
        Ok(all.iter().filter(|item| item.as_str().unwrap_or_default().contains(words)).count())
    }

    /// Waits until so many have.
    fn transferred(&self, words: &str, count: usize) -> Result<()> {
        let reached = until(words, FILE_MAX, || Ok(self.transfers(words)? == count));
        reached.with_context(|| {
            let page = self.browser.script("return document.querySelector('.files').innerText").unwrap_or_default();
            format!("{count} transfers were never `{words}`: {page}")
        })
    }

    fn taps(&self, mark: usize) -> usize {
        let records = self.world.records();
        let tap = |record: &&serde_json::Value| record["event"] == "mfa.succeeded" && record["purpose"] == "session";
        records.iter().skip(mark).filter(tap).count()
    }
}

#[test]
fn several_files_go_and_come_by_one_tap() -> Result<()> {
    let scene = Scene::signed_in()?;
    // Each session has a tap of its own, the terminal's and that for files.
    scene.world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s")?;
    let (here, there, got) = (scene.world.lab.dir("here")?, scene.world.lab.dir("there")?, scene.world.lab.dir("got")?);
    let strange = "b <img src=x onerror=alert(1)> \u{1b}[31m.txt";
    let content = noise(24_000_000);
    std::fs::write(here.join("a.bin"), &content)?;
    std::fs::write(here.join(strange), b"strange")?;
    std::fs::write(here.join("empty"), b"")?;
    let mark = scene.world.mark();
    scene.tapped_terminal()?;
    assert_eq!(scene.taps(mark), 1);
    scene.open_files(&there)?;
    scene.choose(&[here.join("a.bin"), here.join(strange), here.join("empty")])?;
    scene.transferred("Sent", 3)?;
    assert!(std::fs::read(there.join("a.bin"))? == content, "every byte is the same");
    assert_eq!(std::fs::read(there.join(strange))?, b"strange");
    assert_eq!(std::fs::read(there.join("empty"))?, b"");
    assert_eq!(scene.browser.script("return document.querySelectorAll('.files img').length")?, 0, "a name is a name");
    assert_eq!(scene.taps(mark), 2, "one for all files");

    // What is there is left alone until the person says otherwise.
    std::fs::write(here.join("empty"), b"no longer")?;
    scene.choose(&[here.join("empty")])?;
    scene.browser.wait_for("There is such a file already.")?;
    assert_eq!(std::fs::read(there.join("empty"))?, b"");
    scene.picture("terminal-files")?;
    scene.browser.click(".files li button")?;
    scene.transferred("Sent", 4)?;
    assert_eq!(std::fs::read(there.join("empty"))?, b"no longer");

    let keep = json!({"behavior": "allow", "downloadPath": got, "eventsEnabled": false});
    scene.browser.devtools("Browser.setDownloadBehavior", &keep)?;
    scene.browser.fill("#paths", &format!("{0}/a.bin\n{0}/nothing\n{0}/empty", there.display()))?;
    scene.browser.click(".files button[type='submit']")?;
    scene.browser.wait_for("there is no such file or directory")?;
    scene.transferred("Fetched", 2)?;
    until("the browser's copy", FILE_MAX, || Ok(std::fs::read(got.join("a.bin")).is_ok_and(|file| file == content)))?;
    until("the other", FILE_MAX, || Ok(std::fs::read(got.join("empty")).is_ok_and(|file| file == b"no longer")))?;
    assert_eq!(scene.taps(mark), 2, "still one for all files");
    let path = there.join("a.bin").display().to_string();
    let of = |operation: &'static str| {
        let path = path.clone();
        move |record: &serde_json::Value| text(record, "operation") == operation && text(record, "path") == path
    };
    scene.world.await_record(mark, "session.sftp", of("write"))?;
    scene.world.await_record(mark, "session.sftp", of("read"))?;
    scene.quiet_but_refused(404)
}

#[test]
fn where_the_role_forbids_copying_there_is_none() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.world.put_prod_options("require_session_mfa: true, ssh_file_copy: false")?;
    let (here, there) = (scene.world.lab.dir("here")?, scene.world.lab.dir("there")?);
    std::fs::write(here.join("a"), b"a")?;
    scene.tapped_terminal()?;
    scene.open_files(&there)?;
    scene.choose(&[here.join("a")])?;
    scene.browser.wait_for("files can't be copied here")?;
    scene.browser.wait_for("It was not begun.")?;
    assert!(!there.join("a").exists());
    scene.quiet_but_refused(403)
}
