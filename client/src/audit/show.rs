//! A record as one line for people, and which records somebody wants to see.

use serde_json::Value;
use tapgate_model::UnixTime;

/// Which records are wanted; without any of these, all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By this user, or about them.
    pub user: Option<String>,
    /// With this name; `session` also means `session.start` and all that begin so.
    pub event: Option<String>,
    /// Of this session.
    pub session: Option<String>,
    /// From this moment on.
    pub from: Option<UnixTime>,
    /// Before this moment.
    pub to: Option<UnixTime>,
}

impl Filter {
    /// Whether a record is wanted.
    pub fn admits(&self, record: &Value) -> bool {
        let is = |field: &str, wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| record[field] == wanted);
        let name = record["event"].as_str().unwrap_or_default();
        let named = self
            .event
            .as_deref()
            .is_none_or(|wanted| name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')));
        let time = record["time"].as_u64().map(UnixTime::from_secs);
        named
            && is("user", &self.user)
            && is("session", &self.session)
            && self.from.is_none_or(|from| time.is_some_and(|time| time >= from))
            && self.to.is_none_or(|to| time.is_some_and(|time| time < to))
    }
}

/// The cells of a record's line: number, time, event, user, and what it is about.
pub fn row(record: &Value) -> Vec<String> {
    let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let time = record["time"].as_u64().map(|secs| UnixTime::from_secs(secs).to_string()).unwrap_or_default();
    let number = record["seq"].as_u64().map(|seq| seq.to_string()).unwrap_or_default();
    vec![number, time, text("event"), text("user"), about(record)]
}

/// What a record is about, as far as one line tells.
fn about(record: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut push = |field: &str, before: &str| {
        let value = &record[field];
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()));
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            words.push(format!("{before}{text}"));
        }
    };
    push("kind", "");
    push("target", "");
    push("login", "as ");
    push("protocol", "over ");
    push("command", "$ ");
    push("operation", "");
    push("path", "");
    push("text", "");
    push("name", "");
    push("what", "");
    push("purpose", "for ");
    push("outcome", "-> ");
    push("method", "by ");
    push("reason", "-> ");
    push("peer", "from ");
    if record["tap"]["method"].is_string() {
        words.push(format!("tap: {}", record["tap"]["method"].as_str().unwrap_or_default()));
    }
    words.join(" ")
}

/// A number with a comma at each thousand.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_403, "12,403"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn records_are_chosen_and_told_in_a_line() {
        let record = serde_json::json!({"seq": 3, "time": 1_795_180_333_u64, "event": "session.start", "user": "ann",
            "kind": "node", "target": "prod3", "login": "root", "session": "s", "tap": {"method": "webauthn"}});
        assert_eq!(row(&record).join("|"), "3|2026-11-20T13:12:13Z|session.start|ann|node prod3 as root tap: webauthn");
        let some = |text: &str| Some(text.to_owned());
        for (filter, admits) in [
            (Filter::default(), true),
            (Filter { event: some("session"), ..Filter::default() }, true),
            (Filter { event: some("sess"), ..Filter::default() }, false),
            (Filter { user: some("bob"), ..Filter::default() }, false),
            (Filter { session: some("s"), user: some("ann"), ..Filter::default() }, true),
            (Filter { from: Some(UnixTime::from_secs(1_795_180_334)), ..Filter::default() }, false),
            (Filter { to: Some(UnixTime::from_secs(1_795_180_334)), ..Filter::default() }, true),
        ] {
            assert_eq!(filter.admits(&record), admits, "{filter:?}");
        }
    }
}
