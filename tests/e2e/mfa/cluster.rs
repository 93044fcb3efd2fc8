//! MFA for everybody, by the cluster's own preference.

use anyhow::Result;
use tapgate_lab::Client;

use crate::world::World;

/// olga with an editor that changes one word for another.
fn editing(world: &World, from: &str, to: &str) -> Client {
    let script = format!("sed -i 's/require_session_mfa: {from}/require_session_mfa: {to}/'");
    world.olga.clone().with("EDITOR", script)
}

#[test]
fn the_clusters_preference_makes_every_session_ask() -> Result<()> {
    let world = World::new()?;
    let dev_asks = || Ok::<_, anyhow::Error>(world.ssh("dev1", &["true"])?.success()?.stderr.contains("Node \"dev1\""));
    assert!(!dev_asks()?);
    editing(&world, "false", "true").tapctl(["edit", "cap"])?.success()?;
    let shown = world.olga.tapctl(["get", "cap"])?.success()?;
    assert!(shown.stdout.contains("require_session_mfa: true"), "{shown}");
    assert!(dev_asks()?);
    editing(&world, "true", "false").tapctl(["edit", "cap"])?.success()?;
    world.jerry.tap(["logout"])?.success()?;
    world.log_in(&world.jerry, "jerry")?;
    assert!(!dev_asks()?);
    Ok(())
}

#[test]
fn a_changed_role_ends_what_the_login_certificate_opened_alone() -> Result<()> {
    let world = World::new()?;
    world.stock(false, "dev1", "true")?.success()?;
    world.put(&world.role("access-dev", "dev", "require_session_mfa: true, in_band: off"))?;
    let refused = world.stock(false, "dev1", "true")?.failure(255)?;
    assert!(refused.stderr.contains("MFA is required to access Node \"dev1\""), "{refused}");
    Ok(())
}
