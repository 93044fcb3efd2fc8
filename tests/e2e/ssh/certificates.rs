//! Certificates that are not what this session needs: another target's, another authority's, nobody's.

use std::time::Duration;

use anyhow::Result;
use tapgate_identity::CaKind;
use tapgate_lab::KeyPair;

use crate::world::{Tapper, World, authority, open_store, text};

#[test]
fn a_session_certificate_opens_its_own_target_and_login_alone() -> Result<()> {
    let world = World::new()?;
    let prod4 = world.target("prod4", world.trusting("prod"))?;
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    for user in [world.at("prod4"), world.at("dev1"), "nobody@prod3".to_owned()] {
        let mark = world.mark();
        let refused = world.stock_with(&key, &user, "true")?.failure(255)?;
        assert!(refused.stderr.contains("Permission denied"), "{user}: {refused}");
        let failed = world.await_record(mark, "auth.login_failed", |_| true)?;
        assert!(text(&failed, "reason").contains(&user), "{failed}");
    }
    assert_eq!(prod4.connections(), 0);
    Ok(())
}

#[test]
fn a_session_certificate_is_nothing_without_its_key() -> Result<()> {
    let world = World::new()?;
    let (key, other) = (KeyPair::make(&world.lab, "key")?, KeyPair::make(&world.lab, "other")?);
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    std::fs::rename(key.path(), world.lab.path().join("away"))?;
    std::fs::copy(other.path(), key.path())?;
    world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn certificates_that_are_not_ours_are_refused() -> Result<()> {
    let mut world = World::new()?;
    let (foreign, key) = (KeyPair::make(&world.lab, "foreign")?, KeyPair::make(&world.lab, "key")?);
    let refused = |world: &World, key: &KeyPair, why: &str| -> Result<()> {
        let mark = world.mark();
        world.stock_with(key, &world.at("dev1"), "true")?.failure(255)?;
        let failed = world.await_record(mark, "auth.login_failed", |_| true)?;
        assert!(text(&failed, "reason").contains(why), "{failed}");
        Ok(())
    };
    foreign.sign_user(&key, "jerry")?;
    refused(&world, &key, "not issued by this gate")?;

    // Even our own authority's word counts only in the form that the gate gives it.
    world.stop()?;
    let ours = authority(&open_store(&world)?, CaKind::LoginSsh)?.to_parts()?;
    std::fs::write(foreign.path(), ours.as_bytes())?;
    world.start()?;
    foreign.sign_user(&key, "jerry")?;
    refused(&world, &key, "record")?;
    Ok(())
}

#[test]
fn a_plain_key_is_refused() -> Result<()> {
    let world = World::new()?;
    let key = KeyPair::make(&world.lab, "key")?;
    let refused = world.stock_with(&key, &world.at("dev1"), "true")?.failure(255)?;
    assert!(refused.stderr.contains("Permission denied"), "{refused}");
    Ok(())
}

#[test]
fn the_tunnel_and_the_certificate_inside_must_be_one_users() -> Result<()> {
    let world = World::new()?;
    let ann = crate::world::person(&world.lab, "ann")?;
    world.invite_and_enrol("ann", &ann, "access-dev")?;
    world.log_in(&ann, "ann")?;
    let anns = crate::world::login_files(&world, &ann).ssh_key;
    let options = world.options(true, &world.at("dev1"), &anns);
    let refused = world.jerry.ssh(options.into_iter().chain(["localhost", "true"].map(str::to_owned)))?.failure(255)?;
    assert!(
        refused.stderr.contains("the certificate is ann's, and the tunnel around the connection is jerry's"),
        "{refused}"
    );
    let direct = world.options(false, &world.at("dev1"), &anns);
    world.jerry.ssh(direct.into_iter().chain(["localhost", "true"].map(str::to_owned)))?.success()?;
    Ok(())
}

#[test]
fn an_offered_key_spends_nothing() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s")?;
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    // Whoever has the certificate without its key can offer it, and the gate asks for a signature.
    let (there, away) = (key.path().to_path_buf(), world.lab.path().join("away"));
    std::fs::rename(&there, &away)?;
    let offer = world.options(true, &world.at("prod3"), &there);
    let words = offer.into_iter().chain(["-v", "localhost", "true"].map(str::to_owned));
    let refused = world.jerry.start_ssh(words)?.finish(Duration::from_secs(30))?.failure(255)?;
    assert!(refused.stderr.contains("Server accepts key"), "{refused}");
    assert_eq!(world.prod3.connections(), 0);
    std::fs::rename(&away, &there)?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    assert!(world.prod3.log().contains(&format!("Accepted publickey for {}", world.login)));
    Ok(())
}
