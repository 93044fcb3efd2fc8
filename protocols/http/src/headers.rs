//! Headers on the way: what a client may not say to an application, and what the gate says in its place.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::cookie;

/// How the names of the gate's own headers begin.
const OWN: &str = "tapgate-";

/// What says where a request comes from; only the gate knows, and says it.
const ORIGINS: [&str; 14] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-user",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-rewrite-url",
];

/// What the gate says in every request of a session; made once, and again with each identity that is signed.
#[derive(Debug)]
pub(crate) struct Said(Vec<(Bytes, HeaderValue)>);

/// Of what that is made.
pub(crate) struct Facts<'a> {
    /// The signed identity.
    pub(crate) token: &'a str,
    pub(crate) user: &'a str,
    /// The host that the application shall believe to be asked, and its port.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// What its resource adds or replaces.
    pub(crate) rewrites: &'a [(String, String)],
}

impl Said {
    /// `None`: something is no header's value.
    pub(crate) fn new(facts: &Facts<'_>) -> Option<Self> {
        let port = facts.port.to_string();
        let own = [
            ("host", facts.host),
            ("x-forwarded-host", facts.host),
            ("x-forwarded-port", &port),
            ("x-forwarded-proto", "https"),
            ("tapgate-user", facts.user),
            ("tapgate-jwt", facts.token),
        ];
        let own = own.map(|(name, value)| Some((Bytes::from_static(name.as_bytes()), value.parse().ok()?)));
        let theirs = facts.rewrites.iter().map(|(name, value)| {
            let value = value.replace("{{internal.jwt}}", facts.token).replace("{{internal.user}}", facts.user);
            Some((Bytes::copy_from_slice(name.as_bytes()), HeaderValue::try_from(value).ok()?))
        });
        own.into_iter().chain(theirs).collect::<Option<_>>().map(Self)
    }
}

/// Whether a header is one of those that only the gate may send. Servers that make variables of headers take `-` and
/// `_` for the same.
fn is_the_gates(name: &HeaderName) -> bool {
    let said = name.as_str().bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    let is = |known: &str| name.as_str().len() == known.len() && said.clone().eq(known.bytes());
    said.clone().take(OWN.len()).eq(OWN.bytes()) || ORIGINS.iter().any(|known| is(known))
}

/// Makes a client's request one that the application may get: from this address, and in these roles where it wants
/// to know them.
pub(crate) fn rewrite(
    request: &mut RequestHeader,
    said: &Said,
    peer: IpAddr,
    roles: Option<&str>,
) -> pingora::Result<()> {
    let theirs: Vec<HeaderName> = request.headers.keys().filter(|name| is_the_gates(name)).cloned().collect();
    for name in theirs {
        request.remove_header(&name);
    }
    if let Ok(rest) = cookie::without_ours(&request.headers) {
        request.remove_header(&header::COOKIE);
        if let Some(rest) = rest {
            request.insert_header(header::COOKIE, rest)?;
        }
    }
    request.insert_header("x-forwarded-for", peer.to_string())?;
    if let Some(roles) = roles {
        request.insert_header("tapgate-roles", roles)?;
    }
    for (name, value) in &said.0 {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// Makes an application's answer one that the client may get: redirects to hosts that only the gate can reach lead
/// back here, to what `public` says, and the gate's own cookies are its own.
pub(crate) fn answer(
    response: &mut ResponseHeader,
    redirect: &[String],
    public: impl FnOnce() -> Option<String>,
) -> pingora::Result<()> {
    let cookies: Vec<_> = response.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    if cookies.iter().any(|line| cookie::is_ours(line.as_bytes())) {
        response.remove_header(&header::SET_COOKIE);
        for line in cookies.into_iter().filter(|line| !cookie::is_ours(line.as_bytes())) {
            response.append_header(header::SET_COOKIE, line)?;
        }
    }
    // It would lead browsers around the gate, or in vain.
    response.remove_header(&header::ALT_SVC);
    let location = response.headers.get(header::LOCATION).filter(|_| !redirect.is_empty());
    let location = location.and_then(|value| value.to_str().ok());
    if let Some(to) = location.and_then(|location| moved(location, redirect, &public()?)) {
        response.insert_header(header::LOCATION, to)?;
    }
    Ok(())
}

/// The same place under the application's public name, where this location's host is among those.
fn moved(location: &str, redirect: &[String], public: &str) -> Option<String> {
    let url = url::Url::parse(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?.to_ascii_lowercase();
    let host = host.trim_matches(['[', ']']);
    redirect.iter().any(|known| known == host).then(|| {
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let fragment = url.fragment().map_or_else(String::new, |fragment| format!("#{fragment}"));
        format!("https://{public}{}{query}{fragment}", url.path())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_alone_may_say() {
        let is = |name: &'static str| is_the_gates(&HeaderName::from_static(name));
        for forged in ["tapgate-user", "tapgate_user", "tapgate-jwt", "x-forwarded-for", "x_forwarded_for", "forwarded"]
        {
            assert!(is(forged), "{forged}");
        }
        for free in ["authorization", "x-user", "accept", "tap"] {
            assert!(!is(free), "{free}");
        }
    }

    #[test]
    fn redirects_of_named_hosts_lead_back() {
        let known = ["internal.example".to_owned(), "10.0.0.5".to_owned(), "::1".to_owned()];
        let check = |location: &str, to: Option<&str>| {
            assert_eq!(moved(location, &known, "app.example:3080").as_deref(), to, "{location}");
        };
        check("http://internal.example:8080/a?b=c#d", Some("https://app.example:3080/a?b=c#d"));
        check("https://INTERNAL.example/", Some("https://app.example:3080/"));
        check("http://10.0.0.5", Some("https://app.example:3080/"));
        check("http://[::1]:3000/x", Some("https://app.example:3080/x"));
        for own in ["/a", "//internal.example/a", "https://elsewhere.example/", "ftp://internal.example/"] {
            check(own, None);
        }
    }
}
