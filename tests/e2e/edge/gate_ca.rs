//! The gate's own authority is rotated, and whoever knew the gate by the one before comes in as ever.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_api::path;
use tapgate_lab::{Client, Ran, program};

use super::rotation::rotate;
use crate::world::{World, enrol, person, tapgate};

/// The gate's authority as an operator hands it out, kept under this name.
fn ca_file(world: &World, name: &str) -> Result<PathBuf> {
    let ca = tapgate(&["ca", "--config", &world.config.display().to_string(), "--browsers"])?.success()?;
    world.lab.write(name, &ca.stdout)
}

/// curl at the gate, which trusts this file alone.
fn curl(world: &World, ca: &Path) -> Result<Ran> {
    let (url, ca) = (format!("https://{}{}", world.address, path::FIND), ca.display().to_string());
    let words = ["-sS", "--fail", "--max-time", "30", "--cacert", &ca, &url];
    world.jerry.start(&program("curl", "curl")?, words)?.finish(Duration::from_secs(40))
}

/// What a client knows of its gate.
fn profile(world: &World, client: &Client) -> Result<String> {
    let file = client.tap_home().join("profiles").join(format!("{}.yaml", world.address));
    Ok(std::fs::read_to_string(file)?)
}

fn present_pin(world: &World) -> Result<String> {
    let status = world.olga.tapctl(["status", "--format", "json"])?.success()?.json()?;
    Ok(status["ca_pin"].as_str().context("no pin")?.to_owned())
}

/// All steps of a rotation.
fn rotate_whole(world: &World) -> Result<()> {
    for phase in ["prepare", "switch", "finish"] {
        rotate(world, "gate", phase, &[])?.success()?;
    }
    Ok(())
}

#[test]
fn clients_follow_the_gates_authority_and_nobody_has_to_do_anything() -> Result<()> {
    let mut world = World::new()?;
    let old = ca_file(&world, "old.pem")?;
    rotate(&world, "gate", "prepare", &[])?.success()?;
    world.ssh("dev1", &["true"])?.success()?;
    assert_eq!(present_pin(&world)?, world.pin);
    let both = world.olga.tapctl(["auth", "export", "--type", "gate"])?.success()?.stdout;
    assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2, "{both}");
    let both = world.lab.write("both.pem", &both)?;
    let mut session = world.start_ssh("dev1", &["while read word; do echo $word; done"])?;
    session.write(b"before\n")?;
    session.wait_for("before")?;

    rotate(&world, "gate", "switch", &[])?.success()?;
    // jerry's client knows the old pin: it learns the new one, says so once, and taps for the same gate as ever.
    let told = world.ssh("prod3", &["true"])?.success()?;
    let pin = present_pin(&world)?;
    assert_ne!(pin, world.pin);
    assert!(told.stderr.contains(&format!("has a new CA, {pin}, for which the one of before vouches")), "{told}");
    assert!(!world.ssh("prod3", &["true"])?.success()?.stderr.contains("new CA"));
    let known = profile(&world, &world.jerry)?;
    assert!(known.contains(&format!("ca_pin: {pin}\nfirst_pin: {}", world.pin)), "{known}");
    let new = ca_file(&world, "new.pem")?;
    for file in [&old, &both, &new] {
        curl(&world, file)?.success()?;
    }
    let ran = rotate(&world, "gate", "rollback", &[])?.failure(1)?;
    assert!(ran.stderr.contains("know the gate by its new authority alone"), "{ran}");
    rotate(&world, "gate", "finish", &[])?.success()?;

    world.log_in(&world.jerry, "jerry")?;
    world.ssh("prod3", &["true"])?.success()?;
    // Somebody new has the new pin, or the one of an old note; nobody comes by a pin that never was the gate's.
    for (name, by) in [("ann", &pin), ("bob", &world.pin)] {
        let (token, client) = (world.invite(name, "access-prod")?, person(&world.lab, name)?);
        let ran = enrol(&client, &world.address, &format!("sha256:{}", "0a".repeat(32)), &token)?.failure(1)?;
        assert!(ran.stderr.contains("did not prove itself"), "{ran}");
        enrol(&client, &world.address, by, &token)?.success()?;
        world.log_in(&client, name)?;
        world.ssh_as(&client, "prod3", &["true"])?.success()?;
        client.tap(["logout"])?.success()?;
    }
    session.write(b"after\n")?;
    session.wait_for("after")?;
    drop(session);
    world.stop()?;
    world.start()?;
    for file in [&old, &both, &new] {
        curl(&world, file)?.success()?;
    }
    world.ssh("prod3", &["true"])?.success()?;
    Ok(())
}

#[test]
fn who_was_away_for_several_rotations_follows_all_of_them_to_a_limit() -> Result<()> {
    let world = World::new()?;
    let old = ca_file(&world, "old.pem")?;
    for _ in 0..4 {
        rotate_whole(&world)?;
    }
    // jerry's client has seen none of them.
    world.ssh("prod3", &["true"])?.success()?;
    world.log_in(&world.jerry, "jerry")?;
    world.ssh("prod3", &["true"])?.success()?;
    let known = profile(&world, &world.jerry)?;
    assert!(known.contains(&present_pin(&world)?) && known.contains(&world.pin), "{known}");
    curl(&world, &old)?.success()?;
    let ran = rotate(&world, "gate", "prepare", &[])?.failure(1)?;
    assert!(ran.stderr.contains("has been rotated 4 times, and clients follow no further"), "{ran}");
    // The whole log proves every tap, whichever authority the gate had.
    tapgate_audit::verify_file(world.audit_log())?;
    Ok(())
}

#[test]
fn kubectl_goes_on_with_the_kubeconfig_of_before() -> Result<()> {
    let mut scene = crate::kube::scene::Scene::new("require_session_mfa: true")?;
    let pods = |scene: &crate::kube::scene::Scene, when: &str| -> Result<()> {
        let ran = scene.kubectl(&["get", "pods", "-n", "dev", "-o", "name"])?.success().context(when.to_owned())?;
        assert!(ran.stdout.contains("pod/web-0"), "{when}: {ran}");
        Ok(())
    };
    pods(&scene, "before")?;
    for phase in ["prepare", "switch", "finish"] {
        rotate(&scene.world, "gate", phase, &[])?.success()?;
        pods(&scene, phase)?;
    }
    // One that is written now names the new authority alone.
    scene.kubeconfig = scene.world.lab.path().join("new.kubeconfig");
    let file = scene.kubeconfig.display().to_string();
    scene.world.jerry.tap(["kube", "login", "prod", "--kubeconfig", &file])?.success()?;
    pods(&scene, "with a new file")
}

#[test]
fn psql_goes_on_with_the_authority_of_before() -> Result<()> {
    let scene = crate::db::scene::Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let answers = |when: &str| -> Result<()> {
        let ran = scene.psql(Some(&pass), "", "select 6 * 7")?.success().context(when.to_owned())?;
        assert_eq!(ran.stdout.trim(), "42", "{when}");
        Ok(())
    };
    answers("before")?;
    for phase in ["prepare", "switch", "finish"] {
        rotate(&scene.world, "gate", phase, &[])?.success()?;
        answers(phase)?;
    }
    let new = ca_file(&scene.world, "new.pem")?;
    scene.psql(Some(&pass), &format!("sslrootcert={}", new.display()), "select 1")?.success().map(drop)
}
