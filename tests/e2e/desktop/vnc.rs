//! VNC: TigerVNC's server and viewer.

use anyhow::Result;
use tapgate_lab::{CertAuthority, Screen, VncDesktop};

use super::scene::{Scene, auth, same_picture, typed, vnc_spec};
use crate::world::text;

#[test]
fn a_desktop_opens_after_one_tap_and_what_is_typed_happens_there() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = scene.vnc("mac1")?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let process = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    let window = same_picture(&viewer, "TigerVNC", &desktop.screen)?;
    assert!(process.stderr().contains("MFA is required to access Desktop \"mac1\""), "{}", process.stderr());
    typed(&scene, &viewer, &window, "typed-vnc")?;
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "mac1")?;
    assert_eq!((text(&start, "protocol"), text(&start, "login")), ("vnc", "ann"));
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    assert_eq!((seen["width"].as_u64(), seen["height"].as_u64()), (Some(800), Some(600)));
    assert_eq!((text(&seen, "security"), seen["channels"][0].as_str()), ("vnc", Some("clipboard")));
    process.stop()?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(end["bytes_down"].as_u64() > Some(1000) && end["bytes_up"].as_u64() > Some(20), "{end}");
    let listed = scene.world.jerry.tap(["desktop", "ls"])?.success()?.stdout;
    assert!(listed.contains("mac1") && listed.contains("vnc") && listed.contains("ann"), "{listed}");
    Ok(())
}

#[test]
fn a_port_opens_for_its_password_alone() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = scene.vnc("mac1")?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let proxy = scene.proxy("mac1", "ann", &["--port", "0"])?;
    let address = proxy.text("address")?.replacen(':', "::", 1);
    let mark = scene.world.mark();
    let show = |name: &str, password: &str| {
        let packed = scene.world.lab.path().join(name);
        let line = format!("printf %s \"$1\" | tigervncpasswd -f > {}", packed.display());
        viewer.start_program("sh", "dash", &["-c", &line, "sh", password])?.finish(super::scene::SEEN)?.success()?;
        viewer.start_program(
            "xtigervncviewer",
            "tigervnc-viewer",
            &["-passwd", &packed.display().to_string(), &address],
        )
    };
    let wrong = show("wrong", "vncpass1")?;
    proxy.process.wait_for_error("a viewer showed a wrong password")?;
    drop(wrong);
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    let _right = show("right", proxy.text("password")?)?;
    let window = same_picture(&viewer, "TigerVNC", &desktop.screen)?;
    typed(&scene, &viewer, &window, "typed-port")
}

#[test]
fn a_forbidden_clipboard_stays_out_and_the_picture_goes_on() -> Result<()> {
    let scene = Scene::new()?;
    scene.role("require_session_mfa: true, desktop_clipboard: false")?;
    let desktop = scene.vnc("mac1")?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let _process = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    let window = same_picture(&viewer, "TigerVNC", &desktop.screen)?;
    typed(&scene, &viewer, &window, "typed-guarded")?;
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    assert_eq!(seen["denied_channels"][0].as_str(), Some("clipboard"));
    same_picture(&viewer, "TigerVNC", &desktop.screen)?;
    Ok(())
}

#[test]
fn tls_where_the_desktop_has_it_and_only_with_the_right_certificate() -> Result<()> {
    let scene = Scene::new()?;
    let (own, other) = (CertAuthority::make(&scene.world.lab, "ca")?, CertAuthority::make(&scene.world.lab, "other")?);
    let certificate = own.server("server", "DNS:localhost,IP:127.0.0.1")?;
    let desktop = VncDesktop::start(&scene.world.lab, "mac2", Some(&certificate))?;
    let spec = |ca: &CertAuthority| -> Result<String> {
        let pem = ca.pem()?.trim().replace('\n', "\n      ");
        Ok(format!("{}  tls:\n    ca_cert: |\n      {pem}\n", vnc_spec(&desktop)))
    };
    scene.put("mac2", desktop.port(), &spec(&own)?)?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let process = scene.connect(&viewer, &["mac2", "--login", "ann"])?;
    let window = same_picture(&viewer, "TigerVNC", &desktop.screen)?;
    typed(&scene, &viewer, &window, "typed-tls")?;
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "tls");
    drop(process);
    scene.put("mac2", desktop.port(), &spec(&other)?)?;
    let process = scene.connect(&viewer, &["mac2", "--login", "ann"])?;
    process.wait_for_error("TLS with it failed")?;
    // Without TLS in its document, a desktop that has nothing else is not entered either.
    scene.put("mac2", desktop.port(), &format!("  protocol: vnc\n{}", auth("ann", desktop.password_file())))?;
    let process = scene.connect(&viewer, &["mac2", "--login", "ann"])?;
    process.wait_for_error("no kind of security that the gate knows")
}
