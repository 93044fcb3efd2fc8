//! Pages with an origin of their own: they are there and nowhere else, and nothing else is there.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Browser, Gate, Lab, own_binary, program};
use tapgate_model::Digest;

use super::scene::{PASSWORD, REST, Waiting};
use crate::world::{person, tapgate, word_after};

/// Asks with curl, by this name; answers the status and where it leads.
fn curl(lab: &Lab, port: u16, name: &str, path: &str, more: &[&str]) -> Result<String> {
    let (resolve, url) = (format!("{name}:{port}:127.0.0.1"), format!("https://{name}:{port}{path}"));
    let fixed = ["-sk", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "--resolve", &resolve, &url];
    let somebody = person(lab, "somebody")?;
    let ran = somebody.start(&program("curl", "curl")?, fixed.iter().chain(more))?.finish(REST)?.success()?;
    Ok(ran.stdout.trim().to_owned())
}

fn config(lab: &Lab, port: u16) -> Result<std::path::PathBuf> {
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\npublic_addr: localhost:{port}\ndata_dir: {}\nwebauthn:\n  rp_id: tap.localhost\n  \
         origins: [\"https://tap.localhost:{port}\"]\n",
        lab.dir("data")?.display()
    );
    lab.write("tapgate.yaml", &text)
}

fn append(config: &Path, line: &str) -> Result<()> {
    Ok(std::fs::write(config, std::fs::read_to_string(config)? + line + "\n")?)
}

#[test]
fn the_pages_are_at_their_own_origin_alone() -> Result<()> {
    let lab = Lab::new()?;
    let port = lab.port()?;
    let config = config(&lab, port)?;
    let init = tapgate(&["init", "--config", &config.display().to_string(), "--admin", "ann"])?.success()?;
    let token = word_after(&init.stdout, "--token").context("no token")?;
    let pin = word_after(&init.stdout, "--ca-pin").context("no pin")?;
    let gate = Gate::start_again(&config)?;
    let digest: Digest = pin.trim_start_matches("sha256:").parse().map_err(|why| anyhow!("{why}"))?;
    let browser = Browser::start(&lab, &STANDARD.encode(digest.as_bytes()))?;

    // Whoever comes elsewhere is led there, and the invite goes along without the gate's seeing it.
    browser.go(&format!("https://localhost:{port}/web/enrol#{token}"))?;
    browser.wait_for("You become the first administrator")?;
    assert_eq!(browser.url()?, format!("https://tap.localhost:{port}/web/enrol"));
    for (field, text) in [("#password", PASSWORD), ("#again", PASSWORD), ("#device", "laptop")] {
        browser.fill(field, text)?;
    }
    browser.click("#submit")?;
    browser.wait_for("You are enrolled")?;
    let line = browser.script("return document.querySelector('.copy code').textContent")?;
    append(&config, line.as_str().context("no line for tapgate.yaml")?)?;
    gate.stop()?;
    let _gate = Gate::start_again(&config)?;

    let json = ["-H", "Content-Type: application/json", "-d", "{}"];
    for (name, path, more, expected) in [
        (
            "localhost",
            "/web/sign-in?to=%2Fweb%2F",
            &[][..],
            format!("307 https://tap.localhost:{port}/web/sign-in?to=%2Fweb%2F"),
        ),
        ("localhost", "/web/mfa/approved", &[], format!("307 https://tap.localhost:{port}/web/mfa/approved")),
        ("localhost", "/web/api/sign-in", &json, "421".to_owned()),
        ("localhost", "/v1/webapi/find", &[], "200".to_owned()),
        ("localhost", "/v1/status", &[], "401".to_owned()),
        ("tap.localhost", "/", &[], format!("307 https://tap.localhost:{port}/web/")),
        ("tap.localhost", "/web/sign-in", &[], "200".to_owned()),
        ("tap.localhost", "/v1/webapi/find", &[], "200".to_owned()),
        ("tap.localhost", "/v1/status", &[], "421".to_owned()),
        ("tap.localhost", "/v1/login", &json, "421".to_owned()),
    ] {
        assert_eq!(curl(&lab, port, name, path, more)?, expected, "{name}{path}");
    }

    // A passkey of that origin signs in there, and answers for a terminal that knows the gate by its other name.
    browser.go(&format!("https://tap.localhost:{port}/web/"))?;
    browser.wait_for_element("#passkey")?;
    browser.click("#passkey")?;
    browser.wait_for("Your roles open no target yet")?;
    let ann = person(&lab, "ann")?.without_key();
    let address = format!("localhost:{port}");
    let login = ["--mfa-mode=browser", "login", "--gate", &address, "--ca-pin", &pin, "--user", "ann"];
    let waiting = Waiting::of(ann.start(&own_binary("tap")?, login)?)?;
    browser.go(&waiting.link)?;
    browser.wait_for("Approve a login")?;
    assert!(browser.url()?.starts_with(&format!("https://tap.localhost:{port}/web/mfa/browser/")));
    browser.fill("#code", &waiting.code)?;
    browser.click("button.main")?;
    browser.wait_for("Your terminal goes on")?;
    waiting.finish()?.success()?;
    ann.tap(["logout"])?.success()?;
    Ok(())
}
