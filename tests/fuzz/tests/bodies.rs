//! The fuzz bodies as ordinary tests: each on its seeds and corpus, then on changes of them for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapgate_fuzz_bodies::{BODIES, Body, Mutator, seeds};

/// How long all bodies together run on changed inputs, where `TAPGATE_FUZZ_SECONDS` does not say: long enough
/// to see that they run.
const SECONDS_DEFAULT: u32 = 1;

/// One run's length in inputs between two looks at the clock.
const BATCH: usize = 64;

#[test]
fn no_body_panics() {
    let seconds = std::env::var("TAPGATE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let total = Duration::from_secs(u64::from(seconds.unwrap_or(SECONDS_DEFAULT)));
    let each = total / u32::try_from(BODIES.len()).unwrap();
    for body in BODIES {
        let inputs = run_for(body, each);
        println!("{}: {inputs} inputs", body.name);
    }
}

fn run_for(body: &Body, time: Duration) -> usize {
    let seeds = seeds(body.name);
    for seed in &seeds {
        run(body, seed);
    }
    // Another beginning each time, so that many runs see more; a failure prints the input itself.
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut mutator = Mutator::new(u64::from(now.subsec_nanos()) << 16 ^ now.as_secs());
    let until = Instant::now() + time;
    let mut inputs = seeds.len();
    let mut last = seeds[0].clone();
    while Instant::now() < until {
        for _ in 0..BATCH {
            let from = mutator.below(seeds.len() + 1);
            let from = seeds.get(from).unwrap_or(&last).clone();
            last = mutator.change(&from, &seeds[mutator.clone().below(seeds.len())]);
            run(body, &last);
        }
        inputs += BATCH;
    }
    inputs
}

fn run(body: &Body, input: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| (body.run)(input)));
    let hex = || input.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let name = body.name;
    assert!(result.is_ok(), "{name} panics; mend it and put this input into fuzz/corpus/{name}/:\n{}", hex());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_body_has_its_target() {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for Body { name, .. } in BODIES {
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(), "{name} has no target in fuzz/");
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name} is not in fuzz/Cargo.toml");
    }
}

#[test]
fn every_function_of_every_fuzz_module_is_a_body() {
    for group in ["core", "protocols"] {
        for folder in std::fs::read_dir(root().join(group)).unwrap() {
            let folder = folder.unwrap();
            let Ok(text) = std::fs::read_to_string(folder.path().join("src/fuzz.rs")) else { continue };
            for function in text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next()) {
                let function = function.trim_start_matches("fuzz_");
                let name = format!("{}_{function}", folder.file_name().display());
                assert!(BODIES.iter().any(|body| body.name == name), "{name} is missing in tests/fuzz/src/lib.rs");
            }
        }
    }
}
