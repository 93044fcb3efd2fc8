//! What was found: printed, and on request written as `benchmarks.json` with `benchmarks.md` made from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::harness::{Compared, Estimate, ROUNDS};
use crate::machine::Machine;
use crate::plot;

/// From here on nanoseconds are shown as milliseconds: more digits than that say nothing.
const LONG: f64 = 1e6;

/// Bytes in a KiB.
const KIB: f64 = 1024.0;

/// Bytes in a MiB.
const MIB: f64 = 1024.0 * KIB;

/// The folder of the plots, beside the page.
const PICTURES: &str = "benchmarks";

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One cost over another.
    Ratio,
    /// Nanoseconds of CPU time an operation.
    Nanoseconds,
    /// Allocations an operation: exact.
    Allocations,
    /// Bytes of memory.
    Bytes,
    /// How often something came about: exact.
    Count,
}

/// One figure, and the most that it may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it says, in words.
    pub what: String,
    /// What it counts.
    pub unit: Unit,
    /// The goal; `None` where the figure is only to be known.
    pub goal: Option<f64>,
    /// What was found.
    pub found: Estimate,
    /// What went into it: what was run, and its nanoseconds an operation.
    pub sides: Vec<(String, Estimate)>,
    /// Of a figure that an earlier run found: on what machine, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
}

/// The figures of one run, with the machine they are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Book {
    machine: Machine,
    rounds: usize,
    figures: BTreeMap<String, Figure>,
}

/// A run's figures, as they are found.
#[derive(Debug)]
pub struct Report {
    filters: Vec<String>,
    write: Option<PathBuf>,
    book: Book,
}

impl Figure {
    /// A ratio of the two sides of a comparison.
    pub fn ratio(what: &str, goal: Option<f64>, sides: [&str; 2], found: &Compared) -> Self {
        let [a, b] = sides.map(str::to_owned);
        let sides = vec![(a, found.a), (b, found.b)];
        Self { what: what.to_owned(), unit: Unit::Ratio, goal, found: found.ratio, sides, earlier: None }
    }

    /// What one side of a comparison costs.
    pub fn nanoseconds(what: &str, goal: Option<f64>, found: Estimate) -> Self {
        Self { what: what.to_owned(), unit: Unit::Nanoseconds, goal, found, sides: Vec::new(), earlier: None }
    }

    /// A count of allocations an operation.
    pub fn allocations(what: &str, goal: f64, found: f64) -> Self {
        Self::exact(Unit::Allocations, what, goal, found)
    }

    /// Bytes of memory, measured once.
    pub fn bytes(what: &str, goal: f64, found: f64) -> Self {
        Self::exact(Unit::Bytes, what, goal, found)
    }

    /// How often something came about.
    pub fn count(what: &str, goal: f64, found: f64) -> Self {
        Self::exact(Unit::Count, what, goal, found)
    }

    fn exact(unit: Unit, what: &str, goal: f64, found: f64) -> Self {
        let found = Estimate::new(found, found, found);
        Self { what: what.to_owned(), unit, goal: Some(goal), found, sides: Vec::new(), earlier: None }
    }

    /// Whether the goal is missed for certain: a figure whose interval reaches the goal is not held against it.
    pub fn misses(&self) -> bool {
        self.goal.is_some_and(|goal| self.found.low > goal)
    }

    /// The distributions of what went into it; none where nothing but the outcome was kept.
    fn picture(&self, name: &str) -> Option<String> {
        let own = std::iter::once(("what was found", &self.found));
        let sides = self.sides.iter().map(|(side, cost)| (side.as_str(), cost)).chain(own);
        let sides: Vec<_> = sides.filter_map(|(side, cost)| Some((side, cost.shares.as_ref()?))).collect();
        let label = |value: f64| Unit::Nanoseconds.text(value);
        (!sides.is_empty()).then(|| plot::svg(name, &sides, label))
    }

    fn goal_text(&self) -> String {
        self.goal.map_or_else(|| "none".to_owned(), |goal| format!("≤ {}", self.unit.text(goal)))
    }

    fn found_text(&self) -> String {
        match self.unit {
            Unit::Allocations | Unit::Bytes | Unit::Count => self.unit.text(self.found.value),
            unit => interval(unit, self.found),
        }
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2}"),
            Self::Nanoseconds if value >= LONG => format!("{:.1} ms", value / 1e6),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Allocations | Self::Count => format!("{value}"),
            Self::Bytes if value >= MIB => format!("{:.1} MiB", value / MIB),
            Self::Bytes => format!("{:.1} KiB", value / KIB),
        }
    }
}

fn interval(unit: Unit, found: Estimate) -> String {
    let Estimate { value, low, high, .. } = found;
    format!("{} ({} to {})", unit.text(value), unit.text(low), unit.text(high))
}

impl Report {
    /// An empty report, from the program's arguments: `--write DIR` and parts of figures' names.
    pub fn from_arguments() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let (mut filters, mut write) = (Vec::new(), None);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // cargo says so to every bench.
                "--bench" => {}
                "--write" => write = Some(PathBuf::from(arguments.next().context("--write needs a directory")?)),
                other if other.starts_with('-') => bail!("there is no option {other} (there is --write DIR)"),
                other => filters.push(other.to_owned()),
            }
        }
        let book = Book { machine: Machine::this(), rounds: ROUNDS, figures: BTreeMap::new() };
        Ok(Self { filters, write, book })
    }

    /// Whether the figure of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// Whether one of these was asked for.
    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Takes a figure in, and prints it.
    pub fn add(&mut self, name: &str, figure: Figure) {
        let verdict = if figure.misses() { "  MISSED" } else { "" };
        println!("{name:<28} {:<30} goal {}{verdict}", figure.found_text(), figure.goal_text());
        for (side, cost) in &figure.sides {
            println!("  {side:<42} {}", interval(Unit::Nanoseconds, *cost));
        }
        self.book.figures.insert(name.to_owned(), figure);
    }

    /// Writes where it was asked to, and says whether every goal was met.
    pub fn finish(mut self) -> Result<ExitCode> {
        let missed = self.book.figures.values().any(Figure::misses);
        if let Some(folder) = &self.write {
            let json = folder.join("benchmarks.json");
            // Each bench is a program of its own: the figures of the others stay.
            if let Some(before) = fs::read_to_string(&json).ok().and_then(|t| serde_json::from_str::<Book>(&t).ok()) {
                let Machine { processor, load, build, taken, .. } = before.machine;
                let same = (&processor, &build) == (&self.book.machine.processor, &self.book.machine.build);
                for (name, mut figure) in before.figures {
                    if !same && figure.earlier.is_none() {
                        figure.earlier = Some(format!("{processor}, load {load}, {taken}"));
                    }
                    self.book.figures.entry(name).or_insert(figure);
                }
            }
            write(&json, &(serde_json::to_string_pretty(&self.book)? + "\n"))?;
            write(&folder.join("benchmarks.md"), &self.book.page())?;
            let pictures = folder.join(PICTURES);
            fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
            for (name, figure) in &self.book.figures {
                if let Some(picture) = figure.picture(name) {
                    write(&pictures.join(format!("{name}.svg")), &picture)?;
                }
            }
        }
        Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Book {
    fn page(&self) -> String {
        let Machine { processor, processors, kernel, load, compiler, build, taken } = &self.machine;
        let rounds = self.rounds;
        let mut page = format!(
            "# Benchmarks\n\n\
             Written by `cargo xtask bench`; the same numbers are in `benchmarks.json`.\n\n\
             Every figure compares two things in one process, in turns A B B A over {rounds} rounds. What is counted \
             is the thread's CPU time; a figure is the quotient of the tenth percentiles, with the 95 % interval of \
             a bootstrap over the rounds. A goal counts as missed when the whole interval lies beyond it. \
             Allocations and other counts are exact, not estimated.\n\n\
             The figures `ssh-…`, `postgres-…`, `mysql-…`, `http-…`, `kube-…` and `relay-…` are of real processes: `tapgate`, \
             OpenSSH's `ssh` and `sshd`, PostgreSQL and PgBouncer, MariaDB, nginx, HAProxy. There the CPU time of whole processes is \
             counted, or the wall clock read where a figure says so, with fewer rounds where one takes long; memory \
             is what the system says of the gate's process.\n\n\
             Machine: {processor}, {processors} logical processors; Linux {kernel}; load {load}; {compiler}; \
             {build}; taken {taken}.\n\n\
             | figure | found | goal | what was compared |\n|---|---|---|---|\n"
        );
        for (name, figure) in &self.figures {
            let sides: Vec<String> = figure
                .sides
                .iter()
                .map(|(side, cost)| format!("{side}: {}", Unit::Nanoseconds.text(cost.value)))
                .collect();
            let sides = if sides.is_empty() { String::new() } else { format!(" ({})", sides.join("; ")) };
            let earlier = figure.earlier.as_ref().map(|of| format!(" (an earlier run: {of})")).unwrap_or_default();
            let missed = if figure.misses() { " (missed)" } else { "" };
            let (found, goal, what) = (figure.found_text(), figure.goal_text() + missed, &figure.what);
            // Writing to a String does not fail.
            writeln!(page, "| `{name}` | {found} | {goal} | {what}{sides}{earlier} |").unwrap_or_default();
        }
        self.pictures(&mut page);
        page
    }

    /// The plots of those figures whose distributions are known.
    fn pictures(&self, page: &mut String) {
        let shown = self.figures.iter().filter(|(name, figure)| figure.picture(name).is_some());
        let mut shown = shown.map(|(name, _)| name).peekable();
        if shown.peek().is_none() {
            return;
        }
        page.push_str(
            "\n## Distributions\n\nOf all batches, also of those that were interrupted: the value below which each share \
             of them lies, in time an operation or, of real processes, in time for what the figure counts.\n",
        );
        for name in shown {
            writeln!(page, "\n![{name}: the distribution of each side]({PICTURES}/{name}.svg)").unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(low: f64, goal: Option<f64>) -> Figure {
        let found = Estimate::new(low + 0.1, low, low + 0.2);
        Figure {
            what: "w".to_owned(),
            unit: Unit::Ratio,
            goal,
            found,
            sides: vec![("s".to_owned(), found)],
            earlier: None,
        }
    }

    #[test]
    fn only_an_interval_beyond_the_goal_misses_it() {
        assert!(!figure(1.25, Some(1.3)).misses());
        assert!(figure(1.31, Some(1.3)).misses());
        assert!(!figure(9.0, None).misses());
        assert!(!Figure::allocations("w", 0.0, 0.0).misses());
        assert!(Figure::allocations("w", 0.0, 1.0).misses());
        assert!(!Figure::count("w", 1.0, 1.0).misses());
        assert_eq!(Figure::count("w", 1.0, 2.0).found_text(), "2");
    }

    #[test]
    fn the_book_is_a_table_and_reads_back() {
        let figures = [("f".to_owned(), figure(1.0, Some(1.3)))].into_iter().collect();
        let book = Book { machine: Machine::this(), rounds: ROUNDS, figures };
        assert!(book.page().contains("| `f` | 1.10 (1.00 to 1.20) | ≤ 1.30 | w (s: 1 ns) |"), "{}", book.page());
        assert!(!book.page().contains("## Distributions"), "{}", book.page());
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
    }

    #[test]
    fn a_figure_with_a_distribution_has_a_picture() {
        let mut plotted = figure(1.0, None);
        assert_eq!(plotted.picture("f"), None);
        plotted.sides[0].1.shares = Some([2e6; plot::SHARES]);
        let picture = plotted.picture("f").unwrap();
        assert!(picture.contains("<title>f</title>") && picture.contains(">2.0 ms<"), "{picture}");
        let figures = [("f".to_owned(), plotted), ("g".to_owned(), figure(1.0, None))].into_iter().collect();
        let book = Book { machine: Machine::this(), rounds: ROUNDS, figures };
        let page = book.page();
        assert!(page.contains("![f: the distribution of each side](benchmarks/f.svg)"), "{page}");
        assert!(!page.contains("benchmarks/g.svg"), "{page}");
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
    }
}
