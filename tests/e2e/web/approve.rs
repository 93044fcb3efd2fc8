//! What is approved in the browser happens at the terminal.

use anyhow::Result;

use super::scene::Scene;
use crate::world::{ASKED, text};

#[test]
fn a_key_of_the_browser_enrols_logs_in_and_opens_production() -> Result<()> {
    let scene = Scene::new()?;
    assert_eq!(scene.browser.credentials()?.len(), 1);
    let mark = scene.world.mark();
    let waiting = scene.ssh("echo here")?;
    assert!(waiting.link.starts_with("http://127.0.0.1:"), "{}", waiting.link);
    scene.open(&waiting, "Approve a session")?;
    assert!(scene.browser.url()?.starts_with(&format!("https://{}/web/mfa/browser/", scene.world.address)));
    for said in ["ann", "Node", "prod3", "127.0.0.1"] {
        scene.browser.wait_for(said)?;
    }
    // Nothing has started by itself.
    assert!(!waiting.process.stderr().contains("Approved"));
    scene.picture("approve")?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    scene.picture("approved")?;
    let ran = waiting.finish()?.success()?;
    assert_eq!(ran.stdout, "here\n");
    assert!(ran.stderr.starts_with(ASKED) && ran.stderr.contains("Approved in the browser"), "{ran}");
    assert_eq!(scene.browser.console()?, Vec::<String>::new(), "the page breaks no policy of its own");

    let steps = ["begun", "approved"]
        .map(|step| scene.world.await_record(mark, "mfa.browser", |record| text(record, "step") == step).map(drop));
    steps.into_iter().collect::<Result<Vec<()>>>()?;
    let start = scene.world.await_record(mark, "session.start", |_| true)?;
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    let log = std::fs::read_to_string(scene.world.audit_log())?;
    assert!(!log.contains(waiting_number(&ran.stderr)), "the callback's number is not in the log");
    // Within the window the agent needs no browser.
    let again = scene.ann.tap(["ssh", &scene.world.at("prod3"), "echo again"])?.success()?;
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("again\n", ""));
    scene.ann.tap(["logout"])?.success()?;
    Ok(())
}

/// The number in the printed link.
fn waiting_number(said: &str) -> &str {
    let link = said.lines().find(|line| line.starts_with(" http://127.0.0.1:")).unwrap_or_default();
    link.rsplit('/').next().unwrap_or_default()
}

#[test]
fn an_administrators_change_is_read_before_it_is_approved() -> Result<()> {
    let scene = Scene::new()?;
    let yaml = "kind: role\nversion: v7\nmetadata:\n  name: from-the-browser\nspec:\n  allow:\n    logins: [nobody]\n    \
                node_labels: { env: dev }\n";
    let file = scene.world.lab.write("role.yaml", yaml)?;
    let waiting = scene.start("tapctl", ["create", "-f", &file.display().to_string()])?;
    scene.open(&waiting, "Approve a change")?;
    scene.browser.wait_for("name: from-the-browser")?;
    scene.picture("change")?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    waiting.finish()?.success()?;
    let role = scene.ann.tapctl(["get", "role/from-the-browser"])?.success()?;
    assert!(role.stdout.contains("from-the-browser"), "{role}");
    Ok(())
}

#[test]
fn every_answer_of_the_pages_is_guarded() -> Result<()> {
    let scene = Scene::before_enrolment()?;
    scene.browser.go(&format!("https://{}/web/mfa/browser/{}", scene.world.address, "A".repeat(43)))?;
    scene.browser.wait_for("This request is not open")?;
    scene.picture("closed")?;
    let ask =
        "return Promise.all(['/web/mfa/browser/x', '/web/page.js', '/web/mfa/approved', '/web/mfa/browser/x/request']
        .map(path => fetch(path).then(answer => [answer.status, ...['content-security-policy', 'cache-control',
        'referrer-policy', 'x-frame-options', 'x-content-type-options', 'permissions-policy']
        .map(name => answer.headers.get(name))])))";
    let answers = scene.browser.script(ask)?;
    let statuses: Vec<_> = answers.as_array().into_iter().flatten().map(|answer| answer[0].as_u64()).collect();
    assert_eq!(statuses, [Some(404), Some(200), Some(200), Some(404)]);
    for answer in answers.as_array().into_iter().flatten() {
        let policy = answer[1].as_str().unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{answer}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{answer}");
        assert_eq!((answer[2].as_str(), answer[3].as_str()), (Some("no-store"), Some("no-referrer")));
        assert_eq!((answer[4].as_str(), answer[5].as_str()), (Some("DENY"), Some("nosniff")));
        assert!(answer[6].as_str().is_some_and(|p| p.contains("publickey-credentials-get=(self)")), "{answer}");
    }
    Ok(())
}
