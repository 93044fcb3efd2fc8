//! `kubernetes_resources`: what each version of a role means by them, and what several roles say together.

use rstest::rstest;
use tapgate_model::{Kind, Login};
use tapgate_policy::{KubeAccess, KubeObjects, KubeScope, KubeVerb};

use crate::help::{labels, policy, problems, user};

/// What jerry may do in a cluster of prod, with a role of this version that has these lines below `allow` and `deny`.
fn access(version: u8, allow: &str, deny: &str) -> KubeAccess {
    let section = |entries: &str| {
        entries
            .split(';')
            .filter(|e| !e.is_empty())
            .fold(String::new(), |all, entry| format!("{all}    - {{{entry}}}\n"))
    };
    let allow = if allow.is_empty() { String::new() } else { format!("    kubernetes_resources:\n{}", section(allow)) };
    let deny =
        if deny.is_empty() { String::new() } else { format!("  deny:\n    kubernetes_resources:\n{}", section(deny)) };
    let yaml = format!(
        "kind: role\nversion: v{version}\nmetadata: {{name: r}}\nspec:\n  allow:\n    kubernetes_labels: {{env: prod}}\n    \
         kubernetes_users: [dev]\n{allow}{deny}---\nkind: user\nversion: v2\nmetadata: {{name: jerry}}\nspec:\n  roles: \
         [r]\n  traits: {{team: [web]}}\n"
    );
    let login = Login::parse(Kind::KubeCluster, "dev").unwrap();
    policy(&yaml).kube_access(&user("jerry"), &labels("env=prod"), &login)
}

/// `verb group/resource namespace name`; `-` is none, `?` any.
fn scope(access: &KubeAccess, text: &str) -> KubeScope {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap();
    let verb = KubeVerb::named(next()).unwrap();
    let (group, resource) = next().split_once('/').unwrap();
    let part = |word: &'static str| if word == "?" { None } else { Some(if word == "-" { "" } else { word }) };
    let (namespace, name) = (part(next().to_owned().leak()), part(next().to_owned().leak()));
    access.scope(verb, &KubeObjects { group, resource, namespace, name })
}

const WEB: &str = "kind: pods, api_group: '', namespace: dev, name: 'web-*', verbs: [get, list, exec]";

#[rstest]
#[case("get /pods dev web-0", KubeScope::All)]
#[case("get /pods dev db-0", KubeScope::Nothing)]
#[case("get /pods prod web-0", KubeScope::Nothing)]
#[case("get /secrets dev web-0", KubeScope::Nothing)]
#[case("get metrics.k8s.io/pods dev web-0", KubeScope::Nothing)]
#[case("delete /pods dev web-0", KubeScope::Nothing)]
#[case("exec /pods dev web-0", KubeScope::All)]
#[case("portforward /pods dev web-0", KubeScope::Nothing)]
#[case("list /pods dev ?", KubeScope::Some)]
#[case("list /pods ? ?", KubeScope::Some)]
#[case("list /pods prod ?", KubeScope::Nothing)]
#[case("list /namespaces - ?", KubeScope::Some)]
#[case("get /namespaces - dev", KubeScope::All)]
#[case("get /namespaces - prod", KubeScope::Nothing)]
#[case("delete /namespaces - dev", KubeScope::Nothing)]
fn one_entry_of_v8(#[case] asked: &str, #[case] want: KubeScope) {
    assert_eq!(scope(&access(8, WEB, ""), asked), want);
}

#[rstest]
#[case(8, "kind: '*', api_group: '*', namespace: '', name: '*', verbs: ['*']", "list /nodes ? ?", KubeScope::Some)]
#[case(8, "kind: '*', api_group: '*', namespace: '', name: '*', verbs: ['*']", "get /nodes - n1", KubeScope::All)]
#[case(8, "kind: '*', api_group: '*', namespace: '', name: '*', verbs: ['*']", "get /pods dev a", KubeScope::Nothing)]
#[case(8, "kind: '*', api_group: '*', namespace: dev, name: '*', verbs: ['*']", "get /nodes - n1", KubeScope::Nothing)]
#[case(8, "kind: '*', api_group: '*', namespace: dev, name: '*', verbs: ['*']", "create /pods dev ?", KubeScope::All)]
#[case(
    8,
    "kind: namespaces, api_group: '', namespace: '', name: dev, verbs: ['*']",
    "get /pods dev a",
    KubeScope::Nothing
)]
#[case(
    8,
    "kind: pods, api_group: '*', namespace: '{{external.team}}', name: '*', verbs: ['*']",
    "get /pods web a",
    KubeScope::All
)]
#[case(
    8,
    "kind: pods, api_group: '*', namespace: '^dev|test$', name: '*', verbs: [connect]",
    "proxy /pods test a",
    KubeScope::All
)]
#[case(
    8,
    "kind: pods, api_group: '*', namespace: '*', name: '*', verbs: [exec]",
    "proxy /pods test a",
    KubeScope::Nothing
)]
#[case(7, "kind: namespace, name: dev, verbs: ['*']", "get /pods dev a", KubeScope::All)]
#[case(7, "kind: namespace, name: dev, verbs: ['*']", "get apps/deployments dev a", KubeScope::All)]
#[case(7, "kind: namespace, name: dev, verbs: ['*']", "delete /namespaces - dev", KubeScope::All)]
#[case(7, "kind: namespace, name: dev, verbs: ['*']", "get /pods prod a", KubeScope::Nothing)]
#[case(
    7,
    "kind: namespace, name: '*', verbs: ['*']",
    "list rbac.authorization.k8s.io/clusterroles ? ?",
    KubeScope::Some
)]
#[case(
    7,
    "kind: clusterrole, name: '*', verbs: [get]",
    "get rbac.authorization.k8s.io/clusterroles - a",
    KubeScope::All
)]
#[case(7, "kind: deployment, name: '*', namespace: dev, verbs: ['*']", "get /pods dev a", KubeScope::Nothing)]
#[case(6, "kind: pod, name: a, namespace: dev", "delete /pods dev a", KubeScope::All)]
#[case(6, "kind: pod, name: a, namespace: dev", "delete /pods dev b", KubeScope::Nothing)]
#[case(6, "kind: pod, name: a, namespace: dev", "delete /secrets dev b", KubeScope::All)]
fn entries_of_each_version(#[case] version: u8, #[case] allow: &str, #[case] asked: &str, #[case] want: KubeScope) {
    assert_eq!(scope(&access(version, allow, ""), asked), want);
}

const SECRET: &str = "kind: secrets, api_group: '*', namespace: '*', name: 'top-*', verbs: ['*']";

#[rstest]
#[case("get /secrets dev top-1", KubeScope::Nothing)]
#[case("get /secrets dev low-1", KubeScope::All)]
#[case("list /secrets dev ?", KubeScope::Some)]
#[case("create /secrets dev ?", KubeScope::Some)]
#[case("deletecollection /secrets dev ?", KubeScope::Some)]
#[case("list /pods ? ?", KubeScope::All)]
fn a_denial_comes_first(#[case] asked: &str, #[case] want: KubeScope) {
    assert_eq!(scope(&access(8, "", SECRET), asked), want);
}

#[test]
fn what_is_everything() {
    assert!(access(8, "", "").is_whole() && access(7, "", "").is_whole());
    assert!(!access(8, "", SECRET).is_whole() && !access(8, WEB, "").is_whole());
    let every = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    assert!(access(8, every, "").is_whole());
    assert_eq!(scope(&access(8, "", every), "get /pods dev a"), KubeScope::Nothing);
}

#[rstest]
#[case(8, "kind: pod, api_group: '', name: a, verbs: ['*']", "`pod` is no collection in a v8 role (use `pods`)")]
#[case(8, "kind: Pods, api_group: '', name: a, verbs: ['*']", "`Pods` is no collection's name")]
#[case(8, "kind: pods, name: a, verbs: ['*']", "`api_group` is missing")]
#[case(8, "kind: pods, api_group: '', name: a", "`verbs` is missing")]
#[case(8, "kind: pods, api_group: '', name: '^(', verbs: ['*']", "starts like a regular expression")]
#[case(7, "kind: pods, namespace: '*', name: a, verbs: ['*']", "`kind` can't be `pods`")]
#[case(7, "kind: pod, name: a, verbs: ['*']", "`namespace` is missing")]
#[case(7, "kind: pod, namespace: a, name: a, verbs: [log]", "`verbs` can't be `log`")]
#[case(6, "kind: secret, namespace: a, name: a", "`kind` can't be `secret`")]
fn what_is_wrong_is_told(#[case] version: u8, #[case] entry: &str, #[case] want: &str) {
    let told = problems(&format!(
        "kind: role\nversion: v{version}\nmetadata: {{name: r}}\nspec:\n  allow:\n    kubernetes_resources: [{{{entry}}}]\n"
    ));
    assert!(told.len() == 1 && told[0].contains(want), "{told:?}");
}
