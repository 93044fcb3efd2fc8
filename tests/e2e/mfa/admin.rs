//! Administration: each change is read first, then tapped for, then made.

use anyhow::{Context as _, Result};

use crate::world::{World, text};

#[test]
fn bad_yaml_is_refused_with_its_line_before_the_tap() -> Result<()> {
    let world = World::new()?;
    let bad = "kind: role\nversion: v7\nmetadata:\n  name: broken\nspec:\n  allow: {}\n  no_such_field: 1\n";
    let file = world.lab.write("bad.yaml", bad)?.display().to_string();
    let refused = world.olga.tapctl(["create", "-f", &file])?.failure(1)?;
    assert!(refused.stderr.contains(":7: ") && refused.stderr.contains("no_such_field"), "{refused}");
    assert!(!refused.stderr.contains("Tap any security key"), "{refused}");
    let absent = world.olga.tapctl(["get", "role/broken"])?.failure(1)?;
    assert!(absent.stderr.contains("there is no role"), "{absent}");
    Ok(())
}

#[test]
fn a_refused_edit_is_kept_and_can_be_put_again() -> Result<()> {
    let world = World::new()?;
    let olga = world.olga.clone().with("TMPDIR", world.lab.dir("tmp")?);
    let spoil = olga.clone().with("EDITOR", "sed -i 's/require_session_mfa/require_sesion_mfa/'");
    let refused = spoil.tapctl(["edit", "role/access-prod"])?.failure(1)?;
    assert!(refused.stderr.contains("require_sesion_mfa"), "{refused}");
    assert!(!refused.stderr.contains("Tap any security key"), "{refused}");
    let line = refused.stderr.lines().find_map(|line| line.strip_prefix("The edit is kept in "));
    let kept = line.and_then(|line| line.split(';').next()).with_context(|| format!("{refused}"))?.to_owned();
    let mended = std::fs::read_to_string(&kept)?.replace("require_sesion_mfa", "require_session_mfa");
    std::fs::write(&kept, mended)?;
    olga.tapctl(["create", "--force", "-f", &kept])?.success()?;
    Ok(())
}

#[test]
fn a_change_is_tapped_for_and_logged_with_its_proof() -> Result<()> {
    let world = World::new()?;
    let mark = world.mark();
    let said = world.put("kind: role\nversion: v7\nmetadata:\n  name: auditor\nspec:\n  allow: {}\n")?;
    assert!(said.stderr.contains("MFA is required for this administrative action"), "{said}");
    let changed = world.await_record(mark, "admin.changed", |_| true)?;
    assert_eq!((text(&changed, "user"), text(&changed, "name")), ("olga", "auditor"));
    assert!(changed["proof"]["proof"].is_string() && changed["action"].is_string(), "{changed}");

    let thief = world.olga.clone().without_key();
    let shut = thief.tapctl(["rm", "role/auditor"])?.failure(1)?;
    assert!(!shut.stderr.contains("Detected"), "{shut}");
    world.olga.tapctl(["get", "role/auditor"])?.success()?;
    Ok(())
}

#[test]
fn somebody_who_is_no_administrator_is_refused_clearly() -> Result<()> {
    let world = World::new()?;
    let role = "kind: role\nversion: v7\nmetadata:\n  name: mine\nspec:\n  allow: { logins: [root] }\n";
    let file = world.lab.write("mine.yaml", role)?.display().to_string();
    let attempts: [&[&str]; 5] = [
        &["create", "-f", &file],
        &["rm", "role/access-prod"],
        &["lock", "--user=olga"],
        &["users", "add", "ann", "--roles", "admin"],
        &["explain", "jerry", "prod3"],
    ];
    for words in attempts {
        let refused = world.jerry.tapctl(words)?.failure(1)?;
        assert!(refused.stderr.contains("you may not"), "{refused}");
        assert!(!refused.stderr.contains("Tap any security key"), "{refused}");
    }
    let listed = world.jerry.tapctl(["get", "roles"])?;
    assert!(!listed.stdout.contains("access-prod"), "{listed}");
    Ok(())
}
