//! Removes recordings that are kept no longer: by age, and by the room that all of them take. Never a live one.

use std::io;
use std::time::{Duration, SystemTime};

use tapgate_model::SessionId;

use crate::limits::PRUNED_MAX;
use crate::{Kept, Shelf};

/// How long recordings are kept; without a rule, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// What was last written to longer ago goes.
    pub age: Option<Duration>,
    /// The oldest go until all of them together are no larger than this.
    pub size: Option<u64>,
}

/// Removes what is kept no longer, the oldest first; `tell` hears of each before it goes, and why. Answers how many
/// have gone.
pub fn prune(
    shelf: &dyn Shelf,
    keep: &Keep,
    now: SystemTime,
    is_live: impl Fn(SessionId) -> bool,
    mut tell: impl FnMut(SessionId, &str),
) -> io::Result<usize> {
    if *keep == Keep::default() {
        return Ok(0);
    }
    let mut all = shelf.all()?;
    all.sort_unstable_by_key(|kept| (kept.changed, kept.begun, kept.session));
    let mut left: u64 = all.iter().map(|kept| kept.size).sum();
    let mut gone = 0;
    for kept in all {
        let Some(why) = reason(keep, &kept, now, left).filter(|_| !is_live(kept.session)) else { continue };
        if gone == PRUNED_MAX {
            break;
        }
        tell(kept.session, &why);
        shelf.remove(kept.session)?;
        left = left.saturating_sub(kept.size);
        gone += 1;
    }
    Ok(gone)
}

/// Why this one goes, if it does, where so many bytes are left.
fn reason(keep: &Keep, kept: &Kept, now: SystemTime, left: u64) -> Option<String> {
    let age = now.duration_since(kept.changed).unwrap_or_default();
    if let Some(most) = keep.age.filter(|most| age > *most) {
        return Some(format!("it is older than {} s", most.as_secs()));
    }
    let most = keep.size.filter(|most| left > *most)?;
    Some(format!("the recordings are larger than {most} bytes together"))
}
