//! A large paste into the terminal in the page: it arrives whole, and waits where nobody reads it.

use std::time::Duration;

use anyhow::{Result, ensure};
use tapgate_lab::Browser;

use super::scene::Scene;
use crate::world::{resident, until};

/// How many lines are pasted, each of 80 bytes: 1.2 MB, far more than the gate and the target's terminal hold together.
const LINES: usize = 15_000;

/// How long a terminal may take to swallow all that.
const SWALLOWED: Duration = Duration::from_mins(2);

impl Scene {
    /// Pastes a text into the terminal, as the browser does.
    fn paste(&self, text: &str) -> Result<()> {
        let text = serde_json::to_string(text)?;
        let script = format!(
            "const carried = new DataTransfer();
             carried.setData('text/plain', {text});
             document.querySelector('.xterm-helper-textarea').dispatchEvent(
                new ClipboardEvent('paste', {{clipboardData: carried, bubbles: true, cancelable: true}}))"
        );
        self.browser.script(&script).map(drop)
    }
}

#[test]
fn a_large_paste_arrives_whole_and_waits_while_nobody_reads_it() -> Result<()> {
    let scene = Scene::signed_in()?;
    let folder = scene.world.lab.dir("pasted")?;
    let (file, go) = (folder.join("all"), folder.join("go"));
    let lines: Vec<String> = (0..LINES).map(|n| format!("{n:07} {}\n", "ä-whole-".repeat(8))).collect();
    let text = lines.concat();
    ensure!(text.len() == LINES * 81, "{} bytes", text.len());
    scene.terminal("dev1")?;
    scene.shell_is_there()?;
    let before = resident(&scene.world)?;
    let script = format!(
        "stty -echo; until [ -e {go} ]; do sleep 0.1; done; head -c {} > {file}; stty echo; echo all-$((6*7))",
        text.len(),
        go = go.display(),
        file = file.display()
    );
    let script = scene.world.lab.write("swallow.sh", &script)?;
    scene.browser.press(&format!("echo begins-$((1+1)); . {}{}", script.display(), Browser::ENTER))?;
    scene.shows("begins-2")?;
    scene.paste(&text)?;
    // Nobody reads it: the gate holds what the windows let it, and the rest waits in the page. A second terminal of the
    // same person goes on meanwhile.
    let first = scene.browser.tab()?;
    scene.browser.new_tab()?;
    scene.terminal("dev1")?;
    scene.shell_is_there()?;
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} kB");
    assert!(!file.exists());
    scene.browser.switch(&first)?;
    std::fs::write(&go, "")?;
    let whole = u64::try_from(text.len())?;
    until("the whole file", SWALLOWED, || Ok(std::fs::metadata(&file).is_ok_and(|found| found.len() >= whole)))?;
    scene.shows("all-42")?;
    assert!(std::fs::read_to_string(&file)? == text, "what arrived is not what was pasted");
    // Nothing of it is left over for the shell, which goes on.
    scene.run("echo after-$((40+3))", "after-43")?;
    scene.quiet()
}
