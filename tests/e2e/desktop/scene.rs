//! What the tests of desktops share: a gate with roles for desktops, proxies to them, and viewers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::{Process, Screen, VncDesktop, own_binary};

use crate::world::{World, until};

/// How long a picture or a typed command's effect may take: several viewers share one machine.
pub(super) const SEEN: Duration = Duration::from_mins(1);

/// A gate whose role for production allows desktops after a tap.
pub(super) struct Scene {
    pub(super) world: World,
}

/// A running `tap proxy desktop`.
pub(super) struct Proxy {
    /// What it told as JSON.
    pub(super) told: Value,
    pub(super) process: Process,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let scene = Self { world: World::new()? };
        scene.role("require_session_mfa: true")?;
        Ok(scene)
    }

    /// Gives jerry's role for production desktops too, under these options.
    pub(super) fn role(&self, options: &str) -> Result<()> {
        let text = self.world.role("access-prod", "prod", options);
        let more = "  allow:\n    windows_desktop_labels: { env: prod }\n    windows_desktop_logins: [ann, alice]\n";
        self.world.put(&text.replace("  allow:\n", more)).map(drop)
    }

    /// Writes a desktop; `more` is further lines of its `spec`.
    pub(super) fn put(&self, name: &str, port: u16, more: &str) -> Result<()> {
        self.world.put(&yaml(name, port, more)).map(drop)
    }

    /// A VNC desktop with its document.
    pub(super) fn vnc(&self, name: &str) -> Result<VncDesktop> {
        let desktop = VncDesktop::start(&self.world.lab, name, None)?;
        self.put(name, desktop.port(), &vnc_spec(&desktop))?;
        Ok(desktop)
    }

    /// jerry's proxy to a desktop.
    pub(super) fn proxy(&self, name: &str, login: &str, more: &[&str]) -> Result<Proxy> {
        let words = ["proxy", "desktop", name, "--login", login, "--format", "json"];
        let process = self.world.jerry.start(&own_binary("tap")?, words.into_iter().chain(more.iter().copied()))?;
        // It is printed over several lines.
        process.wait_for("\n}")?;
        let told = serde_json::from_str(process.stdout().trim()).context("no JSON")?;
        Ok(Proxy { told, process })
    }

    /// jerry's `tap desktop connect`, with its viewer on this screen.
    pub(super) fn connect(&self, screen: &Screen, words: &[&str]) -> Result<Process> {
        let jerry = self.world.jerry.clone().with("DISPLAY", screen.display());
        jerry.start(&own_binary("tap")?, ["desktop", "connect"].into_iter().chain(words.iter().copied()))
    }
}

/// A desktop's document.
pub(super) fn yaml(name: &str, port: u16, more: &str) -> String {
    format!(
        "kind: windows_desktop\nversion: v3\nmetadata:\n  name: {name}\n  labels: {{ env: prod }}\nspec:\n  addr: \
         localhost:{port}\n{more}"
    )
}

/// `spec` of a VNC desktop that ann enters.
pub(super) fn vnc_spec(desktop: &VncDesktop) -> String {
    format!("  protocol: vnc\n{}", auth("ann", desktop.password_file()))
}

/// `auth` with one login's password.
pub(super) fn auth(login: &str, file: &std::path::Path) -> String {
    format!("  auth: {{ password_files: {{ {login}: {} }} }}\n", file.display())
}

impl Proxy {
    /// A field of what it told.
    pub(super) fn text(&self, field: &str) -> Result<&str> {
        self.told[field].as_str().with_context(|| format!("no {field}: {}", self.told))
    }
}

/// Waits until a viewer's window shows what is on the desktop; answers the window.
pub(super) fn same_picture(viewer: &Screen, title: &str, desktop: &Screen) -> Result<String> {
    let window = viewer.window(title)?;
    until("the desktop's picture", SEEN, || {
        let (shown, real) = (viewer.picture(&window)?, desktop.picture("root")?);
        Ok(real.brightness() > 50 && real.likeness(&shown) >= 98)
    })?;
    Ok(window)
}

/// Types a command into a viewer, and waits for what it does on the desktop.
pub(super) fn typed(scene: &Scene, viewer: &Screen, window: &str, name: &str) -> Result<()> {
    let file: PathBuf = scene.world.lab.path().join(name);
    viewer.type_line(window, &format!("touch {}", file.display()))?;
    until("the typed command's effect", SEEN, || Ok(file.exists()))
}
