//! "Browser MFA", from top to bottom, as far as a terminal goes; from the link on it is the suite `web`'s.

use anyhow::Result;
use tapgate_lab::own_binary;

use super::{CAP_NO_BROWSER, CAP_UPDATED, CAP_WEBAUTHN, REQUIRE_SESSION_MFA, create, editing};
use crate::world::World;

/// The relying party of the guide's cluster.
const THEIRS: &str = "rp_id: example.teleport.sh";

fn ours(yaml: &str) -> String {
    assert!(yaml.contains(THEIRS), "{yaml}");
    yaml.replace(THEIRS, "rp_id: localhost")
}

#[test]
fn the_preference_is_updated_as_often_as_it_is_written() -> Result<()> {
    let world = World::new()?;
    let had = world.olga.tapctl(["get", "cluster_auth_preference"])?.success()?;
    assert!(had.stdout.starts_with("kind: cluster_auth_preference\n"), "{had}");
    for yaml in [CAP_WEBAUTHN, CAP_NO_BROWSER] {
        let written = create(&world, "cap.yaml", &ours(yaml), &[])?.success()?;
        assert_eq!(written.stdout, CAP_UPDATED);
        let now = world.olga.tapctl(["get", "cluster_auth_preference"])?.success()?;
        assert_eq!(now.stdout.trim(), ours(yaml).trim());
    }
    let ssh = world.jerry.tap(["ssh", "--mfa-mode=browser", &world.at("prod3"), "true"])?.failure(1)?;
    assert!(ssh.stderr.contains("ERROR: this cluster does not allow taps in the browser"), "{ssh}");
    Ok(())
}

/// A preference that names another relying party than the gate's is not taken and then ignored.
#[test]
fn another_clusters_relying_party_is_refused_before_the_tap() -> Result<()> {
    let world = World::new()?;
    let refused = create(&world, "cap.yaml", CAP_WEBAUTHN, &[])?.failure(1)?;
    let said = "the rp_id of this gate is \"localhost\", not \"example.teleport.sh\"";
    assert!(refused.stderr.contains(said) && !refused.stderr.contains("Tap any security key"), "{refused}");
    Ok(())
}

#[test]
fn every_command_of_the_guide_prints_its_link() -> Result<()> {
    let world = World::new()?;
    let node = world.at("prod3");
    let login = ["login", "--proxy", &world.address, "--user", "jerry", "--mfa-mode=browser"];
    let edit = ["edit", "--mfa-mode=browser", "cluster_auth_preference"];
    let editor = editing(&world, REQUIRE_SESSION_MFA)?;
    for (client, name, words) in [
        (&world.jerry, "tap", &login[..]),
        (&world.jerry, "tap", &["ssh", "--mfa-mode=browser", &node]),
        (&editor, "tapctl", &edit),
    ] {
        let process = client.clone().without_key().start(&own_binary(name)?, words)?;
        process.wait_for_error("If browser window does not open automatically, open it by clicking on the link:\n")?;
        let link = |line: &str| line.trim().strip_prefix("http://127.0.0.1:").map(str::to_owned);
        let link = process.wait_for_error_line("the link", link)?;
        let (port, number) = link.split_once('/').unwrap_or_default();
        assert!(port.parse::<u16>().is_ok(), "{link}");
        assert_eq!(number.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{link}");
        process.kill()?;
    }
    let kept = world.olga.tapctl(["get", "cap"])?.success()?;
    assert!(kept.stdout.contains("require_session_mfa: false"), "{kept}");
    Ok(())
}
