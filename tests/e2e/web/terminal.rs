//! What a terminal leaves to the browser beside sessions: devices, edits, and answers carried by hand.

use anyhow::{Context as _, Result};
use tapgate_lab::own_binary;

use super::scene::{REST, Scene, Waiting};

#[test]
fn devices_are_managed_from_a_terminal_with_the_browsers_keys() -> Result<()> {
    let scene = Scene::new()?;
    let (old, new) = (scene.browser.authenticator().to_owned(), scene.browser.new_authenticator("usb")?);
    let waiting = scene.tap(["mfa", "add", "--name", "yubi"])?;
    scene.browser.set_touching(&old, false)?;
    scene.open(&waiting, "Make a new security key")?;
    scene.browser.wait_for("yubi")?;
    scene.picture("make")?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    scene.browser.set_touching(&new, false)?;
    scene.browser.set_touching(&old, true)?;
    let waiting = waiting.again()?;
    let ran = scene.approve(waiting, "Vouch for a new security key")?.success()?;
    assert_eq!(ran.stdout, "security key \"yubi\" has been added\n");
    assert!(ran.stderr.contains("tap one that is registered ALREADY"), "{ran}");

    let waiting = scene.tap(["mfa", "rename", "yubi", "blue"])?;
    let ran = scene.approve(waiting, "Approve a change of your devices")?.success()?;
    assert_eq!(ran.stdout, "security key \"yubi\" is called \"blue\" now\n");
    let waiting = scene.tap(["mfa", "rm", "blue"])?;
    scene.open(&waiting, "Approve a change of your devices")?;
    scene.browser.wait_for("Remove the device \"blue\"")?;
    scene.picture("device-change")?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    assert_eq!(waiting.finish()?.success()?.stdout, "security key \"blue\" has been removed\n");
    scene.quiet()
}

#[test]
fn an_edit_is_seen_as_a_difference_at_the_terminal_and_on_the_page() -> Result<()> {
    let scene = Scene::new()?;
    let editor = scene.world.lab.write("editor.sh", "sed -i 's/nobody/nobody, backup/' \"$1\"\n")?;
    let ann = scene.ann.clone().with("EDITOR", format!("sh {}", editor.display()));
    let process = ann.start(&own_binary("tapctl")?, ["edit", "--mfa-mode=browser", "role/access-dev"])?;
    let waiting = Waiting::of(process)?;
    let said = waiting.process.stderr();
    let (minus, plus) = (said.find("\n-").context("no old line")?, said.find("\n+ ").context("no new line")?);
    assert!(minus < plus && said.contains("nobody, backup"), "{said}");
    scene.open(&waiting, "Approve a change")?;
    scene.browser.wait_for("update role \"access-dev\"")?;
    let line =
        |kind: &str| scene.browser.script(&format!("return document.querySelector('.diff .{kind}').textContent"));
    assert!(!line("minus")?.to_string().contains("backup"), "{}", line("minus")?);
    assert!(line("plus")?.to_string().contains("nobody, backup"), "{}", line("plus")?);
    scene.picture("edit")?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    let ran = waiting.finish()?.success()?;
    assert!(ran.stdout.contains("has been updated"), "{ran}");
    scene.quiet()
}

const PASTE: &str = "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  \
                     allow_cli_auth_by_paste: true\n";

#[test]
fn an_answer_is_carried_by_hand_where_the_operator_allows_it() -> Result<()> {
    let scene = Scene::new()?;
    let words = ["--mfa-mode=paste", "ssh", &scene.world.at("prod3"), "echo here"];
    let refused = scene.ann.tap(words)?.failure(1)?;
    assert!(refused.stderr.contains("this cluster does not allow pasted answers"), "{refused}");

    scene.world.put(PASTE)?;
    let mut process = scene.ann.start(&own_binary("tap")?, words)?;
    let page = |line: &str| line.trim().starts_with("https://").then(|| line.trim().to_owned());
    let page = process.wait_for_error_line("the page", page)?;
    let typed = |line: &str| line.strip_prefix("Type this code on the page: ").map(str::to_owned);
    let code = process.wait_for_error_line("the code", typed)?;
    scene.browser.go(&page)?;
    scene.browser.wait_for("Approve a session")?;
    scene.submit(&code)?;
    scene.browser.wait_for("Copy the answer to your terminal")?;
    scene.picture("paste")?;
    scene.quiet()?;
    let sealed = scene.browser.script("return document.querySelector('.copy code').textContent")?;
    let sealed = sealed.as_str().context("no answer is shown")?;
    // What was cut off is asked for once more.
    process.write(format!("{}\n", &sealed[..sealed.len() / 2]).as_bytes())?;
    process.wait_for_error("Copy it once more")?;
    process.write(format!("{sealed}\n").as_bytes())?;
    let ran = process.finish(REST)?.success()?;
    assert_eq!(ran.stdout, "here\n");
    scene.ann.tap(["logout"])?.success()?;
    Ok(())
}
