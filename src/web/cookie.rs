//! The cookie of a web session: a secret that scripts can't read and other sites can't send.

use axum::http::{HeaderMap, HeaderValue, header};

/// Its name. The prefix makes browsers refuse it without `Secure`, with a domain, or for a part of the site.
const NAME: &str = "__Host-tapgate";

/// What keeps it here. `Strict` is enough: every page is one file for everybody, and what it asks for, it asks from
/// its own origin, also where another site has led to it. Without an age it goes with the browser.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// The cookie that came with a request. Two of one name are none: nobody could say which is ours.
pub(super) fn of(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned());
    values.next().filter(|_| values.next().is_none())
}

/// The header that sets it.
pub(super) fn set(value: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{NAME}={value}; {ATTRIBUTES}")).ok()
}

/// The header that takes it away.
pub(super) fn clear() -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{NAME}=; {ATTRIBUTES}; Max-Age=0")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        of(&headers)
    }

    #[test]
    fn one_cookie_of_our_name_is_ours() {
        assert_eq!(found(&["a=b; __Host-tapgate=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(found(&["a=b", "__Host-tapgate=x"]).as_deref(), Some("x"));
        for none in [&[][..], &["tapgate=x"], &["__Host-tapgate"], &["__Host-tapgate=x; __Host-tapgate=y"]] {
            assert_eq!(found(none), None, "{none:?}");
        }
    }

    #[test]
    fn it_goes_to_this_host_over_tls_alone() {
        let text = set("x").unwrap();
        assert_eq!(text, "__Host-tapgate=x; Path=/; Secure; HttpOnly; SameSite=Strict");
    }
}
