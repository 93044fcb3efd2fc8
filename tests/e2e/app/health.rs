//! Applications that can't be reached, as users and administrators see it.

use std::io::Read as _;
use std::net::TcpListener;

use anyhow::Result;

use super::scene::{EXCHANGE, Scene};
use crate::world::until;

#[test]
fn what_cannot_be_reached_is_listed_as_down() -> Result<()> {
    let scene = Scene::new()?;
    let port = scene.world.lab.port()?;
    scene.put_app("late", "dev", &format!("http://127.0.0.1:{port}"), "")?;
    scene.put_app("hidden", "other", "http://127.0.0.1:1", "")?;
    let quiet = TcpListener::bind(("127.0.0.1", 0))?;
    scene.put_app("quiet", "other", &format!("tcp://{}", quiet.local_addr()?), "")?;
    // A look is a connection, and says nothing.
    let (mut look, _) = quiet.accept()?;
    let mut said = Vec::new();
    look.read_to_end(&mut said)?;
    assert_eq!(said, b"");

    let row = |name: &str| -> Result<String> {
        let listed = scene.world.jerry.tap(["app", "ls"])?.success()?.stdout;
        Ok(listed.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned())
    };
    until("the application to be seen as down", EXCHANGE, || Ok(row("late")?.ends_with("down: connection refused")))?;
    assert!(!row("open")?.contains("down"), "{}", row("open")?);
    let told = scene.world.olga.tapctl(["status"])?.success()?.stdout;
    assert!(told.contains("late: connection refused") && told.contains("hidden: connection refused"), "{told}");
    assert!(!told.contains("quiet") && !told.contains("open"), "{told}");
    let json = scene.world.jerry.tapctl(["status", "--format", "json"])?.success()?.json()?;
    let names: Vec<_> = json["apps_down"].as_array().into_iter().flatten().map(|app| app["name"].clone()).collect();
    assert_eq!(names, ["late"], "what jerry may not open he does not see: {json}");

    // Whoever uses it sees first that it is there again.
    let _listener = TcpListener::bind(("127.0.0.1", port))?;
    let proxy = scene.proxy("late", &[])?;
    let _waiting = proxy.connect()?;
    until("the application to be seen as up", EXCHANGE, || Ok(!row("late")?.contains("down")))?;
    Ok(())
}
