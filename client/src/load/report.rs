//! What a load found, as JSON and for people.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Options;
use super::checks::Checks;
use super::tally::{Tally, micros};
use crate::cli::output;

/// The shares that are told, by their names.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("p99_99", 0.9999)];

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) protocol: &'static str,
    /// The gate; none where the targets themselves were asked.
    gate: Option<String>,
    targets: Vec<String>,
    /// What each session did.
    run: String,
    /// Sessions a second, as they were due.
    rate: f64,
    duration_seconds: f64,
    /// From the first session's begin to the last one's end.
    took_seconds: f64,
    sessions: Sessions,
    errors: Vec<Error>,
    /// Until the target was reached, from when the session was due. Of sessions that went well.
    connect: Spread,
    /// Until the session was over.
    session: Spread,
    /// How late a session was begun at most: what the generator, or its room for open sessions, added.
    behind_us: u64,
    /// The gate's own checks, where it was asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Sessions {
    succeeded: u64,
    failed: u64,
}

/// One kind of failure.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Error {
    kind: &'static str,
    count: u64,
    /// The words of the first.
    first: String,
}

/// A distribution, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Spread {
    count: u64,
    min_us: u64,
    mean_us: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p99_9_us: u64,
    p99_99_us: u64,
    max_us: u64,
}

impl Spread {
    /// Of this histogram.
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |share| histogram.value_at_quantile(share);
        Self {
            count: histogram.len(),
            min_us: histogram.min(),
            mean_us: histogram.mean(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            p99_99_us: at(0.9999),
            max_us: histogram.max(),
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let mean = micros(Duration::from_secs_f64(self.mean_us / 1e6));
        let shares = [self.p50_us, self.p90_us, self.p99_us, self.p99_9_us, self.p99_99_us, self.max_us, mean];
        // Of nothing there is no latency.
        let cells = shares.map(|value| if self.count == 0 { "-".to_owned() } else { shown(value) });
        std::iter::once(name.to_owned()).chain(cells).collect()
    }
}

impl Report {
    /// Of this load.
    pub(super) fn new(options: &Options, gate: Option<String>, tally: &Tally, checks: Option<Checks>) -> Self {
        let errors = tally.faults.iter().map(|(kind, (count, first))| Error {
            kind: kind.as_str(),
            count: *count,
            first: first.clone(),
        });
        Self {
            protocol: options.protocol.as_str(),
            gate,
            targets: options.targets.clone(),
            run: options.run_text(),
            rate: options.rate,
            duration_seconds: options.duration.as_secs_f64(),
            took_seconds: tally.took.as_secs_f64(),
            sessions: Sessions { succeeded: tally.succeeded(), failed: tally.failed() },
            errors: errors.collect(),
            connect: Spread::of(&tally.connect),
            session: Spread::of(&tally.session),
            behind_us: micros(tally.behind),
            checks,
        }
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        let way = self.gate.as_ref().map_or_else(|| "direct".to_owned(), |gate| format!("through {gate}"));
        let Sessions { succeeded, failed } = self.sessions;
        let mut text = format!(
            "{}, {way}, to {}: {} a second for {:.0} s\n{succeeded} succeeded, {failed} failed, in {:.1} s\n",
            self.protocol,
            self.targets.join(", "),
            self.rate,
            self.duration_seconds,
            self.took_seconds
        );
        for Error { kind, count, first } in &self.errors {
            writeln!(text, "  {kind}: {count}, the first of them: {first}").unwrap_or_default();
        }
        let headings = ["from when it was due", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"];
        let rows = [self.connect.row("until the target is reached"), self.session.row("until the session is over")];
        text.push('\n');
        text.push_str(&output::headed(&headings, &rows));
        writeln!(text, "\nA session was begun at most {} late.", shown(self.behind_us)).unwrap_or_default();
        if let Some(checks) = &self.checks {
            writeln!(text, "\nThe gate made {} session checks meanwhile:", checks.count).unwrap_or_default();
            for outcome in &checks.results {
                writeln!(text, "  {}", outcome.text()).unwrap_or_default();
            }
        }
        text
    }
}

/// A count as a number with a fraction.
pub(super) fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Microseconds in the unit that people read.
fn shown(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.2} ms", number(micros) / 1e3),
        _ => format!("{:.2} s", number(micros) / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::options;
    use super::super::tally::{Fault, Kind};
    use super::*;

    #[test]
    fn a_report_says_what_went_well_and_what_did_not() {
        let mut tally = Tally::new().unwrap();
        for n in 1..=1000 {
            tally.succeed(Duration::from_millis(n), Duration::from_millis(n + 1));
        }
        tally.fail(Fault::new(Kind::Refused, "not yours"));
        let options = options(&["--protocol", "ssh", "--targets", "prod3,dev1", "--rate", "50"]).unwrap();
        let report = Report::new(&options, Some("localhost:3080".to_owned()), &tally, None);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["sessions"], serde_json::json!({ "succeeded": 1000, "failed": 1 }));
        assert_eq!(json["errors"][0], serde_json::json!({ "kind": "refused", "count": 1, "first": "not yours" }));
        let p50 = json["connect"]["p50_us"].as_u64().unwrap();
        assert!((499_000..=502_000).contains(&p50), "{p50}");
        let text = report.text();
        for part in [
            "ssh, through localhost:3080, to prod3, dev1: 50 a second for 30 s",
            "1000 succeeded, 1 failed",
            "refused: 1, the first of them: not yours",
            "p99.99",
            "500.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let nothing = Report::new(&options, None, &Tally::new().unwrap(), None).text();
        assert!(nothing.contains("until the session is over   -   -"), "{nothing}");
        assert_eq!([0, 999, 1500, 2_500_000].map(shown), ["0 µs", "999 µs", "1.50 ms", "2.50 s"]);
    }
}
