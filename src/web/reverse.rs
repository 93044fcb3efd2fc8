//! The name that an address says it has: shown beside it, never relied upon, and never waited for.

use std::net::IpAddr;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{REVERSE_AT_ONCE_MAX, REVERSE_MAX};

/// How many are asked for now. One that hangs keeps its place until the resolver gives up.
static ASKING: Semaphore = Semaphore::const_new(REVERSE_AT_ONCE_MAX);

/// The address's name, where one is known in time. Whoever has the address chooses the name.
pub(super) async fn name_of(address: IpAddr) -> Option<String> {
    let place = ASKING.try_acquire().ok()?;
    let asked = tokio::task::spawn_blocking(move || {
        let name = dns_lookup::lookup_addr(&address).ok();
        drop(place);
        name
    });
    let name = timeout(REVERSE_MAX, asked).await.ok()?.ok()??;
    readable(&name, address)
}

/// The name, if it is a host's and says more than the address.
fn readable(name: &str, address: IpAddr) -> Option<String> {
    let name = name.trim_end_matches('.');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let fits = (1..=253).contains(&name.len()) && name.chars().all(plain);
    (fits && name != address.to_string()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_may_show() {
        let address = IpAddr::from([192, 0, 2, 7]);
        for good in ["laptop.example", "host-7.corp.example", "_x.example"] {
            assert_eq!(readable(&format!("{good}."), address).as_deref(), Some(good));
        }
        let long = "a".repeat(254);
        for bad in ["", "192.0.2.7", "a b", "evil\u{202e}example", "a\nb", "<b>x</b>", "caf\u{e9}.example", &long] {
            assert_eq!(readable(bad, address), None, "{bad:?}");
        }
    }
}
