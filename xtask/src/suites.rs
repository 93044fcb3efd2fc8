//! The test suites by name, and what each runs.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::cargo;
use crate::tally::{self, Outcome, Tally};

/// How long the fuzz bodies run in `unit`, in seconds, all together.
const FUZZ_SECONDS: &str = "10";

/// One suite.
#[derive(Debug, Clone, Copy)]
struct Suite {
    name: &'static str,
    tests: Tests,
}

/// Where a suite's tests are.
#[derive(Debug, Clone, Copy)]
enum Tests {
    /// In the crates themselves.
    Crates,
    /// In the module of this suite's name of the end-to-end tests.
    EndToEnd,
}

const SUITES: [Suite; 11] = [
    Suite { name: "unit", tests: Tests::Crates },
    Suite { name: "ssh", tests: Tests::EndToEnd },
    Suite { name: "mfa", tests: Tests::EndToEnd },
    Suite { name: "db", tests: Tests::EndToEnd },
    Suite { name: "app", tests: Tests::EndToEnd },
    Suite { name: "kube", tests: Tests::EndToEnd },
    Suite { name: "desktop", tests: Tests::EndToEnd },
    Suite { name: "stock", tests: Tests::EndToEnd },
    Suite { name: "web", tests: Tests::EndToEnd },
    Suite { name: "edge", tests: Tests::EndToEnd },
    Suite { name: "bench", tests: Tests::EndToEnd },
];

/// Runs every suite.
pub(crate) fn run_all() -> Result<()> {
    run_suites(&SUITES)
}

/// Runs the suites of these names.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let known = || SUITES.map(|suite| suite.name).join(", ");
    let find = |name: &String| match SUITES.into_iter().find(|suite| suite.name == name) {
        Some(suite) => Ok(suite),
        None => bail!("there is no suite `{name}` (there are: {})", known()),
    };
    run_suites(&names.iter().map(find).collect::<Result<Vec<_>>>()?)
}

fn run_suites(suites: &[Suite]) -> Result<()> {
    let binaries = cargo::build_everything()?;
    let mut sum = Tally::default();
    let mut failed = Vec::new();
    let mut closing = Vec::new();
    for suite in suites {
        let (line, outcome) = run_one(*suite, &binaries)?;
        sum += outcome.tally;
        if !outcome.success {
            failed.push(suite.name);
        }
        closing.push(line);
    }
    println!();
    for line in &closing {
        println!("{line}");
    }
    println!("all: {} passed, {} failed, {} ignored", sum.passed, sum.failed, sum.ignored);
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs one suite; answers its closing line and its outcome.
fn run_one(suite: Suite, binaries: &Path) -> Result<(String, Outcome)> {
    let name = suite.name;
    let mut command = match suite.tests {
        Tests::Crates => cargo::cargo(&["test", "--workspace", "--exclude", "tapgate-tests", "--no-fail-fast"])?,
        // The selection stays the whole workspace, so that nothing is compiled twice.
        Tests::EndToEnd => {
            let module = format!("{name}::");
            cargo::cargo(&["test", "--workspace", "--test", "e2e", "--no-fail-fast", "--", &module])?
        }
    };
    println!("==> {name}");
    command.env("TAPGATE_FUZZ_SECONDS", FUZZ_SECONDS).env("TAPGATE_BIN_DIR", binaries);
    let mut outcome = tally::run(&mut command)?;
    let Tally { passed, failed, ignored } = outcome.tally;
    let mut line = format!("{name}: {passed} passed, {failed} failed, {ignored} ignored");
    if passed + failed == 0 {
        outcome.success = false;
        line.push_str(" (a suite that runs nothing proves nothing)");
    } else if !outcome.success && failed == 0 {
        line.push_str(" (the run itself failed)");
    }
    Ok((line, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_suite_is_refused_before_anything_runs() {
        let error = run(&["sssh".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("sssh") && error.contains("unit, ssh, mfa"), "{error}");
    }
}
