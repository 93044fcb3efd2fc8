//! What a request asks of the API server, read as the API server itself reads it.
//!
//! The rules are those of `RequestInfoFactory.NewRequestInfo` in Kubernetes (package `apiserver`, `endpoints/request`).

/// What a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or the method in lower case
    /// for what is no resource.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The namespace; empty where the resource has none.
    pub namespace: String,
    /// The resource, in the plural; empty for what is no resource, such as `/version`.
    pub resource: String,
    /// The subresource, such as `exec`; empty where there is none.
    pub subresource: String,
    /// The object's name; empty for a collection.
    pub name: String,
}

/// The subresources of a namespace itself, which do not lie within it.
const OF_A_NAMESPACE: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Reads a request to the API server: its method, its path (plain, beginning with a slash) and its query.
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Self {
        let mut info = Self::none(method);
        // Decoded as the API server decodes them; what would divide or climb was refused before.
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(segment).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let rest = match parts.as_slice() {
            ["api", version, rest @ ..] => {
                (*version).clone_into(&mut info.version);
                rest
            }
            ["apis", group, version, rest @ ..] => {
                (*group).clone_into(&mut info.group);
                (*version).clone_into(&mut info.version);
                rest
            }
            _ => return info,
        };
        let Some((first, after)) = rest.split_first() else { return info };
        let query = Query(query.unwrap_or_default());
        let (verb, rest) = match *first {
            special @ ("watch" | "proxy") => (special.to_owned(), after),
            _ => (verb_of(method), rest),
        };
        info.verb = verb;
        info.place(rest);
        if info.resource.is_empty() {
            return Self { version: info.version, group: info.group, ..Self::none(method) };
        }
        info.refine(&query);
        info
    }

    fn none(method: &str) -> Self {
        Self {
            verb: method.to_ascii_lowercase(),
            group: String::new(),
            version: String::new(),
            namespace: String::new(),
            resource: String::new(),
            subresource: String::new(),
            name: String::new(),
        }
    }

    /// Namespace, resource, name and subresource.
    fn place(&mut self, parts: &[&str]) {
        let parts = match parts {
            ["namespaces", namespace, rest @ ..] => {
                (*namespace).clone_into(&mut self.namespace);
                let within = rest.first().is_some_and(|first| !OF_A_NAMESPACE.contains(first));
                if within { rest } else { parts }
            }
            _ => parts,
        };
        let mut parts = parts.iter().map(|part| (*part).to_owned());
        self.resource = parts.next().unwrap_or_default();
        self.name = parts.next().unwrap_or_default();
        self.subresource = parts.next().unwrap_or_default();
    }

    /// What the query makes of it: a watch, one name, a whole collection.
    fn refine(&mut self, query: &Query<'_>) {
        if self.name.is_empty() && self.verb == "get" {
            "list".clone_into(&mut self.verb);
        }
        if matches!(self.verb.as_str(), "list" | "watch" | "deletecollection") && self.name.is_empty() {
            self.name = query.field_name().unwrap_or_default();
        }
        if self.verb == "list" && query.watches() {
            "watch".clone_into(&mut self.verb);
        }
        if self.verb == "delete" && self.name.is_empty() {
            "deletecollection".clone_into(&mut self.verb);
        }
    }

    /// Whether it is about a resource, and not about the API itself.
    pub const fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }
}

/// The resource as a role and the audit log name it: `pods/exec`.
impl std::fmt::Display for RequestInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.resource)?;
        if self.subresource.is_empty() { Ok(()) } else { write!(f, "/{}", self.subresource) }
    }
}

fn verb_of(method: &str) -> String {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        other => return other.to_ascii_lowercase(),
    }
    .to_owned()
}

/// A query.
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl Query<'_> {
    /// The values of this key, decoded.
    pub(crate) fn values<'q>(&'q self, key: &'q str) -> impl Iterator<Item = String> + 'q {
        self.0.split('&').filter_map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name) == key).then(|| decoded(value))
        })
    }

    /// Whether any `watch` says so: the API server takes the first, and the stricter reading is the safe one.
    fn watches(&self) -> bool {
        self.values("watch").any(|value| !matches!(value.as_str(), "false" | "0" | "f" | "F" | "FALSE" | "False"))
    }

    /// The name that a field selector asks for.
    fn field_name(&self) -> Option<String> {
        let selector = self.values("fieldSelector").next()?;
        let terms = selector.split(',').filter_map(|term| term.split_once('='));
        let name = terms.filter(|(field, _)| *field == "metadata.name").map(|(_, value)| value.trim_start_matches('='));
        name.map(str::to_owned).next().filter(|name| !name.is_empty())
    }
}

fn segment(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("GET", "/api/v1/namespaces/dev/pods/web-0", "get||v1|dev|pods|web-0|")]
    #[case("GET", "/api/v1/namespaces/dev/pods", "list||v1|dev|pods||")]
    #[case("GET", "/api/v1/pods", "list||v1||pods||")]
    #[case("GET", "/api/v1/pods?watch=true", "watch||v1||pods||")]
    #[case("GET", "/api/v1/pods?watch=1&x=y", "watch||v1||pods||")]
    #[case("GET", "/api/v1/pods?watch=false", "list||v1||pods||")]
    #[case("GET", "/api/v1/watch/namespaces/dev/pods", "watch||v1|dev|pods||")]
    #[case("HEAD", "/api/v1/namespaces/dev/pods/a", "get||v1|dev|pods|a|")]
    #[case("GET", "/api/v1/namespaces", "list||v1||namespaces||")]
    #[case("GET", "/api/v1/namespaces/dev", "get||v1|dev|namespaces|dev|")]
    #[case("PUT", "/api/v1/namespaces/dev/finalize", "update||v1|dev|namespaces|dev|finalize")]
    #[case("PATCH", "/api/v1/namespaces/dev/status", "patch||v1|dev|namespaces|dev|status")]
    #[case("POST", "/api/v1/namespaces/dev/pods", "create||v1|dev|pods||")]
    #[case("POST", "/api/v1/namespaces/dev/pods/web-0/exec", "create||v1|dev|pods|web-0|exec")]
    #[case("GET", "/api/v1/namespaces/dev/pods/web-0/exec?command=sh", "get||v1|dev|pods|web-0|exec")]
    #[case("DELETE", "/apis/apps/v1/namespaces/dev/deployments", "deletecollection|apps|v1|dev|deployments||")]
    #[case("DELETE", "/apis/apps/v1/namespaces/dev/deployments/a", "delete|apps|v1|dev|deployments|a|")]
    #[case("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dweb-0", "list||v1||pods|web-0|")]
    #[case("GET", "/apis/apps/v1", "get|apps|v1||||")]
    #[case("GET", "/version", "get||||||")]
    #[case("GET", "/", "get||||||")]
    #[case("GET", "/api/v1/namespaces/d%65v/p%6Fds/%77eb-0+1", "get||v1|dev|pods|web-0+1|")]
    #[case("GET", "/api/v1/%77atch/pods", "watch||v1||pods||")]
    #[case("GET", "/api/v1/proxy/nodes/n1/metrics", "proxy||v1||nodes|n1|metrics")]
    fn as_the_api_server_reads_it(#[case] method: &str, #[case] target: &str, #[case] want: &str) {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let RequestInfo { verb, group, version, namespace, resource, name, subresource } =
            RequestInfo::parse(method, path, query);
        let got = [verb, group, version, namespace, resource, name, subresource].join("|");
        assert_eq!(got, want);
    }
}
