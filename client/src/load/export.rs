//! The distributions as files, for other tools.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde_json::json;

use super::options::Export;
use super::report::{Report, number};
use super::tally::Tally;
use crate::error::{Act as _, Result};
use crate::limits::{LOAD_DIGITS, LOAD_HDR_TICKS};

/// Writes what was asked for into this folder; answers where it is.
pub(super) fn write(form: Export, folder: &Path, report: &Report, tally: &Tally) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).act(|| format!("{} cannot be made", folder.display()))?;
    let name = format!("bench-{}", report.protocol);
    let latencies = [("connect", &tally.connect), ("session", &tally.session)];
    let files: Vec<(String, String)> = match form {
        Export::Hdr => latencies.map(|(of, histogram)| (format!("{name}-{of}.hgrm"), percentiles(histogram))).into(),
        Export::Json => {
            let distributions: serde_json::Map<_, _> =
                latencies.into_iter().map(|(of, histogram)| (of.to_owned(), buckets(histogram))).collect();
            let whole = json!({ "report": report, "distributions_us": distributions });
            let text = serde_json::to_string_pretty(&whole).act(|| "the report cannot be written".to_owned())?;
            vec![(format!("{name}.json"), text + "\n")]
        }
    };
    let write = |(name, text): (String, String)| {
        let path = folder.join(name);
        std::fs::write(&path, text).act(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    };
    files.into_iter().map(write).collect()
}

/// Every bucket with something in it: its highest value in microseconds, and how many are there.
fn buckets(histogram: &Histogram<u64>) -> serde_json::Value {
    histogram.iter_recorded().map(|bucket| json!([bucket.value_iterated_to(), bucket.count_at_value()])).collect()
}

/// The percentiles in the text form of `HdrHistogram`'s own tools (`outputPercentileDistribution`), in milliseconds.
fn percentiles(histogram: &Histogram<u64>) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let (mut seen, all) = (0, histogram.len());
    let line = |text: &mut String, value: u64, share: f64, seen: u64| {
        let value = number(value) / 1e3;
        let row = format!("{value:>12.3} {share:>2.12} {seen:>10}");
        // Writing to a String does not fail.
        if share < 1.0 {
            writeln!(text, "{row} {:>14.2}", 1.0 / (1.0 - share)).unwrap_or_default();
        } else {
            writeln!(text, "{row}").unwrap_or_default();
        }
    };
    for step in histogram.iter_quantiles(LOAD_HDR_TICKS) {
        seen += step.count_since_last_iteration();
        line(&mut text, step.value_iterated_to(), step.quantile_iterated_to(), seen);
    }
    let (mean, deviation) = (histogram.mean() / 1e3, histogram.stdev() / 1e3);
    let max = number(histogram.max()) / 1e3;
    write!(
        text,
        "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]\n\
         #[Max     = {max:>12.3}, Total count    = {all:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]\n",
        histogram.buckets(),
        2 * 10_u32.pow(u32::from(LOAD_DIGITS)).next_power_of_two()
    )
    .unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::options::tests::options;
    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally::new().unwrap();
        for n in 1..=1000 {
            tally.succeed(Duration::from_millis(n), Duration::from_millis(n));
        }
        tally
    }

    #[test]
    fn percentiles_are_what_other_tools_read() {
        let text = percentiles(&tally().connect);
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"), "{text}");
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]), "{text}");
        let last = rows.last().unwrap();
        assert_eq!((last.len(), last[1].to_string(), last[2].to_string()), (3, "1".to_owned(), "1000".to_owned()));
        assert!(text.contains("Total count    =         1000]"), "{text}");
        assert!(percentiles(&Tally::new().unwrap().connect).contains("Total count    =            0]"));
    }

    #[test]
    fn files_are_named_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&["--protocol", "kube", "--targets", "prod"]).unwrap();
        let (tally, path) = (tally(), folder.path().join("new"));
        let report = Report::new(&options, None, &tally, None);
        let named = |form| -> Vec<_> {
            let files = write(form, &path, &report, &tally).unwrap();
            files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(named(Export::Hdr), ["bench-kube-connect.hgrm", "bench-kube-session.hgrm"]);
        assert_eq!(named(Export::Json), ["bench-kube.json"]);
        let text = std::fs::read_to_string(path.join("bench-kube.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let counts =
            json["distributions_us"]["connect"].as_array().unwrap().iter().map(|pair| pair[1].as_u64().unwrap());
        assert_eq!(counts.sum::<u64>(), 1000);
        assert_eq!(json["report"]["sessions"]["succeeded"], 1000);
    }
}
