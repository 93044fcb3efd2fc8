//! What the numbers were taken on: facts without which none of them says anything.

use std::process::Command;

use serde::{Deserialize, Serialize};
use tapgate_model::{Clock as _, SystemClock};

/// The machine, and how busy it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor.
    pub(crate) processor: String,
    /// How many logical processors there are.
    pub(crate) processors: usize,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The load average of the last minute.
    pub(crate) load: String,
    /// The compiler.
    pub(crate) compiler: String,
    /// How the programs were built: the release profile, or what `TAPGATE_BENCH_BUILD` says of another one.
    #[serde(default)]
    pub(crate) build: String,
    /// When.
    pub(crate) taken: String,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn this() -> Self {
        let processors = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = processors.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let family = || Some(format!("family {} model {}", field("cpu family")?, field("model\t")?));
        let processor = [field("model name"), family()].into_iter().flatten().collect::<Vec<_>>().join(", ");
        Self {
            processor,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            compiler: compiler(),
            build: std::env::var("TAPGATE_BENCH_BUILD").unwrap_or_else(|_| "release profile".to_owned()),
            taken: SystemClock.now().to_string(),
        }
    }
}

/// What is not there to be read is left empty: a fact that is missing spoils no number.
fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
