//! What the gate counts of its own session checks, from the page that it has for Prometheus.

use std::collections::BTreeMap;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::options::Protocol;
use super::report::QUANTILES;
use crate::error::{Act as _, Failure, Result};
use crate::limits::{BODY_BYTES_MAX, REQUEST_WAIT};

/// The histogram's name.
const NAME: &str = "session_check_seconds";

/// The histogram of one protocol, result and warmth: what lies at or below each bound, the sum and the count.
#[derive(Debug, Clone, Default, PartialEq)]
struct Counted {
    /// By the bound's own text, so that two pages are compared without arithmetic; with the bound.
    buckets: Vec<(String, f64, f64)>,
    sum: f64,
    count: f64,
}

/// Everything that a page says of it, by protocol, result and warmth.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page(BTreeMap<(String, String, bool), Counted>);

/// The checks of a load: those that the gate made between two looks, whoever asked for them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Checks {
    /// All of them.
    pub(super) count: u64,
    /// By what they came to.
    pub(super) results: Vec<Outcome>,
}

/// The checks of one result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    /// `grant`, `challenge` or `denial`.
    pub(super) result: String,
    /// Whether the evidence was at hand.
    pub(super) warm: bool,
    pub(super) count: u64,
    pub(super) mean_seconds: f64,
    /// Each quantile, and the bound of the gate's bucket that it lies below; none where it lies beyond the last.
    pub(super) at_most_seconds: BTreeMap<&'static str, Option<f64>>,
}

/// Looks before the load begins, so that an address that is wrong is told before.
pub(super) async fn look(url: Option<&str>) -> Result<Option<Page>> {
    match url {
        Some(url) => Ok(Some(fetch(url).await?)),
        None => Ok(None),
    }
}

/// Fetches the page.
pub(super) async fn fetch(url: &str) -> Result<Page> {
    let wrong = || {
        Failure::new(format!("{url:?} is not where a gate's metrics are"))
            .advise("pass http://HOST:PORT/metrics, with the address of admin_listen")
    };
    let parsed = Url::parse(url).map_err(|_| wrong())?;
    let host = parsed.host_str().filter(|_| parsed.scheme() == "http").ok_or_else(wrong)?;
    let port = parsed.port_or_known_default().ok_or_else(wrong)?;
    let late = || Failure::new(format!("{url} gave no answer in time"));
    let text = timeout(REQUEST_WAIT, get(host, port, parsed.path())).await.map_err(|_| late())?;
    let text = text.map_err(|failure| failure.advise("is it the address of the gate's admin_listen?"))?;
    if !text.contains("# TYPE") && !text.is_empty() {
        return Err(wrong());
    }
    Ok(Page::parse(&text))
}

async fn get(host: &str, port: u16, path: &str) -> Result<String> {
    let act = || format!("the metrics at {host}:{port} cannot be read");
    #[expect(clippy::disallowed_methods, reason = "the load tool asks the gate's own admin port")]
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.act(act)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.act(act)?;
    let driver = tokio::spawn(connection);
    let request = Request::get(path).header(HOST, format!("{host}:{port}")).body(Empty::<Bytes>::new()).act(act)?;
    let response = sender.send_request(request).await.act(act)?;
    if !response.status().is_success() {
        return Err(Failure::new(format!("{host}:{port}{path} answers {}", response.status())));
    }
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    driver.abort();
    let body = body.map_err(|error| Failure::new(format!("{}: {error}", act())))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

impl Page {
    /// Reads the lines of the histogram; others are none of ours.
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            page.line(line).unwrap_or_default();
        }
        page
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let rest = line.strip_prefix(NAME)?;
        let (part, rest) = rest.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let value: f64 = value.trim().parse().ok()?;
        let label = |name: &str| {
            let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let key = (label("protocol")?, label("result")?, label("warm")? == "true");
        let counted = self.0.entry(key).or_default();
        match part {
            "_bucket" => {
                let bound = label("le")?;
                let at = bound.parse().ok()?;
                counted.buckets.push((bound, at, value));
            }
            "_sum" => counted.sum = value,
            "_count" => counted.count = value,
            _ => {}
        }
        Some(())
    }
}

impl Checks {
    /// What was counted of this protocol between two pages.
    pub(super) fn between(protocol: Protocol, before: &Page, after: &Page) -> Self {
        let results: Vec<Outcome> = after
            .0
            .iter()
            .filter(|((of, _, _), _)| of == protocol.as_str())
            .filter_map(|(key, counted)| Outcome::between(key, before.0.get(key), counted))
            .collect();
        Self { count: results.iter().map(|outcome| outcome.count).sum(), results }
    }
}

impl Outcome {
    fn between((_, result, warm): &(String, String, bool), before: Option<&Counted>, after: &Counted) -> Option<Self> {
        let none = Counted::default();
        let before = before.unwrap_or(&none);
        let count = after.count - before.count;
        if count < 1.0 {
            return None;
        }
        let old = |bound: &str| before.buckets.iter().find(|(known, _, _)| known == bound).map_or(0.0, |found| found.2);
        let quantile = |share: f64| {
            let wanted = share * count;
            let mut fitting = after.buckets.iter().filter(|(bound, _, below)| below - old(bound) >= wanted);
            fitting.next().map(|(_, at, _)| *at).filter(|at| at.is_finite())
        };
        Some(Self {
            result: result.clone(),
            warm: *warm,
            count: whole(count),
            mean_seconds: (after.sum - before.sum) / count,
            at_most_seconds: QUANTILES.iter().map(|(name, share)| (*name, quantile(*share))).collect(),
        })
    }
}

/// A count that Prometheus writes as a fraction.
fn whole(count: f64) -> u64 {
    format!("{count:.0}").parse().unwrap_or_default()
}

/// A duration in seconds, in the unit that people read.
pub(super) fn shown(seconds: f64) -> String {
    if seconds < 1e-6 {
        format!("{:.0} ns", seconds * 1e9)
    } else if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

impl Outcome {
    /// As a person reads it: `grant, warm: 99 checks, mean 1.9 µs, p50 at most 2.5 µs, …`.
    pub(super) fn text(&self) -> String {
        let warm = if self.warm { "warm" } else { "cold" };
        let most = |(name, at): (&&'static str, &Option<f64>)| match at {
            Some(at) => format!("{name} at most {}", shown(*at)),
            None => format!("{name} beyond the gate's buckets"),
        };
        // In the order of the shares, which is not the one of the names.
        let quantiles = QUANTILES.iter().filter_map(|(name, _)| self.at_most_seconds.get_key_value(name).map(most));
        let quantiles: Vec<String> = quantiles.collect();
        let Self { result, count, .. } = self;
        format!("{result}, {warm}: {count} checks, mean {}, {}", shown(self.mean_seconds), quantiles.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::number;
    use super::*;

    fn page(few: u32, many: u32) -> Page {
        let labels = "protocol=\"ssh\",result=\"grant\",warm=\"true\"";
        let all = few + many;
        Page::parse(&format!(
            "# TYPE session_check_seconds histogram\n\
             session_check_seconds_bucket{{{labels},le=\"0.000001\"}} {few}\n\
             session_check_seconds_bucket{{{labels},le=\"0.01\"}} {all}\n\
             session_check_seconds_bucket{{{labels},le=\"+Inf\"}} {all}\n\
             session_check_seconds_sum{{{labels}}} {}\n\
             session_check_seconds_count{{{labels}}} {all}\n\
             session_check_seconds_count{{protocol=\"kube\",result=\"grant\",warm=\"true\"}} 7\n\
             tapgate_sessions_live 3\nnonsense {{\n",
            number(u64::from(all)) * 2e-6
        ))
    }

    #[test]
    fn only_what_was_counted_between_two_pages_counts() {
        let checks = Checks::between(Protocol::Ssh, &page(1000, 0), &page(1090, 10));
        assert_eq!((checks.count, checks.results.len()), (100, 1));
        let outcome = &checks.results[0];
        assert_eq!((outcome.result.as_str(), outcome.warm), ("grant", true));
        assert!((outcome.mean_seconds - 2e-6).abs() < 1e-9, "{outcome:?}");
        assert_eq!(outcome.at_most_seconds["p50"], Some(1e-6));
        assert_eq!(outcome.at_most_seconds["p99"], Some(1e-2));
        assert!(
            outcome.text().starts_with(
                "grant, warm: 100 checks, mean 2.0 µs, p50 at most 1.0 µs, p90 at most 1.0 µs, p99 at most 10.0 ms"
            ),
            "{}",
            outcome.text()
        );
        assert_eq!(Checks::between(Protocol::Ssh, &page(5, 5), &page(5, 5)).count, 0);
        assert_eq!(Checks::between(Protocol::Kube, &Page::default(), &page(0, 0)).count, 7);
        assert_eq!(Checks::between(Protocol::Mysql, &Page::default(), &page(5, 5)).count, 0);
    }

    #[tokio::test]
    async fn what_is_no_address_of_metrics_is_told_with_what_is() {
        for bad in ["metrics", "https://127.0.0.1:1/metrics", "http://", "ftp://a/b"] {
            assert!(fetch(bad).await.unwrap_err().to_string().contains("http://HOST:PORT/metrics"), "{bad}");
        }
        assert!(fetch("http://127.0.0.1:1/metrics").await.unwrap_err().to_string().contains("admin_listen"));
        assert_eq!(look(None).await, Ok(None));
    }
}
