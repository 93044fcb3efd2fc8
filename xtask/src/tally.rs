//! Running cargo's tests with every line passed on, and adding up their closing lines.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What the `test result:` lines of one or more runs add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) ignored: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// One run: its sum, and whether cargo itself was content (it is not when something does not compile).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// The sum.
    pub(crate) tally: Tally,
    /// Whether the run succeeded.
    pub(crate) success: bool,
}

/// Runs a test command; its output goes through unchanged.
pub(crate) fn run(command: &mut Command) -> Result<Outcome> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("cannot read the tests' output")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally += closing_line(&line).unwrap_or_default();
        }
    }
    let success = child.wait().context("cannot wait for cargo")?.success();
    Ok(Outcome { tally, success })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn closing_line(line: &str) -> Option<Tally> {
    let (_, counts) = line.trim_start().strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        let (number, word) = part.trim().split_once(' ')?;
        match word {
            "passed" => tally.passed = number.parse().ok()?,
            "failed" => tally.failed = number.parse().ok()?,
            "ignored" => tally.ignored = number.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines() {
        let good = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.31s";
        assert_eq!(closing_line(good), Some(Tally { passed: 3, failed: 0, ignored: 1 }));
        let bad = "test result: FAILED. 12 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(closing_line(bad), Some(Tally { passed: 12, failed: 4, ignored: 0 }));
        assert_eq!(closing_line("test ssh::scp ... ok"), None);
        assert_eq!(closing_line("test result: ok. many passed"), None);
    }
}
