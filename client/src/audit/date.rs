//! A date on the command line: `2026-11-01`, or `2026-11-01T10:00:00Z`.

use tapgate_model::UnixTime;

use crate::error::{Failure, Result};

/// The moment that a text names, in UTC.
pub fn parse(text: &str) -> Result<UnixTime> {
    let wrong = || Failure::new(format!("{text:?} is no date")).advise("use 2026-11-01 or 2026-11-01T10:00:00Z");
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let parts = |text: &str, by: char| -> Option<[u64; 3]> {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let parts: Option<Vec<u64>> = text.split(by).map(digits).collect();
        parts?.try_into().ok()
    };
    let [year, month, day] = parts(date, '-').ok_or_else(wrong)?;
    let [hour, minute, second] = time.strip_suffix('Z').and_then(|time| parts(time, ':')).ok_or_else(wrong)?;
    let clock = hour < 24 && minute < 60 && second < 60;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || !clock {
        return Err(wrong());
    }
    let moment = UnixTime::from_secs(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second);
    // A day that the month does not have becomes one of the next.
    if moment.to_string().starts_with(date) { Ok(moment) } else { Err(wrong()) }
}

/// Days since 1970-01-01, counted in years that begin in March.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_others_refused() {
        for text in ["1970-01-01", "2000-02-29", "2026-11-01", "2026-12-31T23:59:59Z", "1999-03-01"] {
            let full = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
            assert_eq!(parse(text).unwrap().to_string(), full);
        }
        for text in
            ["", "2026", "2026-13-01", "2026-02-30", "2026-1-1", "2026-11-01T10:00", "2026-11-01T24:00:00Z", "-1-1-1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
