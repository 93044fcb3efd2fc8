//! What the roles say of one request inside its cluster: it passes, its answer is filtered, or it is refused.

use tapgate_model::TargetName;
use tapgate_session::{KubeAccess, KubeObjects, KubeScope, KubeVerb};

use crate::request_info::RequestInfo;
use crate::status::Refused;

/// How a request passes.
#[derive(Debug)]
pub(crate) enum Passage {
    /// As it is.
    Whole,
    /// Its list is filtered.
    List(Filter),
    /// Its events are filtered.
    Watch(Filter),
    /// It depends on the name of what it creates, which stands in its body.
    Named(Filter),
}

/// What an object of a collection must be to pass.
#[derive(Debug)]
pub(crate) struct Filter {
    access: KubeAccess,
    verb: KubeVerb,
    group: String,
    resource: String,
    /// The namespace of what is created.
    namespace: String,
}

/// What tells about oneself alone, and changes nothing.
const ABOUT_ONESELF: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// What tells about the API and no object in it; clients can't work without.
const DISCOVERY: [&str; 8] = ["api", "apis", "version", "openapi", "healthz", "livez", "readyz", ".well-known"];

/// What a request does, as roles name it. What opens a way in is that whatever the method, and an eviction deletes.
pub(crate) fn verb(info: &RequestInfo) -> Option<KubeVerb> {
    match (info.subresource.as_str(), info.verb.as_str()) {
        ("proxy", _) | (_, "proxy") => Some(KubeVerb::Proxy),
        ("exec" | "attach", _) => Some(KubeVerb::Exec),
        ("portforward", _) => Some(KubeVerb::PortForward),
        ("eviction", "create") => Some(KubeVerb::Delete),
        (_, verb) => KubeVerb::named(verb),
    }
}

/// Judges a request; `upgrade` is whether it asks for another protocol.
pub(crate) fn judge(
    access: KubeAccess,
    cluster: &TargetName,
    (info, path): (&RequestInfo, &str),
    upgrade: bool,
) -> Result<Passage, Refused> {
    if access.is_whole() {
        return Ok(Passage::Whole);
    }
    let refused = |why: &str| Err(Refused::forbidden(format!("{}: your roles {why}", about(info, path, cluster))));
    if !info.is_resource() {
        let first = path.split('/').nth(1).unwrap_or_default();
        let discovery = first.is_empty() || DISCOVERY.contains(&first);
        return if discovery { Ok(Passage::Whole) } else { refused("do not let you read it") };
    }
    if info.verb == "create" && ABOUT_ONESELF.contains(&(info.group.as_str(), info.resource.as_str())) {
        return Ok(Passage::Whole);
    }
    let Some(verb) = verb(info) else { return refused("know no such request") };
    let collection = matches!(verb, KubeVerb::List | KubeVerb::Watch | KubeVerb::DeleteCollection);
    let namespace = match info.namespace.as_str() {
        _ if info.group.is_empty() && info.resource == "namespaces" => Some(""),
        "" if collection => None,
        namespace => Some(namespace),
    };
    // A field selector is the API server's to read: what it lets through is looked at.
    let name = if verb == KubeVerb::Proxy { without_port(&info.name) } else { &info.name };
    let name = Some(name).filter(|name| !name.is_empty() && !collection);
    let objects = KubeObjects { group: &info.group, resource: &info.resource, namespace, name };
    let filter = |access| Filter {
        access,
        verb,
        group: info.group.clone(),
        resource: info.resource.clone(),
        namespace: namespace.unwrap_or_default().to_owned(),
    };
    match (access.scope(verb, &objects), verb) {
        (KubeScope::All, _) => Ok(Passage::Whole),
        (KubeScope::Some, KubeVerb::List | KubeVerb::Watch) if upgrade => {
            refused("show you a part of it, which can't be told over WebSocket (ask without)")
        }
        (KubeScope::Some, KubeVerb::List) => Ok(Passage::List(filter(access))),
        (KubeScope::Some, KubeVerb::Watch) => Ok(Passage::Watch(filter(access))),
        (KubeScope::Some, KubeVerb::Create) => Ok(Passage::Named(filter(access))),
        (KubeScope::Some, KubeVerb::DeleteCollection) => {
            refused("do not let you delete all of it (delete one by one, by name)")
        }
        (KubeScope::Some | KubeScope::Nothing, verb) => refused(&format!("do not let you {} it", verb.name())),
    }
}

/// The name in `name:port` or `scheme:name:port`, by which the API server proxies.
fn without_port(name: &str) -> &str {
    let mut parts = name.split(':');
    let first = parts.next().unwrap_or_default();
    // Only a name of three parts has the scheme in front.
    let second = parts.next().filter(|_| parts.next().is_some());
    second.unwrap_or(first)
}

/// `pods "web-0" in the namespace "dev" of "prod" is forbidden`.
fn about(info: &RequestInfo, path: &str, cluster: &TargetName) -> String {
    let what = if info.is_resource() { info.to_string() } else { format!("the path {path}") };
    let name = if info.name.is_empty() { String::new() } else { format!(" {:?}", info.name) };
    let place =
        if info.namespace.is_empty() { String::new() } else { format!(" in the namespace {:?}", info.namespace) };
    format!("{what}{name}{place} of the cluster \"{cluster}\" is forbidden")
}

impl Filter {
    /// Whether an object of the collection passes.
    pub(crate) fn passes(&self, namespace: &str, name: &str) -> bool {
        let Self { access, verb, group, resource, .. } = self;
        let objects = KubeObjects { group, resource, namespace: Some(namespace), name: Some(name) };
        !name.is_empty() && access.scope(*verb, &objects) == KubeScope::All
    }

    /// Whether an object of this name may be created.
    pub(crate) fn may_create(&self, name: &str) -> bool {
        self.passes(&self.namespace, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("GET", "/api/v1/namespaces/dev/pods/a/exec", Some(KubeVerb::Exec))]
    #[case("POST", "/api/v1/namespaces/dev/pods/a/attach", Some(KubeVerb::Exec))]
    #[case("GET", "/api/v1/namespaces/dev/pods/a/portforward", Some(KubeVerb::PortForward))]
    #[case("DELETE", "/api/v1/namespaces/dev/services/a/proxy/x", Some(KubeVerb::Proxy))]
    #[case("GET", "/api/v1/proxy/nodes/n1", Some(KubeVerb::Proxy))]
    #[case("GET", "/api/v1/namespaces/dev/pods/a/log", Some(KubeVerb::Get))]
    #[case("POST", "/api/v1/namespaces/dev/pods/a/eviction", Some(KubeVerb::Delete))]
    #[case("DELETE", "/api/v1/namespaces/dev/pods", Some(KubeVerb::DeleteCollection))]
    #[case("HEAD", "/api/v1/pods", Some(KubeVerb::List))]
    #[case("OPTIONS", "/api/v1/pods", None)]
    fn what_a_request_does(#[case] method: &str, #[case] path: &str, #[case] want: Option<KubeVerb>) {
        assert_eq!(verb(&RequestInfo::parse(method, path, None)), want);
    }

    #[test]
    fn the_name_of_what_is_proxied() {
        assert_eq!(["a", "a:80", "https:a:443"].map(without_port), ["a"; 3]);
    }
}
