//! Moments as resources write them: RFC 3339, such as `2026-11-20T13:12:00Z`.

use tapgate_model::UnixTime;

/// Reads a moment after 1970, with `Z` or an offset. A fraction of a second is cut off.
pub fn timestamp(text: &str) -> Result<UnixTime, String> {
    read(text)
        .map(UnixTime::from_secs)
        .ok_or_else(|| format!("`{text}` is not a time (use the form 2026-11-20T13:12:00Z)"))
}

fn read(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(rest.get(..8)?, ':', [2, 2, 2])?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before_year(year)? + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1;
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    zone(without_fraction(rest.get(8..)?)?, local)
}

/// Numbers of a fixed width.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn without_fraction(text: &str) -> Option<&str> {
    let Some(fraction) = text.strip_prefix('.') else { return Some(text) };
    let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < fraction.len()).then_some(after)
}

/// Takes the offset of local time away.
fn zone(text: &str, local: u64) -> Option<u64> {
    if matches!(text, "Z" | "z") {
        return Some(local);
    }
    let [hours, minutes] = numbers(text.get(1..)?, ':', [2, 2])?;
    let offset = (hours <= 23 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?;
    match text.as_bytes().first()? {
        b'+' => local.checked_sub(offset),
        b'-' => Some(local + offset),
        _ => None,
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_before_year(year: u64) -> Option<u64> {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let past = year.checked_sub(1)?;
    Some((year - 1970) * 365 + leaps(past) - leaps(1969))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_writes_is_read_back() {
        for secs in [0, 951_782_400, 1_795_180_333, 4_107_542_399, 4_107_542_400, 253_402_300_799] {
            let time = UnixTime::from_secs(secs);
            assert_eq!(timestamp(&time.to_string()), Ok(time));
        }
    }

    #[test]
    fn offsets_and_fractions() {
        let same = timestamp("2026-11-20T13:12:00Z");
        for text in ["2026-11-20T14:12:00+01:00", "2026-11-20T12:42:00-00:30", "2026-11-20t13:12:00.999z"] {
            assert_eq!(timestamp(text), same, "{text}");
        }
        for bad in [
            "",
            "2026-11-20",
            "2026-11-20T13:12Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "2026-11-20T13:12:00",
            "2026-11-20T13:12:00.Z",
            "2026-11-20T13:12:00+1:00",
            "2026-11-20T13:12:00é01:00",
        ] {
            assert!(timestamp(bad).is_err(), "{bad}");
        }
    }
}
