//! From text to [`Config`]: each key is parsed by itself, so that all errors come at once.

mod serving;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde_norway::{Mapping, Value};
use tapgate_model::{Digest, Version};

use crate::lines::line_of;
use crate::{CertificateFiles, Config, HostPort, Problem, SecretsKeyPlace};

const KEYS: &[&str] = &[
    "cluster_name",
    "data_dir",
    "listen",
    "mysql_listen",
    "proxy_protocol_from",
    "public_addr",
    "apps_domain",
    "admin_listen",
    "webauthn",
    "first_admins",
    "resources",
    "audit_log",
    "tls",
    "audit",
    "recordings",
    "secrets_key",
    "min_client_version",
    "acme",
    "reuse_port",
    "drain",
    "recordings_keep",
    "recordings_s3",
];

/// The oldest client whose words the gate still understands.
const OLDEST_CLIENT: Version = Version::new(0, 1, 0);

/// Parses the text of a configuration; `file` is only named in problems.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader { file, text, problems: Vec::new() };
    let root = match serde_norway::from_str::<Value>(text) {
        Ok(Value::Mapping(root)) => root,
        Ok(_) => return Err(vec![reader.problem(&[], "is not a mapping of keys to values".to_owned())]),
        Err(error) => {
            let line = error.location().map_or(1, |at| at.line());
            return Err(vec![Problem { file: file.to_owned(), line, what: format!("is not YAML: {error}") }]);
        }
    };
    let config = reader.config(&root);
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => Err(reader.problems),
    }
}

/// Collects problems while the keys are read.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&self, path: &[&str], what: String) -> Problem {
        Problem { file: self.file.to_owned(), line: line_of(self.text, path), what }
    }

    pub(crate) fn wrong(&mut self, path: &[&str], what: String) {
        let problem = self.problem(path, what);
        self.problems.push(problem);
    }

    fn config(&mut self, root: &Mapping) -> Option<Config> {
        self.unknown(root, &[], KEYS);
        let public_addr = self.required(root, "public_addr", host_port);
        let host = public_addr.as_ref().map(|addr| addr.host.clone());
        let cluster_name = self.optional(root, &["cluster_name"], host_name).or_else(|| host.clone());
        let data_dir = self.optional(root, &["data_dir"], path).unwrap_or_else(|| PathBuf::from("/var/lib/tapgate"));
        let listen = self.optional(root, &["listen"], socket).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 3080)));
        let (rp_id, origins) = self.webauthn(root, public_addr.as_ref());
        let admin_listen = self.optional(root, &["admin_listen"], socket);
        let mysql_listen = self.optional(root, &["mysql_listen"], socket);
        for (key, address) in [("admin_listen", admin_listen), ("mysql_listen", mysql_listen)] {
            if address == Some(listen) {
                self.wrong(&[key], "is the public port too; give it a port of its own".to_owned());
            }
        }
        let apps_domain = self.apps_domain(root, &origins);
        let first_admins = self.pins(root);
        let resources = self.optional(root, &["resources"], path);
        let audit_log = self.optional(root, &["audit_log"], path).unwrap_or_else(|| data_dir.join("audit.jsonl"));
        let certificate = self.certificate(root);
        let audit = self.audit(root);
        let recordings = self.optional(root, &["recordings"], path).unwrap_or_else(|| data_dir.join("recordings"));
        let own_key = || SecretsKeyPlace::File(data_dir.join("secrets.key"));
        let secrets_key = self.optional(root, &["secrets_key"], str::parse).unwrap_or_else(own_key);
        Some(Config {
            cluster_name: cluster_name?,
            data_dir,
            listen,
            mysql_listen,
            proxies: self.proxies(root),
            public_addr: public_addr?,
            apps_domain,
            admin_listen,
            rp_id: rp_id?,
            origins,
            first_admins,
            resources,
            audit_log,
            certificate,
            acme: self.acme(root),
            reuse_port: self.flag(root, "reuse_port"),
            drain: self.drain(root),
            audit,
            recordings,
            secrets_key,
            min_client_version: self.optional(root, &["min_client_version"], version).unwrap_or(OLDEST_CLIENT),
            recordings_keep: self.recordings_keep(root),
            recordings_s3: self.recordings_s3(root),
        })
    }

    fn unknown(&mut self, map: &Mapping, parent: &[&str], known: &[&str]) {
        for key in map.keys() {
            let name = key.as_str().unwrap_or("(not a text)");
            if !known.contains(&name) {
                let path: Vec<&str> = parent.iter().copied().chain([name]).collect();
                self.wrong(&path, format!("unknown key `{name}` (known here: {})", known.join(", ")));
            }
        }
    }

    fn required<T>(&mut self, map: &Mapping, key: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        if map.get(key).is_none() {
            self.wrong(&[key], format!("`{key}` is missing"));
        }
        self.optional(map, &[key], parse)
    }

    pub(crate) fn optional<T>(
        &mut self,
        map: &Mapping,
        path: &[&str],
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let key = path.last()?;
        let value = map.get(*key)?;
        let parsed = value.as_str().ok_or_else(|| "must be a text (quote it)".to_owned()).and_then(parse);
        parsed.map_err(|why| self.wrong(path, format!("`{key}` {why}"))).ok()
    }

    pub(crate) fn section<'m>(&mut self, root: &'m Mapping, key: &str, known: &[&str]) -> Option<&'m Mapping> {
        let value = root.get(key)?;
        let Some(map) = value.as_mapping() else {
            self.wrong(&[key], format!("`{key}` must be a mapping with {}", known.join(", ")));
            return None;
        };
        self.unknown(map, &[key], known);
        Some(map)
    }

    /// Both files, or none: neither is of use without the other.
    fn certificate(&mut self, root: &Mapping) -> Option<CertificateFiles> {
        let map = self.section(root, "tls", &["certificate", "key"])?;
        let mut file = |key| {
            let found = self.optional(map, &["tls", key], path);
            if map.get(key).is_none() {
                self.wrong(&["tls"], format!("`tls` names no `{key}` (it needs `certificate` and `key`)"));
            }
            found
        };
        let (certificate, key) = (file("certificate"), file("key"));
        Some(CertificateFiles { certificate: certificate?, key: key? })
    }

    fn webauthn(&mut self, root: &Mapping, public: Option<&HostPort>) -> (Option<String>, Vec<String>) {
        let map = self.section(root, "webauthn", &["rp_id", "origins"]).cloned().unwrap_or_default();
        let rp_id = self.optional(&map, &["webauthn", "rp_id"], host_name).or_else(|| public.map(|p| p.host.clone()));
        let origins = match map.get("origins") {
            None => public.map(|p| vec![origin_of(p)]).unwrap_or_default(),
            Some(Value::Sequence(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => Vec::new(),
        };
        if let Some(rp_id) = &rp_id {
            self.relying_party(rp_id, &origins);
        }
        (rp_id, origins)
    }

    /// The pages share no host with an application: neither may lie under the other's domain by one label.
    fn apps_domain(&mut self, root: &Mapping, origins: &[String]) -> Option<String> {
        let domain = self.optional(root, &["apps_domain"], host_name)?;
        let host = |origin: &String| {
            origin.strip_prefix("https://").map(|rest| rest.split([':', '/']).next().unwrap_or(rest).to_owned())
        };
        let inside = |host: String| host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
        if origins.iter().filter_map(host).any(inside) {
            let what = format!(
                "`apps_domain` {domain} holds the origin of the pages (give applications a domain of their own)"
            );
            self.wrong(&["apps_domain"], what);
        }
        Some(domain)
    }

    fn relying_party(&mut self, rp_id: &str, origins: &[String]) {
        if rp_id != "localhost" && (!rp_id.contains('.') || rp_id.parse::<std::net::IpAddr>().is_ok()) {
            let what =
                format!("`rp_id` {rp_id} can't hold security keys (use a full host name, or localhost for a demo)");
            self.wrong(&["webauthn", "rp_id"], what);
        }
        if origins.is_empty() {
            self.wrong(
                &["webauthn", "origins"],
                "`origins` must be a list of texts such as https://gate.example.com".to_owned(),
            );
        }
        for origin in origins {
            let host = origin.strip_prefix("https://").map(|rest| rest.split([':', '/']).next().unwrap_or(rest));
            let under = host.is_some_and(|h| h == rp_id || h.strip_suffix(rp_id).is_some_and(|s| s.ends_with('.')));
            if !under || origin.ends_with('/') {
                let what =
                    format!("origin {origin} is not https:// and a host at or under rp_id {rp_id}, without a path");
                self.wrong(&["webauthn", "origins"], what);
            }
        }
    }

    /// Whole networks are named by whole networks: `10.1.2.3/8` is somebody's slip.
    fn proxies(&mut self, root: &Mapping) -> Vec<IpNet> {
        let Some(value) = root.get("proxy_protocol_from") else { return Vec::new() };
        let list = value.as_sequence().cloned().unwrap_or_default();
        let network = |text: &str| text.parse::<IpNet>().ok().filter(|net| net.addr() == net.network());
        let networks: Vec<IpNet> = list.iter().filter_map(Value::as_str).filter_map(network).collect();
        if !value.is_sequence() || networks.len() != list.len() {
            let what = "`proxy_protocol_from` must be a list of networks such as 10.1.0.0/24 or 192.0.2.7/32";
            self.wrong(&["proxy_protocol_from"], what.to_owned());
        }
        networks
    }

    fn pins(&mut self, root: &Mapping) -> Vec<Digest> {
        let Some(value) = root.get("first_admins") else { return Vec::new() };
        let list = value.as_sequence().cloned().unwrap_or_default();
        let pins: Vec<Digest> = list.iter().filter_map(Value::as_str).filter_map(pin).collect();
        if !value.is_sequence() || pins.len() != list.len() {
            let what = "`first_admins` must be a list of pins such as sha256:… (`tap enrol` prints the line)";
            self.wrong(&["first_admins"], what.to_owned());
        }
        pins
    }
}

/// The origin of a page at the public address; the default port is not written.
fn origin_of(public: &HostPort) -> String {
    match public.port {
        443 => format!("https://{}", public.host),
        port => format!("https://{}:{port}", public.host),
    }
}

fn version(text: &str) -> Result<Version, String> {
    text.parse()
}

fn pin(text: &str) -> Option<Digest> {
    text.strip_prefix("sha256:")?.parse().ok()
}

pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("is not an address and port such as 0.0.0.0:3080: {text}"))
}

fn host_name(text: &str) -> Result<String, String> {
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-');
    let chars = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
    if chars && text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err(format!("is not a host name in lower case: {text}"))
    }
}

fn host_port(text: &str) -> Result<HostPort, String> {
    let wrong = || format!("is not a host and port such as gate.example.com:443: {text}");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    Ok(HostPort { host: host_name(host).map_err(|_| wrong())?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let Err(problems) = parse("t.yaml", text) else { return "no problem".to_owned() };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = parse("t.yaml", "public_addr: gate.example.com:443\n").unwrap();
        assert_eq!(config.rp_id, "gate.example.com");
        assert_eq!(config.origins, ["https://gate.example.com"]);
        assert_eq!(config.audit_log, PathBuf::from("/var/lib/tapgate/audit.jsonl"));
    }

    #[test]
    fn all_problems_come_at_once_with_their_lines() {
        let text = "public_addr: nowhere\nlisten: 3080\ncolour: red\nwebauthn:\n  rp_id: 127.0.0.1\n  origin: x\n";
        let known = KEYS.join(", ");
        let expected = format!(
            "t.yaml:3: unknown key `colour` (known here: {known})\n\
             t.yaml:1: `public_addr` is not a host and port such as gate.example.com:443: nowhere\n\
             t.yaml:2: `listen` must be a text (quote it)\n\
             t.yaml:6: unknown key `origin` (known here: rp_id, origins)\n\
             t.yaml:5: `rp_id` 127.0.0.1 can't hold security keys (use a full host name, or localhost for a demo)\n\
             t.yaml:4: `origins` must be a list of texts such as https://gate.example.com"
        );
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn the_secrets_key_has_three_places() {
        let place = |text: &str| {
            parse("t", &format!("public_addr: a.b:1\n{text}\n")).map(|config| config.secrets_key.to_string()).unwrap()
        };
        assert_eq!(place(""), "/var/lib/tapgate/secrets.key");
        assert_eq!(place("data_dir: /d"), "/d/secrets.key");
        for good in ["/etc/tapgate/secrets.key", "env:TAPGATE_KEY", "credential:tapgate.key"] {
            assert_eq!(place(&format!("secrets_key: {good}")), good);
        }
        for bad in ["'env:'", "'env:A B'", "'credential:../x'", "''"] {
            let text = format!("public_addr: a.b:1\nsecrets_key: {bad}\n");
            assert!(problems(&text).starts_with("t.yaml:2: `secrets_key` "), "{bad}");
        }
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        assert!(problems("public_addr: a:1\n\t- x").starts_with("t.yaml:2: is not YAML"));
        assert!(problems("- a").contains("is not a mapping"));
        assert_eq!(problems(""), "t.yaml:1: is not a mapping of keys to values");
    }

    #[test]
    fn the_pages_may_have_a_name_of_their_own() {
        let text = "public_addr: gate.example.com:443\nwebauthn:\n  rp_id: tap.gate.example.com\n  \
                    origins: [\"https://tap.gate.example.com\"]\n";
        let config = parse("t.yaml", text).unwrap();
        assert_eq!(
            (config.rp_id.as_str(), config.origins[0].as_str()),
            ("tap.gate.example.com", "https://tap.gate.example.com")
        );
        let example = parse("example.yaml", include_str!("../example.yaml")).unwrap();
        assert_eq!(example.rp_id, "tap.gate.example.com");
    }

    #[test]
    fn a_certificate_has_two_files() {
        let text = "public_addr: a.b:1\ntls: { certificate: /c.pem, key: /k.pem }\n";
        let files = CertificateFiles { certificate: "/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(parse("t", text).unwrap().certificate, Some(files));
        assert!(
            problems("public_addr: a.b:1\ntls: { key: /k.pem }\n").contains("t.yaml:2: `tls` names no `certificate`")
        );
        assert!(problems("public_addr: a.b:1\ntls: /c.pem\n").contains("t.yaml:2: `tls` must be a mapping"));
    }

    #[test]
    fn load_balancers_are_whole_networks() {
        let text = "public_addr: a.b:1\nproxy_protocol_from: [10.1.0.0/24, \"2001:db8::/64\"]\n";
        assert_eq!(parse("t", text).unwrap().proxies.len(), 2);
        for bad in ["[10.1.0.9/24]", "[10.1.0.0]", "[x/3]", "10.1.0.0/24"] {
            let text = format!("public_addr: a.b:1\nproxy_protocol_from: {bad}\n");
            assert!(problems(&text).contains("t.yaml:2: `proxy_protocol_from` must be"), "{bad}");
        }
    }

    #[test]
    fn an_origin_elsewhere_is_refused() {
        let text = "public_addr: gate.example.com:443\nwebauthn:\n  origins: [\"https://evilgate.example.com\"]\n";
        assert!(problems(text).contains("t.yaml:3: origin https://evilgate.example.com is not"));
    }

    #[test]
    fn a_pin_is_parsed_or_pointed_at() {
        let pin = "ab".repeat(32);
        let good = format!("public_addr: a.b:1\nfirst_admins: [\"sha256:{pin}\"]\n");
        assert_eq!(parse("t", &good).unwrap().first_admins.len(), 1);
        assert!(problems("public_addr: a.b:1\nfirst_admins: [x]\n").contains("t.yaml:2: `first_admins`"));
    }

    /// Every key of an object of the schema.
    fn properties(schema: &Value) -> Vec<String> {
        let properties = schema["properties"].as_mapping().unwrap();
        let mut names: Vec<String> = properties.keys().map(|key| key.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_schema_has_every_key_and_no_other() {
        // JSON is YAML.
        let schema: Value = serde_norway::from_str(include_str!("../schema.json")).unwrap();
        let sorted = |keys: &[&str]| {
            let mut keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
            keys.sort();
            keys
        };
        assert_eq!(properties(&schema), sorted(KEYS));
        assert_eq!(properties(&schema["properties"]["webauthn"]), sorted(&["rp_id", "origins"]));
        assert_eq!(properties(&schema["properties"]["tls"]), sorted(&["certificate", "key"]));
        assert_eq!(
            properties(&schema["properties"]["audit"]),
            sorted(&["witness", "when_full", "stdout", "file_size", "keep_age", "keep_size"])
        );
        assert_eq!(properties(&schema["properties"]["recordings_keep"]), sorted(&["age", "size"]));
        assert_eq!(properties(&schema["properties"]["drain"]), sorted(&["stop", "hand_over"]));
        let acme = sorted(&["directory", "contact", "names", "trust", "http_listen"]);
        assert_eq!(properties(&schema["properties"]["acme"]), acme);
    }

    #[test]
    fn everything_in_the_example_is_good_once_its_comments_are_taken_away() {
        let example = include_str!("../example.yaml");
        let told: Vec<String> =
            KEYS.iter().filter(|key| !example.contains(&format!("{key}:"))).map(|&k| k.to_owned()).collect();
        assert!(told.is_empty(), "the example does not show {told:?}");
        // Of a key that is shown in several ways the first one stands.
        let mut seen = std::collections::HashSet::new();
        let mut text = String::new();
        for line in example.lines() {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let key = bare.split(':').next().unwrap_or_default();
            let is_key = KEYS.contains(&key) && (bare == format!("{key}:") || bare.contains(&format!("{key}: ")));
            let belongs = bare.starts_with("  ") && !bare.trim().is_empty();
            if (is_key && seen.insert(key.to_owned())) || belongs {
                text.push_str(bare);
                text.push('\n');
            }
        }
        // The two ways to a certificate are shown, of which a gate has one.
        let both = "`acme` and `tls` both give browsers a certificate (remove one of them)";
        assert!(problems(&text).ends_with(both), "{text}\n{}", problems(&text));
        let (before, rest) = text.split_once("\ntls:").unwrap();
        let without = rest.lines().skip(1).skip_while(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n");
        assert_eq!(problems(&format!("{before}\n{without}\n")), "no problem", "{text}");
        assert_eq!(seen.len(), KEYS.len());
    }
}
