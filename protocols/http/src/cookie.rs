//! The cookies of an application's host: the session's, its device's, and the one by which a browser proves that it began.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use tapgate_model::Digest;

/// The session's. The prefix makes browsers refuse it without `Secure`, with a domain, or for a part of the site, so
/// that no other application can set it.
pub(crate) const SESSION: &str = "__Host-tapgate-app";

/// What a browser got when it was sent to the tap page.
pub(crate) const BEGUN: &str = "__Host-tapgate-begun";

/// What only the device can get that the session is tied to.
pub(crate) const DEVICE: &str = "__Host-tapgate-device";

/// How the names of all of them begin, in whatever spelling.
const OURS: &[u8] = b"__host-tapgate";

/// Without an age it goes with the browser. `Lax`, because the tap page at its own origin leads back here.
pub(crate) const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// A cookie's value: 256 random bits.
pub(crate) fn fresh() -> Option<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret in its place.
pub(crate) fn hash(secret: &str) -> Digest {
    let mut out = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    out.copy_from_slice(digest.as_ref());
    Digest::from_bytes(out)
}

/// The cookie of this name. Two of one name are none: nobody could say which is ours.
pub(crate) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = pairs(headers).filter(|(key, _)| *key == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// The cookies that are the application's own, as one line; `Err` where none of the gate's was among them, so that
/// nothing has to change.
pub(crate) fn without_ours(headers: &HeaderMap) -> Result<Option<HeaderValue>, ()> {
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let parts = || lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    if !parts().any(is_ours) {
        return Err(());
    }
    let kept: Vec<&[u8]> = parts().filter(|part| !part.is_empty() && !is_ours(part)).collect();
    Ok(if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok() })
}

/// Whether a pair, of a request or of an answer, has a name that is the gate's. Browsers tell the prefix in any
/// spelling of its letters.
pub(crate) fn is_ours(pair: &[u8]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// The header that sets it.
pub(crate) fn set(name: &str, value: &str) -> String {
    format!("{name}={value}; {ATTRIBUTES}")
}

/// The header that sets it for a while.
pub(crate) fn set_for(name: &str, value: &str, age: std::time::Duration) -> String {
    format!("{name}={value}; {ATTRIBUTES}; Max-Age={}", age.as_secs())
}

/// The header that takes it away.
pub(crate) fn clear(name: &str) -> String {
    format!("{name}=; {ATTRIBUTES}; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn one_cookie_of_our_name_is_ours() {
        assert_eq!(find(&headers(&["a=b; __Host-tapgate-app=x; c=d"]), SESSION), Some("x"));
        assert_eq!(find(&headers(&["a=b", "__Host-tapgate-app=x"]), SESSION), Some("x"));
        for none in [&[][..], &["a=b"], &["__Host-tapgate-app"], &["__Host-tapgate-app=x; __Host-tapgate-app=y"]] {
            assert_eq!(find(&headers(none), SESSION), None, "{none:?}");
        }
    }

    #[test]
    fn the_application_never_sees_ours() {
        let rest =
            |lines: &[&str]| without_ours(&headers(lines)).map(|line| line.map(|l| l.to_str().unwrap().to_owned()));
        assert_eq!(rest(&["a=b; __Host-tapgate-app=x; c=d"]), Ok(Some("a=b; c=d".to_owned())));
        assert_eq!(rest(&["__Host-tapgate-begun=y", "__host-Tapgate-app=x"]), Ok(None));
        assert_eq!(rest(&["a=b", "c=d"]), Err(()));
    }
}
