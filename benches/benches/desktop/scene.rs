//! A VNC desktop that sends as much as it is asked for, behind the gate and behind a bare relay, and who looks at it.

use std::process::Command;

use anyhow::{Context as _, Result};
use tapgate_benches::bare;
use tapgate_benches::process::nanos;
use tapgate_benches::world::{Pass, World};
use tapgate_lab::{Process, app_identity, program};

/// How many bytes one picture has.
pub(crate) const BATCH: u32 = 32 * 1024 * 1024;

const ROLE: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    windows_desktop_labels: { \
                    env: bench }\n    windows_desktop_logins: [ann]\n";

const DESKTOP: &str = include_str!("desktop.py");
const VIEWER: &str = include_str!("viewer.py");

/// What is between the viewer and the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The gate, through a tunnel.
    Gate,
    /// A relay that does TLS and nothing else.
    Bare,
}

/// Everything.
pub(crate) struct Scene {
    pass: Pass,
    bare: Process,
    bare_port: u16,
    _desktop: Process,
    world: World,
}

/// Somebody who looks at desktops, and does what is said on its standard input.
pub(crate) struct Viewer {
    process: Process,
    done: u32,
}

impl Scene {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let world = World::new("bench", ROLE)?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        command.arg(world.lab.write("desktop.py", DESKTOP)?).arg(BATCH.to_string());
        let desktop = Process::start("the desktop", &mut command)?;
        let port = port(&desktop)?;
        world.put(&format!(
            "kind: windows_desktop\nversion: v3\nmetadata:\n  name: mac1\n  labels: {{ env: bench }}\nspec:\n  addr: \
             127.0.0.1:{port}\n  protocol: vnc\n"
        ))?;
        let (certificate, key) = app_identity(&world.lab)?;
        let mut command = bare::command(&certificate, &key, &format!("127.0.0.1:{port}"), None)?;
        let bare = Process::start("the bare relay", &mut command)?;
        let bare_port = self::port(&bare)?;
        let pass = world.pass()?;
        Ok(Self { pass, bare, bare_port, _desktop: desktop, world })
    }

    /// The process in between.
    pub(crate) fn proxy(&self, way: Way) -> u32 {
        match way {
            Way::Gate => self.world.gate(),
            Way::Bare => self.bare.id(),
        }
    }

    /// A viewer with so many sessions.
    pub(crate) fn viewer(&self, way: Way, sessions: u32) -> Result<Viewer> {
        let (name, port) = match way {
            Way::Gate => ("gate", self.world.port()),
            Way::Bare => ("bare", self.bare_port),
        };
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        command.arg(self.world.lab.write("viewer.py", VIEWER)?);
        command.args([name, &port.to_string()]).arg(&self.pass.certificate).arg(&self.pass.key);
        command.args([sessions.to_string(), BATCH.to_string()]);
        let process = Process::start("the viewer", &mut command)?;
        process.wait_for("up\n")?;
        Ok(Viewer { process, done: 0 })
    }

    /// One picture; the CPU nanoseconds of what is in between.
    pub(crate) fn picture(&self, viewer: &mut Viewer, way: Way) -> Result<f64> {
        let before = nanos(&[self.proxy(way)])?;
        viewer.told("picture")?;
        Ok(nanos(&[self.proxy(way)])? - before)
    }
}

impl Viewer {
    /// So many connections one after the other, up to the desktop's first word; the nanoseconds of one by the wall clock.
    pub(crate) fn connect(&mut self, connections: u32) -> Result<f64> {
        let answer = self.told(&format!("connect {connections}"))?;
        answer.parse().context("no time")
    }

    /// Says this, and waits for the answer.
    fn told(&mut self, word: &str) -> Result<String> {
        self.done += 1;
        let mark = format!("done {}", self.done);
        self.process.write(format!("{word}\n").as_bytes())?;
        // A line without an answer ends behind the number.
        self.process.wait_for_line(&mark, |line| {
            let rest = line.strip_prefix(&mark).filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
            Some(rest.trim().to_owned())
        })
    }
}

fn port(process: &Process) -> Result<u16> {
    process.wait_for_line("the port", |line| line.strip_prefix("port ")?.trim().parse().ok())
}
