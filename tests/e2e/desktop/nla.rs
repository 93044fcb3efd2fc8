//! Network Level Authentication towards a desktop that demands it: FreeRDP's own server.

use anyhow::Result;
use tapgate_lab::{NlaDesktop, Screen};

use super::scene::{Scene, auth, same_picture, typed};
use crate::world::text;

#[test]
fn the_gate_logs_on_where_network_level_authentication_is_demanded() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = NlaDesktop::start(&scene.world.lab, "win2")?;
    let spec = |more: &str| format!("{}  tls: {{ insecure: true }}\n{more}", auth("alice", desktop.password_file()));
    scene.put("win2", desktop.port(), &spec("  server_security: tls\n"))?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let process = scene.connect(&viewer, &["win2", "--login", "alice"])?;
    process.wait_for_error("it wants Network Level Authentication")?;
    drop(process);
    scene.put("win2", desktop.port(), &spec(""))?;
    let mark = scene.world.mark();
    let process = scene.connect(&viewer, &["win2", "--login", "alice", "--", "/size:800x600"])?;
    let window = same_picture(&viewer, "FreeRDP", &desktop.screen)?;
    typed(&scene, &viewer, &window, "typed-nla")?;
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "nla");
    drop(process);
    std::fs::write(desktop.password_file(), "nonsense")?;
    let process = scene.connect(&viewer, &["win2", "--login", "alice"])?;
    process.wait_for_error("can't be entered")
}
