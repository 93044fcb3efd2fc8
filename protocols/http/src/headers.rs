//! Headers on the way: what a client may not say to an application, and what the gate says in its place.

use http::{HeaderName, header};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::cookie;
use crate::session::AppSession;

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

/// What the gate says of a request.
pub(crate) struct Said<'a> {
    /// The signed identity.
    pub(crate) token: &'a str,
    pub(crate) roles: Option<&'a str>,
    /// From where the client connected.
    pub(crate) peer: String,
    /// The host that the application shall believe to be asked, and its port.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The path before the application's own, where the client asked.
    pub(crate) session: &'a AppSession,
}

/// Whether a header is one of those that only the gate may send. Servers that make variables of headers take `-` and
/// `_` for the same.
fn is_the_gates(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    name.starts_with("tapgate-") || ORIGINS.contains(&name.as_str())
}

/// Makes a client's request one that the application may get.
pub(crate) fn rewrite(request: &mut RequestHeader, said: &Said<'_>) -> pingora::Result<()> {
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
    let user = said.session.user().as_str();
    request.insert_header(header::HOST, said.host)?;
    request.insert_header("x-forwarded-for", &said.peer)?;
    request.insert_header("x-forwarded-host", said.host)?;
    request.insert_header("x-forwarded-port", said.port.to_string())?;
    request.insert_header("x-forwarded-proto", "https")?;
    request.insert_header("tapgate-user", user)?;
    request.insert_header("tapgate-jwt", said.token)?;
    if let Some(roles) = said.roles {
        request.insert_header("tapgate-roles", roles)?;
    }
    for (name, value) in &said.session.app.rewrite.headers {
        let value = value.replace("{{internal.jwt}}", said.token).replace("{{internal.user}}", user);
        request.insert_header(name.clone(), value)?;
    }
    Ok(())
}

/// Makes an application's answer one that the client may get: redirects to hosts that only the gate can reach lead
/// back here, and the gate's own cookies are its own.
pub(crate) fn answer(response: &mut ResponseHeader, redirect: &[String], public: &str) -> pingora::Result<()> {
    let cookies: Vec<_> = response.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    if cookies.iter().any(|line| cookie::is_ours(line.as_bytes())) {
        response.remove_header(&header::SET_COOKIE);
        for line in cookies.into_iter().filter(|line| !cookie::is_ours(line.as_bytes())) {
            response.append_header(header::SET_COOKIE, line)?;
        }
    }
    // It would lead browsers around the gate, or in vain.
    response.remove_header(&header::ALT_SVC);
    let location = response.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(to) = location.and_then(|location| moved(location, redirect, public)) {
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
