//! What the gate says of itself, and what the client makes of it: is it new enough, and do the clocks agree?

use std::sync::Once;
use std::time::Duration;

use tapgate_api::{Find, path};
use tapgate_model::{Clock as _, SystemClock, UnixTime, Version};

use crate::error::{Failure, Result};
use crate::http::Http;
use crate::limits::CLOCK_TELL;

/// Asks the gate, and refuses to go on where it takes newer clients alone.
pub async fn find(http: &Http) -> Result<Find> {
    let find: Find = http.get(path::FIND, &[]).await?;
    new_enough(&find.min_client_version, env!("CARGO_PKG_VERSION"))?;
    if let Some(words) = find.time.and_then(|gate| skew(UnixTime::from_secs(gate), SystemClock.now())) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| eprintln!("WARNING: {words}"));
    }
    Ok(find)
}

/// A version that can't be read stands in nobody's way.
fn new_enough(least: &str, own: &str) -> Result<()> {
    match (least.parse::<Version>(), own.parse::<Version>()) {
        (Ok(least), Ok(own)) if own < least => {
            Err(Failure::new(format!("this client is {own}, and the gate takes {least} and later"))
                .advise("install a newer tap, from where this one came"))
        }
        _ => Ok(()),
    }
}

/// What is said where the clocks differ by more than certificates allow for.
pub fn skew(gate: UnixTime, own: UnixTime) -> Option<String> {
    let (by, which) = if own > gate { (own.since(gate), "ahead of") } else { (gate.since(own), "behind") };
    (by > CLOCK_TELL).then(|| {
        format!(
            "this machine's clock is {} {which} the gate's, so that taps and certificates may count as over, or as of \
             the future (set it right; `timedatectl` tells whether it is synchronised)",
            span(by)
        )
    })
}

fn span(by: Duration) -> String {
    match by.as_secs() {
        seconds @ 0..=119 => format!("{seconds} seconds"),
        seconds @ 120..=7199 => format!("{} minutes", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told() {
        let at = UnixTime::from_secs;
        let said = |own: u64| skew(at(1_000_000), at(own)).unwrap_or_default();
        assert_eq!(said(1_000_030), "");
        assert_eq!(said(999_970), "");
        assert!(said(1_000_031).starts_with("this machine's clock is 31 seconds ahead of the gate's"));
        assert!(said(999_000).starts_with("this machine's clock is 16 minutes behind the gate's"));
        assert!(said(0).starts_with("this machine's clock is 11 days behind"));
        assert!(said(1_010_000).starts_with("this machine's clock is 2 hours ahead of"));
    }

    #[test]
    fn an_old_client_is_told_what_to_do() {
        assert_eq!(new_enough("0.1.0", "0.1.0"), Ok(()));
        assert_eq!(new_enough("some day", "0.1.0"), Ok(()));
        assert_eq!(
            new_enough("0.2.0", "0.1.9").unwrap_err().to_string(),
            "this client is 0.1.9, and the gate takes 0.2.0 and later (install a newer tap, from where this one came)"
        );
    }
}
