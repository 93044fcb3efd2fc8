//! Durations as resources write them: `30m`, `1h30m`, `12h0m0s`.

use std::time::Duration;

/// Reads a duration of hours, minutes and whole seconds, each unit once and in this order.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration (use hours, minutes and seconds, such as 12h, 30m or 1h30m)");
    let (mut rest, mut total, mut seen) = (text, 0_u64, false);
    for (unit, secs) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((digits, after)) = rest.split_once(unit) else { continue };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let part = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(secs)).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        (rest, seen) = (after, true);
    }
    if seen && rest.is_empty() || text == "0" { Ok(Duration::from_secs(total)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let secs = |text| duration(text).map(|d| d.as_secs()).ok();
        for (text, want) in [("30m", 1800), ("1h30m", 5400), ("12h", 43_200), ("12h0m0s", 43_200), ("0s", 0), ("0", 0)]
        {
            assert_eq!(secs(text), Some(want), "{text}");
        }
        for bad in ["", "h", "30", "1.5h", "-1h", "+1h", "30ms", "1d", "30m1h", "1h 30m", "1h1h", "99999999999999999h"]
        {
            assert_eq!(secs(bad), None, "{bad}");
        }
    }
}
