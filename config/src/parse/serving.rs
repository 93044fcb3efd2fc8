//! The keys that say how the gate serves: what it shows browsers by itself, and how it ends.

use std::time::Duration;

use serde_norway::{Mapping, Value};

use super::{Reader, host_name, path, socket};
use crate::limits::{HAND_OVER_DRAIN, STOP_DRAIN};
use crate::{AcmeConfig, DrainConfig};

impl Reader<'_> {
    pub(super) fn flag(&mut self, root: &Mapping, key: &str) -> bool {
        match root.get(key) {
            None => false,
            Some(Value::Bool(is_so)) => *is_so,
            Some(_) => {
                self.wrong(&[key], format!("`{key}` must be true or false"));
                false
            }
        }
    }

    pub(super) fn drain(&mut self, root: &Mapping) -> DrainConfig {
        let map = self.section(root, "drain", &["stop", "hand_over"]).cloned().unwrap_or_default();
        DrainConfig {
            stop: self.optional(&map, &["drain", "stop"], span).unwrap_or(STOP_DRAIN),
            hand_over: self.optional(&map, &["drain", "hand_over"], span).unwrap_or(HAND_OVER_DRAIN),
        }
    }

    /// An authority, or the operator's own files: the gate shows browsers one certificate.
    pub(super) fn acme(&mut self, root: &Mapping) -> Option<AcmeConfig> {
        let map = self.section(root, "acme", &["directory", "contact", "names", "trust", "http_listen"])?.clone();
        if root.contains_key("tls") {
            let what = "`acme` and `tls` both give browsers a certificate (remove one of them)";
            self.wrong(&["acme"], what.to_owned());
        }
        if map.get("directory").is_none() {
            let what = "`acme` names no `directory` (the URL that your certificate authority gives for ACME)";
            self.wrong(&["acme"], what.to_owned());
        }
        let names = self.acme_names(&map);
        let directory = self.optional(&map, &["acme", "directory"], directory);
        Some(AcmeConfig {
            contact: self.optional(&map, &["acme", "contact"], contact),
            trust: self.optional(&map, &["acme", "trust"], path),
            http_listen: self.optional(&map, &["acme", "http_listen"], socket),
            directory: directory?,
            names,
        })
    }

    fn acme_names(&mut self, map: &Mapping) -> Vec<String> {
        let list = map.get("names").and_then(Value::as_sequence).cloned().unwrap_or_default();
        // No public authority vouches for a name that means another machine to everybody.
        let is_public = |name: &String| name.contains('.') && !name.ends_with(".localhost");
        let name = |text: &str| host_name(text).ok().filter(is_public);
        let names: Vec<String> = list.iter().filter_map(Value::as_str).filter_map(name).collect();
        if names.is_empty() || names.len() != list.len() {
            let what = "`names` must be a list of full host names such as gate.example.com; wildcards and localhost \
                        have no certificate by ACME here";
            self.wrong(&["acme", "names"], what.to_owned());
        }
        names
    }
}

/// A span of time such as 30s, 15m or 8h.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("is not a span of time such as 30s, 15m or 8h: {text}");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    number.checked_mul(each).map(Duration::from_secs).ok_or_else(wrong)
}

fn directory(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").map(|rest| rest.split('/').next().unwrap_or_default());
    match host {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("is not an https:// URL: {text}")),
    }
}

fn contact(text: &str) -> Result<String, String> {
    let wrong = || format!("is not a mail address: {text}");
    let (name, host) = text.split_once('@').ok_or_else(wrong)?;
    if name.is_empty() || host_name(host).is_err() { Err(wrong()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn problems(text: &str) -> String {
        let Err(problems) = parse("t", &format!("public_addr: a.b:1\n{text}")) else { return "no problem".to_owned() };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn spans_of_time() {
        for (text, secs) in [("0s", Some(0)), ("15m", Some(900)), ("8h", Some(28_800)), ("8", None), ("", None)] {
            assert_eq!(span(text).ok(), secs.map(Duration::from_secs), "{text}");
        }
        assert!(span("99999999999999999999h").is_err() && span("é").is_err() && span("-1s").is_err());
    }

    #[test]
    fn a_gate_drains_as_long_as_it_is_told() {
        let drain = |text: &str| parse("t", &format!("public_addr: a.b:1\n{text}")).unwrap().drain;
        assert_eq!(drain(""), DrainConfig { stop: STOP_DRAIN, hand_over: HAND_OVER_DRAIN });
        let told = drain("drain: { stop: 20s, hand_over: 2h }\nreuse_port: true\n");
        assert_eq!((told.stop.as_secs(), told.hand_over.as_secs()), (20, 7200));
        assert!(problems("drain: { stop: soon }\n").contains("t:2: `stop` is not a span of time"));
        assert!(problems("drain: 5s\n").contains("t:2: `drain` must be a mapping"));
        assert!(problems("reuse_port: perhaps\n").contains("t:2: `reuse_port` must be true or false"));
    }

    #[test]
    fn an_authority_is_named_by_its_directory_and_the_names_are_whole() {
        let good = "acme: { directory: \"https://ca.example.com/dir\", names: [a.b], contact: o@b.example }\n";
        let acme = parse("t", &format!("public_addr: a.b:1\n{good}")).unwrap().acme.unwrap();
        assert_eq!((acme.names, acme.http_listen), (vec!["a.b".to_owned()], None));
        let bad = |more: &str| problems(&format!("acme: {{ {more} }}\n"));
        assert!(bad("names: [a.b]").contains("t:2: `acme` names no `directory`"));
        assert!(bad("directory: \"http://ca/\", names: [a.b]").contains("is not an https:// URL"));
        for names in ["[localhost]", "[\"*.a.b\"]", "[]", "a.b", "[x.localhost]"] {
            assert!(
                bad(&format!("directory: \"https://ca/d\", names: {names}")).contains("`names` must be"),
                "{names}"
            );
        }
        let both = format!("{good}tls: {{ certificate: /c, key: /k }}\n");
        assert!(problems(&both).contains("t:2: `acme` and `tls` both"));
    }
}
