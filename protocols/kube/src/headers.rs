//! The headers of a request on its way to the API server: what the client may not say is taken out, and who it is
//! there is put in.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tapgate_model::Login;

use crate::status::Refused;

/// Whom to be (Kubernetes, "User impersonation").
const USER: HeaderName = HeaderName::from_static("impersonate-user");
/// With which groups, one header for each.
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// What hops between two peers and no further (RFC 9110 section 7.6.1); `upgrade` is looked at apart.
const HOP: [&str; 6] = ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"];

/// Whom a client asks to be with `--as` and `--as-group`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) user: Option<String>,
    pub(crate) groups: Vec<String>,
}

/// Reads whom the client asks to be. Uid and extra fields are nobody's to choose.
pub(crate) fn wanted(headers: &HeaderMap) -> Result<Wanted, Refused> {
    let mut wanted = Wanted::default();
    for (name, value) in headers {
        if !name.as_str().starts_with("impersonate-") {
            continue;
        }
        let value = value.to_str().map_err(|_| Refused::bad("an Impersonate header is not plain text"))?.to_owned();
        if name == USER && wanted.user.is_none() {
            wanted.user = Some(value);
        } else if name == GROUP {
            wanted.groups.push(value);
        } else {
            return Err(Refused::forbidden(format!("the header {name} is not allowed here (use --as and --as-group)")));
        }
    }
    wanted.groups.sort_unstable();
    wanted.groups.dedup();
    Ok(wanted)
}

/// Takes out what the API server must not believe from a client, and what goes no further than the gate. Headers that
/// `Connection` nominates go too, but for `upgrade`.
pub(crate) fn clean(headers: &mut HeaderMap, upgrade: bool) {
    let nominated: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let forged = |name: &str| {
        ["impersonate-", "x-remote-", "x-forwarded-", "x-original-", "x-kubernetes-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || matches!(name, "authorization" | "cookie" | "forwarded" | "x-real-ip" | "host")
    };
    let out: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            let hops = HOP.contains(&name) || (nominated.iter().any(|n| n == name) && name != "upgrade");
            forged(name) || hops || (!upgrade && matches!(name, "connection" | "upgrade"))
        })
        .cloned()
        .collect();
    for name in out {
        headers.remove(name);
    }
    if upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// Says who the client is at the API server.
pub(crate) fn impersonate(headers: &mut HeaderMap, login: &Login) -> Result<(), Refused> {
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| Refused::forbidden(format!("{text:?} can't be a Kubernetes name")))
    };
    let Login::Kube { user, groups } = login else {
        return Err(Refused::forbidden("this login is not a Kubernetes user"));
    };
    headers.insert(USER, value(user)?);
    for group in groups.iter() {
        headers.append(GROUP, value(group)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap_or(header::VIA);
            map.append(name, HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("")));
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_a_client_may_not_say() {
        let mut headers = map(&[
            ("Authorization", "Bearer x"),
            ("Impersonate-User", "root"),
            ("Impersonate-Extra-Scopes", "x"),
            ("X-Remote-User", "root"),
            ("X-Forwarded-For", "1.1.1.1"),
            ("Connection", "close, X-Secret, Accept"),
            ("X-Secret", "1"),
            ("Accept", "*/*"),
            ("Te", "trailers"),
            ("User-Agent", "kubectl"),
        ]);
        clean(&mut headers, false);
        assert_eq!(names(&headers), ["user-agent"]);
    }

    #[test]
    fn an_upgrade_stays_one() {
        let mut headers = map(&[("Connection", "Upgrade, X-Gone"), ("Upgrade", "SPDY/3.1"), ("X-Gone", "1")]);
        clean(&mut headers, true);
        assert_eq!(names(&headers), ["connection", "upgrade"]);
        assert_eq!(headers.get("connection").map(HeaderValue::as_bytes), Some(&b"Upgrade"[..]));
    }

    #[test]
    fn whom_a_client_asks_to_be() {
        let headers = map(&[("Impersonate-User", "dev"), ("Impersonate-Group", "b"), ("Impersonate-Group", "a")]);
        let both = Wanted { user: Some("dev".to_owned()), groups: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(wanted(&headers), Ok(both));
        assert!(wanted(&map(&[("Impersonate-Uid", "0")])).is_err());
        assert!(wanted(&map(&[("Impersonate-User", "a"), ("Impersonate-User", "b")])).is_err());
    }
}
