//! X displays without a monitor: what a person would see on one, and what they would type.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{Lab, Process, limits, program};

/// A display that runs as long as this lives.
#[derive(Debug)]
pub struct Screen {
    pub(crate) name: String,
    folder: PathBuf,
    _process: Process,
}

/// What is seen: the size, and three bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its width.
    pub width: usize,
    /// Its height.
    pub height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of these pixels, three bytes each; `None` where they are too few or too many.
    pub fn of(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == width * height * 3).then_some(Self { width, height, pixels })
    }

    /// How many of a hundred pixels are the same in another picture of this size.
    pub fn likeness(&self, other: &Self) -> usize {
        if (self.width, self.height) != (other.width, other.height) || self.pixels.is_empty() {
            return 0;
        }
        let pairs = self.pixels.chunks_exact(3).zip(other.pixels.chunks_exact(3));
        // An encoder or a smaller colour depth may change the last bits.
        let near = |(one, two): &(&[u8], &[u8])| one.iter().zip(*two).all(|(a, b)| a.abs_diff(*b) < 16);
        pairs.filter(near).count() * 100 / (self.pixels.len() / 3)
    }

    /// How many of a hundred pixels are bright.
    pub fn brightness(&self) -> usize {
        let bright = self.pixels.chunks_exact(3).filter(|pixel| pixel.iter().all(|byte| *byte > 128)).count();
        bright * 100 / (self.pixels.len() / 3).max(1)
    }
}

impl Screen {
    /// A display of this size that shows nothing of itself.
    pub fn start(lab: &Lab, width: u16, height: u16) -> Result<Self> {
        let mut command = Command::new(program("Xvfb", "xvfb")?);
        command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp"]);
        Self::of(lab, "Xvfb", &mut command)
    }

    /// The display of an X server that tells its number on standard output.
    pub(crate) fn of(lab: &Lab, name: &str, command: &mut Command) -> Result<Self> {
        // An X server begins anew when its last client leaves, and takes none meanwhile: programs that look come and go.
        let process = Process::start(name, command.arg("-noreset"))?;
        let number = process.wait_for_line("the display's number", |line| line.trim().parse::<u16>().ok())?;
        Ok(Self { name: format!(":{number}"), folder: lab.path().to_owned(), _process: process })
    }

    /// Its name, for `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.name
    }

    fn run(&self, name: &str, package: &str, words: &[&str]) -> Result<Output> {
        let mut command = Command::new(program(name, package)?);
        command.env("DISPLAY", &self.name).env("HOME", &self.folder).args(words);
        command.output().with_context(|| format!("{name} cannot be started"))
    }

    /// Starts a program there, in the lab's folder.
    pub fn start_program(&self, name: &str, package: &str, words: &[&str]) -> Result<Process> {
        let mut command = Command::new(program(name, package)?);
        command.env("DISPLAY", &self.name).env("HOME", &self.folder).current_dir(&self.folder).args(words);
        Process::start(name, &mut command)
    }

    /// The window whose title has this in it, once there is one.
    pub fn window(&self, title: &str) -> Result<String> {
        self.wait(&format!("a window {title}"), || {
            let found = self.run("xdotool", "xdotool", &["search", "--onlyvisible", "--name", title])?;
            let text = String::from_utf8_lossy(&found.stdout).into_owned();
            Ok(text.lines().last().map(str::to_owned))
        })
    }

    /// What is seen of a window, or of everything where it is `root`.
    pub fn picture(&self, window: &str) -> Result<Picture> {
        let shot = self.run("import", "imagemagick", &["-silent", "-window", window, "-depth", "8", "ppm:-"])?;
        ensure!(shot.status.success(), "no picture: {}", String::from_utf8_lossy(&shot.stderr));
        // `P6 width height 255`, each behind white space, then the pixels.
        let mut parts = shot.stdout.splitn(4, u8::is_ascii_whitespace);
        let mut number = || {
            let part = parts.next().and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default();
            part.trim_start_matches('P').parse::<usize>().context("no picture")
        };
        let (kind, width, height) = (number()?, number()?, number()?);
        let rest = parts.next().context("no picture")?;
        let pixels = rest.strip_prefix(b"255\n").context("no picture")?.to_vec();
        ensure!(kind == 6 && pixels.len() == width * height * 3, "no picture");
        Ok(Picture { width, height, pixels })
    }

    /// Types a line into a window, as a person would.
    pub fn type_line(&self, window: &str, line: &str) -> Result<()> {
        for words in [
            &["mousemove", "--window", window, "200", "200", "click", "1"][..],
            &["windowfocus", "--sync", window],
            &["type", "--delay", "30", line],
            &["key", "Return"],
        ] {
            let done = self.run("xdotool", "xdotool", words)?;
            ensure!(done.status.success(), "xdotool: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }

    /// Puts what was copied where the keyboard's focus is, as the middle button does.
    pub fn paste(&self) -> Result<()> {
        let done = self.run("xdotool", "xdotool", &["mousemove", "200", "200", "click", "2"])?;
        ensure!(done.status.success(), "xdotool: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Waits until there is something.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let until = Instant::now() + limits::READY;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if Instant::now() > until {
                bail!("waited in vain for {what} on {}", self.name);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Between two looks at a display: each starts a program.
const LOOK: Duration = Duration::from_millis(150);
