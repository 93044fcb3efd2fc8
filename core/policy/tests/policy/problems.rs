//! Bad YAML: each mistake has its line and says what to do.

use rstest::rstest;

use crate::help::problems;

/// A role around a piece of `spec`, which starts at line 5.
fn role(spec: &str) -> String {
    format!("kind: role\nversion: v8\nmetadata: {{name: dev}}\nspec:\n{spec}")
}

/// A node around a piece of `spec`, which starts at line 6, after its address.
fn node(spec: &str) -> String {
    format!("kind: node\nversion: v2\nmetadata: {{name: n}}\nspec:\n  addr: 'n:22'\n{spec}")
}

/// The problems, each as `line: what`.
fn told(yaml: &str) -> Vec<String> {
    problems(yaml).iter().map(|problem| problem.trim_start_matches("test.yaml:").to_owned()).collect()
}

#[rstest]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: \"a\\0b\"}\nspec: {}",
    &["3: `name` holds a zero byte (remove it)"]
)]
#[case(
    "{}",
    &["1: `kind` is missing in the document (add `kind: role`)"]
)]
#[case(
    "kind: [role]",
    &["1: `kind` must be one text (it is a list)"]
)]
#[case(
    "a: [1",
    &["2: this is not valid YAML: did not find expected ',' or ']' (check the indentation and the quotes)"]
)]
#[case(
    "a: b: c",
    &["1: this is not valid YAML: mapping values are not allowed in this context (check the indentation and \
           the quotes)"]
)]
#[case(
    "*: 1",
    &["1: this is not valid YAML: did not find expected alphabetic or numeric character (put a value that \
           starts with `*` or `&` in quotes)"]
)]
#[case(
    "a: *x",
    &["1: this is not valid YAML: unknown anchor (put a value that starts with `*` or `&` in quotes)"]
)]
#[case(
    "\ta: 1",
    &["1: this is not valid YAML: found character that cannot start any token, while scanning for the next \
           token (indent with spaces, and put a value that starts with `@`, `%` or a backtick in quotes)"]
)]
#[case(
    "a: !x 1",
    &["1: this is not valid YAML: YAML tags are not supported (remove the word that starts with `!`)"]
)]
#[case(
    "1: 2",
    &["1: this is not valid YAML: integer `1`, expected a field's name as text (put it in quotes)"]
)]
#[case(
    "- a",
    &["1: the document must be a map (start it with `kind: role` or another kind)"]
)]
#[case(
    "text",
    &["1: the document must be a map (start it with `kind: role` or another kind)"]
)]
#[case(
    "kind: role\nkind: user",
    &["1: `version` is missing in the document (add `version: v8`)",
      "1: `metadata` is missing in the document (add `metadata: {name: ...}`)",
      "1: `spec` is missing in the document (add `spec: {}`)",
      "2: `kind` stands twice (keep one)",]
)]
#[case(
    "a: 1\n--- b",
    &["2: nothing may follow `---` or `...` on its line (start a new line)"]
)]
#[case(
    "kind: &a [*a]",
    &["1: this is not valid YAML: lists and maps nest too deeply (no resource needs so many levels)"]
)]
#[case(
    "a: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
    &["1: this is not valid YAML: lists and maps nest too deeply (no resource needs so many levels)"]
)]
fn what_is_no_yaml(#[case] yaml: &str, #[case] want: &[&str]) {
    assert_eq!(told(yaml), want);
}

#[rstest]
#[case(
    "version: v2",
    &["1: `kind` is missing in the document (add `kind: role`)"]
)]
#[case(
    "kind: roles\nversion: v8\nmetadata: {name: a}\nspec: {}",
    &["1: `kind: roles` is not supported (use role, user, cluster_auth_preference, node, db, kube_cluster, \
           app, windows_desktop, lock, oidc)"]
)]
#[case(
    "kind: token\nversion: v2",
    &["1: `kind: token` is not supported (use role, user, cluster_auth_preference, node, db, kube_cluster, \
           app, windows_desktop, lock, oidc)"]
)]
#[case(
    "kind: role\nmetadata: {name: a}\nspec: {}",
    &["1: `version` is missing in the document (add `version: v8`)"]
)]
#[case(
    "kind: role\nversion: v9\nmetadata: {name: a}\nspec: {}",
    &["2: `version` can't be `v9` (use v3, v4, v5, v6, v7, v8)"]
)]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: a}",
    &["1: `spec` is missing in the document (add `spec: {}`)"]
)]
#[case(
    "kind: role\nversion: v8\nspec: {}",
    &["1: `metadata` is missing in the document (add `metadata: {name: ...}`)"]
)]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: a b}\nspec: {}",
    &["3: `name`: the role name may not contain ' ' (use letters, digits and ._-@, not starting with - or \
           .)"]
)]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: 1}\nspec: {}",
    &["3: `name` must be text (write it in quotes: \"1\")"]
)]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: a, expires: x}\nspec: {}\nextra: 1",
    &["3: `expires` in metadata is not supported (remove it: only a lock expires, with `spec.expires`)",
      "5: unknown field `extra` in the document (use kind, version, metadata, spec)",]
)]
#[case(
    "kind: role\nversion: v8\nsub_kind: x\nmetadata: {name: a}\nspec: {}",
    &["3: unknown field `sub_kind` in the document (use kind, version, metadata, spec)"]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cap}\nspec: {}",
    &["3: there is one cluster_auth_preference (name it `cluster-auth-preference`)"]
)]
#[case(
    "kind: role\nversion: v8\nmetadata: {name: a, uid: '00'}\nspec: {}",
    &["3: unknown field `uid` in metadata (use name, labels, description, namespace)"]
)]
fn a_documents_frame(#[case] yaml: &str, #[case] want: &[&str]) {
    assert_eq!(told(yaml), want);
}

#[rstest]
#[case(
    "  allwo: {}",
    &["5: unknown field `allwo` in role spec (use options, allow, deny)"]
)]
#[case(
    "  options:\n    require_session_mfa: maybe",
    &["6: `require_session_mfa` can't be `maybe` (use true, false, yes, no, webauthn, hardware_key, \
           hardware_key_touch, hardware_key_pin, hardware_key_touch_and_pin, hardware_key_attested)"]
)]
#[case(
    "  options:\n    require_session_mfa:",
    &["6: `require_session_mfa` must be one word (use true, false, yes, no, webauthn, hardware_key, \
           hardware_key_touch, hardware_key_pin, hardware_key_touch_and_pin, hardware_key_attested)"]
)]
#[case(
    "  options:\n    max_session_ttl: 1d",
    &["6: `max_session_ttl`: `1d` is not a duration (use hours, minutes and seconds, such as 12h, 30m or \
           1h30m)"]
)]
#[case(
    "  options:\n    max_session_ttl: 0s",
    &["6: `max_session_ttl` is zero or longer than 30 days (use 1s to 720h)"]
)]
#[case(
    "  options:\n    max_session_ttl: 12",
    &["6: `max_session_ttl`: `12` is not a duration (use hours, minutes and seconds, such as 12h, 30m or \
           1h30m)"]
)]
#[case(
    "  options:\n    session_mfa_window: 10m",
    &["6: `session_mfa_window` can only shorten the five minutes of a tap (use 5m or less; 0s for once)"]
)]
#[case(
    "  options:\n    mfa_verification_interval: 1m",
    &["6: `mfa_verification_interval` in role options is not supported (use `session_mfa_window`)"]
)]
#[case(
    "  options:\n    in_band: url\n    require_session_mfa: hardware_key",
    &["6: `in_band: url` does not go with a hardware key (use `sk` or `off`)"]
)]
#[case(
    "  options:\n    session_mfa_reuse: login_key\n    require_session_mfa: hardware_key",
    &["6: `session_mfa_reuse: login_key` does not go with a hardware key (remove one of the two)"]
)]
#[case(
    "  options:\n    pin_source_ip: maybe",
    &["6: `pin_source_ip` is neither true nor false (use `true` or `false`)"]
)]
#[case(
    "  options:\n    ssh_port_forwarding: {}",
    &["6: `ssh_port_forwarding` in role options is not supported (use `port_forwarding`)"]
)]
#[case(
    "  allow:\n    logins:\n    - root\n    - '*'",
    &["8: `logins` takes no wildcard, but has `*` (name each one)"]
)]
#[case(
    "  allow:\n    logins: ['ro*']",
    &["6: `logins` takes no wildcard, but has `ro*` (name each one)"]
)]
#[case(
    "  allow:\n    logins: ['{{internal.login}}']",
    &["6: `{{internal.login}}`: `internal` has no `login` (use logins, windows_logins, kubernetes_groups, \
           kubernetes_users, db_names, db_users, db_roles, db_service, app_roles)"]
)]
#[case(
    "  allow:\n    logins: [a b]",
    &["6: `logins`: the login may not contain ' ' (use letters, digits and ._-@+$, not starting with - or \
           .)"]
)]
#[case(
    "  allow:\n    logins: [1]",
    &["6: `logins` must be text (write it in quotes: \"1\")"]
)]
#[case(
    "  allow:\n    logins: {a: b}",
    &["6: `logins` must be a list (start each item with `- `)"]
)]
#[case(
    "  allow:\n    node_labels: [a]",
    &["6: `node_labels` must be a map (write its fields below it, indented)"]
)]
#[case(
    "  allow:\n    node_labels:\n      env: 1",
    &["7: `env` must be text (write it in quotes: \"1\")"]
)]
#[case(
    "  allow:\n    node_labels:\n      env:",
    &["7: the label `env` has no value (give it one, or remove it)"]
)]
#[case(
    "  allow:\n    node_labels:\n      env: []",
    &["7: the label `env` has no value (give it one, or remove it)"]
)]
#[case(
    "  allow:\n    node_labels:\n      '*': prod",
    &["7: the label key `*` goes with the value `*` only (name the key that you mean)"]
)]
#[case(
    "  allow:\n    node_labels:\n      '*': '*'\n      env: prod",
    &["7: `'*': '*'` already means every target (remove it, or the other labels)"]
)]
#[case(
    "  allow:\n    node_labels:\n      'a*': b",
    &["7: the label key `a*` must be plain text (patterns and templates go into values)"]
)]
#[case(
    "  allow:\n    node_labels:\n      env: '^('",
    &["7: `^(` starts like a regular expression but does not end with `$` (write ^...$)"]
)]
#[case(
    "  allow:\n    node_labels:\n      env: '^($'",
    &["7: `^($` is not a regular expression: unclosed group (use the RE2 syntax)"]
)]
#[case(
    "  allow:\n    node_labels:\n      env: a\n      env: b",
    &["8: `env` stands twice (keep one)"]
)]
#[case(
    "  allow:\n    node_labels_expression: x",
    &["6: `node_labels_expression` in role allow is not supported (use `node_labels`)"]
)]
#[case(
    "  allow:\n    db_users: ['a*']",
    &["6: `db_users`: `a*` is not supported (use a whole name, or `*` alone)"]
)]
#[case(
    "  allow:\n    kubernetes_groups: ['*']",
    &["6: `kubernetes_groups` takes no wildcard, but has `*` (name each one)"]
)]
#[case(
    "  allow:\n    kubernetes_resources:\n    - kind: pod\n      name: '*'",
    &["7: `kind`: `pod` is no collection in a v8 role (use `pods`)"]
)]
#[case(
    "  allow:\n    rules:\n    - resources: [token]\n      verbs: [list]",
    &["7: `resources` can't be `token` (use role, user, cluster_auth_preference, node, db, kube_cluster, \
           app, windows_desktop, lock, oidc, event, session)"]
)]
#[case(
    "  allow:\n    rules:\n    - resources: [role]\n      verbs: [rw]\n      where: x",
    &["8: `verbs` can't be `rw` (use list, read, create, update, delete)",
      "9: `where` in a rule is not supported (write a rule without a condition, or none)",]
)]
#[case(
    "  allow:\n    rules:\n    - resources: []",
    &["7: `verbs` is missing in a rule (add `verbs: [list, read]`)",
      "7: `resources` is empty (name what is meant, or remove the rule)",]
)]
#[case(
    "  deny:\n    logins: ['*']",
    &["6: `logins` takes no wildcard, but has `*` (name each one)"]
)]
#[case(
    "  allow:\n    join_sessions: []",
    &["6: `join_sessions` in role allow is not supported (remove it)"]
)]
#[case(
    "  allow:\n    namespaces: [other]",
    &["6: `namespaces` can't be `other` (use default, *)"]
)]
#[case(
    "  allow: {}\n  allow: {}",
    &["6: `allow` stands twice (keep one)"]
)]
fn roles(#[case] yaml: &str, #[case] want: &[&str]) {
    assert_eq!(told(&role(yaml)), want);
}

#[rstest]
#[case(
    "",
    &["4: the node has neither `host_keys` nor `host_ca` (add the line that `ssh-keyscan` prints and that \
           you have compared on the node; nothing is trusted on first use)"]
)]
#[case(
    "  host_keys: []",
    &["4: the node has neither `host_keys` nor `host_ca` (add the line that `ssh-keyscan` prints and that \
           you have compared on the node; nothing is trusted on first use)"]
)]
#[case(
    "  host_keys: [ssh-dss AAAA]",
    &["6: `host_keys`: the key type `ssh-dss` is not supported (use ssh-ed25519, ecdsa-sha2-nistp256, \
           ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa)"]
)]
#[case(
    "  host_keys: [ssh-ed25519]",
    &["6: `host_keys`: this is no public key line (use the form `ssh-ed25519 AAAA...` of /etc/ssh/*.pub)"]
)]
#[case(
    "  host_keys: [ssh-ed25519 AAAA]",
    &["6: `host_keys`: the key is damaged (copy the whole line of the .pub file)"]
)]
#[case(
    "  host_keys: ['-----BEGIN OPENSSH PRIVATE KEY-----']",
    &["6: `host_keys`: this is a private key (give the public key, from the .pub file, and replace the \
           pair)"]
)]
#[case(
    "  host_ca: [x]\n  rotation: {}",
    &["6: `host_ca`: this is no public key line (use the form `ssh-ed25519 AAAA...` of /etc/ssh/*.pub)",
      "7: `rotation` in node spec is not supported (remove it)",]
)]
fn nodes(#[case] yaml: &str, #[case] want: &[&str]) {
    assert_eq!(told(&node(yaml)), want);
}

#[rstest]
#[case(
    "kind: node\nversion: v2\nmetadata: {name: n, uid: xyz}\nspec:\n  addr: nope\n  host_keys: [ssh-rsa x]",
    &["3: `uid` must be 32 lower-case hex digits (remove it to have one derived)",
      "5: `addr`: `nope` is not an address (use host:port, such as 10.0.0.5:22 or [::1]:22)",
      "6: `host_keys`: the key is damaged (copy the whole line of the .pub file)",]
)]
#[case(
    "kind: lock\nversion: v2\nmetadata: {name: l}\nspec: {}",
    &["4: `target` is missing in lock spec (add `target: {user: jerry}`)"]
)]
#[case(
    "kind: lock\nversion: v2\nmetadata: {name: l}\nspec:\n  target: {user: a, role: b}",
    &["5: a lock strikes one thing (name one of user, role, login, node, windows_desktop, target)"]
)]
#[case(
    "kind: lock\nversion: v2\nmetadata: {name: l}\nspec:\n  target: {}",
    &["5: a lock strikes one thing (name one of user, role, login, node, windows_desktop, target)"]
)]
#[case(
    "kind: lock\nversion: v2\nmetadata: {name: l}\nspec:\n  target:\n    mfa_device: x",
    &["5: a lock strikes one thing (name one of user, role, login, node, windows_desktop, target)",
      "6: `mfa_device` in a lock's target is not supported (lock the user)",]
)]
#[case(
    "kind: lock\nversion: v2\nmetadata: {name: l}\nspec:\n  target: {target: x}\n  expires: soon",
    &["5: `target`: `x` is no target (use kind/name, such as db/orders, or a uid)",
      "6: `expires`: `soon` is not a time (use the form 2026-11-20T13:12:00Z)",]
)]
#[case(
    "kind: user\nversion: v2\nmetadata: {name: a}\nspec:\n  roles:\n  - x\n  - x",
    &["7: the role `x` stands twice (keep one)"]
)]
#[case(
    "kind: user\nversion: v2\nmetadata: {name: a}\nspec:\n  roles:\n  - x\n  - y",
    &["6: there is no role `x` (create it, or remove it from user `a`)",
      "7: there is no role `y` (create it, or remove it from user `a`)",]
)]
#[case(
    "kind: user\nversion: v2\nmetadata: {name: a}\nspec:\n  roles: []\n  traits:\n    logins: ['*']",
    &["7: `logins`: the login may not contain '*' (use letters, digits and ._-@+$, not starting with - or \
           .)"]
)]
#[case(
    "kind: user\nversion: v2\nmetadata: {name: a}\nspec: {roles: []}\n---\nkind: user\nversion: v2\nmetadata:\n  name: a\nspec: {roles: []}",
    &["9: the user `a` stands twice (keep this one or the one at test.yaml:1)"]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  second_factors: [otp]\n  require_session_mfa: true\n  allow_cli_auth_via_browser: true",
    &["6: `require_session_mfa` is not satisfied by `otp` (add `webauthn` to `second_factors`)",
      "7: `allow_cli_auth_via_browser` needs `webauthn` in `second_factors` (add it, or remove this)",]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  allow_cli_auth_via_browser: false\n  allow_cli_auth_by_paste: true",
    &["6: `allow_cli_auth_by_paste` needs `allow_cli_auth_via_browser` (allow that, or remove this)"]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  second_factor: off",
    &["5: `second_factor: off` is not supported (use `second_factors: [\"webauthn\"]`)"]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  type: saml\n  locking_mode: strict",
    &["5: `type` can't be `saml` (use local, oidc)",
      "6: `locking_mode` in cluster_auth_preference spec is not supported (remove it: locks are always \
           strict)",]
)]
#[case(
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  type: oidc\n  connector_name: x",
    &["6: there is no oidc resource `x` (create it, or use `type: local`)"]
)]
#[case(
    "kind: oidc\nversion: v3\nmetadata: {name: o}\nspec:\n  issuer_url: http://x\n  client_secret: s",
    &["4: `client_id` is missing in oidc spec (add `client_id: tapgate`)",
      "4: `client_secret_file` is missing in oidc spec (add `client_secret_file: /etc/tapgate/oidc`)",
      "4: `redirect_url` is missing in oidc spec (add `redirect_url: https://tap.example.com/web/sso/callback`)",
      "4: `claims_to_roles` is missing in oidc spec (add `claims_to_roles: [{claim: groups, value: dev, \
           roles: [dev]}]`)",
      "5: `issuer_url`: `http://x` is not an https:// address (an address without TLS proves nothing)",
      "6: `client_secret` in oidc spec is not supported (put the secret into a file and name it in \
           `client_secret_file`)",]
)]
#[case(
    "kind: role\nversion: v6\nmetadata: {name: a}\nspec:\n  allow:\n    kubernetes_labels: {'*': '*'}",
    &["5: a v6 role reaches no pods without `kubernetes_resources` (add it with `*` everywhere, or use \
           version: v7)"]
)]
#[case(
    "kind: db\nversion: v3\nmetadata: {name: d}\nspec:\n  protocol: oracle\n  uri: x\n  tls: {mode: insecure}",
    &["5: `protocol` can't be `oracle` (use postgres, mysql)",
      "6: `uri`: `x` is not an address (use host:port, such as 10.0.0.5:22 or [::1]:22)",
      "7: `mode` can't be `insecure` (use verify-full, verify-ca)",]
)]
#[case(
    "kind: app\nversion: v3\nmetadata: {name: d}\nspec:\n  uri: ftp://x\n  tcp_ports: [{port: 0}]",
    &["5: `uri`: `ftp://x` is not an address (use http://, https:// or tcp:// and host:port)",
      "6: `port` is no port (use a number from 1 to 65535)",]
)]
#[case(
    "kind: app\nversion: v3\nmetadata: {name: d}\nspec:\n  uri: https://x\n  rewrite:\n    jwt_claims: all\n    \
     headers:\n      - 'Connection: x'\n      - a\n      - 'X: {{external.y}}'\n      - {name: Tapgate-User, value: x}\n      \
     - {name: X-A}\n      - 'X B: c'",
    &["7: `jwt_claims` can't be `all` (use roles, none)",
      "9: the header `connection` is the gate's own (remove it)",
      "10: a header in rewrite is not `Name: value`",
      "11: the value of `x` has an unknown template (use {{internal.jwt}} or {{internal.user}})",
      "12: the header `tapgate-user` is the gate's own (remove it)",
      "13: `value` is missing in a header in rewrite (add `value: production`)",
      "14: `x b` is no header's name (use letters, digits and -)",]
)]
#[case(
    "kind: kube_cluster\nversion: v3\nmetadata: {name: d}\nspec:\n  kubeconfig: '!!'",
    &["5: `kubeconfig` is not base64 of a text (use `base64 < kubeconfig`)"]
)]
#[case(
    "kind: kube_cluster\nversion: v3\nmetadata: {name: d}\nspec:\n  kubeconfig: YXBpVmVyc2lvbjogdjEK",
    &["5: `kubeconfig` names no API server (its current-context must lead to a cluster with `server: https://…`)"]
)]
fn other_kinds(#[case] yaml: &str, #[case] want: &[&str]) {
    assert_eq!(told(yaml), want);
}

#[test]
fn every_document_and_every_field_at_once() {
    let yaml = "kind: role\nversion: v8\nmetadata: {name: a}\nspec: {x: 1, y: 2}\n---\nkind: [\n---\nkind: user\n\
                version: v1\nmetadata: {name: b}\nspec: {roles: [gone]}\n";
    let want = [
        "4: unknown field `x` in role spec (use options, allow, deny)",
        "4: unknown field `y` in role spec (use options, allow, deny)",
        "7: this is not valid YAML: did not find expected node content (check the indentation and the quotes)",
        "9: `version` can't be `v1` (use v2)",
    ];
    assert_eq!(told(yaml), want);
}

#[test]
fn every_message_says_what_to_do() {
    for yaml in ["kind: x", "spec: 1", "kind: lock\nversion: v2\nmetadata: {name: a}\nspec: {target: {user: -}}"] {
        for problem in problems(yaml) {
            assert!(problem.ends_with(')') && problem.contains(" ("), "{problem}");
        }
    }
}

#[test]
fn limits_end_what_is_too_large() {
    let big = format!("kind: role\n# {}\n", "x".repeat(256 * 1024));
    assert_eq!(told(&big), ["1: the document is larger than 256 KiB (split it)"]);
    let huge = "#\n".repeat(3 * 1024 * 1024);
    assert_eq!(told(&huge), ["1: the text is larger than 4 MiB (split it)"]);
    let many = format!("kind: role\nspec: [{}]\n", "1,".repeat(20_001));
    assert_eq!(told(&many), ["2: this is not valid YAML: the document holds too many values (split it)"]);
    let aliases = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "1,".repeat(99), "*a,".repeat(99), "*b,".repeat(99));
    assert_eq!(told(&aliases).len(), 1);
    let fields: Vec<_> = (0..300).map(|n| format!("  f{n}: 1\n")).collect();
    let wrong = "kind: role\nversion: v8\nmetadata: {name: a}\nspec:\n".to_owned() + &fields.concat();
    assert_eq!(told(&wrong).len(), 100);
}

#[rstest]
#[case(
    "protocol: vnc, mode: passthrough",
    "VNC has no `mode: passthrough` (remove it: the gate answers the desktop's password itself)"
)]
#[case(
    "mode: passthrough, auth: {password_files: {ann: /p}}",
    "`mode: passthrough` has no use for `auth` (remove one of the two)"
)]
#[case("mode: terminate", "`mode: terminate` needs a password to log in with (add `auth.password_files`)")]
#[case(
    "protocol: vnc, server_security: tls",
    "`server_security` is RDP's (remove it; `tls` asks a VNC desktop for TLS)"
)]
#[case(
    "tls: {sha256: aa}",
    "`sha256` is no fingerprint (use `openssl x509 -noout -fingerprint -sha256`: 64 hex digits)"
)]
#[case(
    "tls: {insecure: true, ca_cert: x}",
    "a desktop's certificate is known in one way (keep one of `sha256`, `ca_cert`, `insecure`)"
)]
#[case("auth: {password_files: {ann: p}}", "the password file of `ann` must be a whole path (begin it with /)")]
#[case(
    "auth: {password: x}",
    "`password` in auth is not supported (write the password into a file and name that in `password_files`)"
)]
#[case("non_ad: true", "`non_ad` in windows_desktop spec is not supported (leave `domain` out instead)")]
fn desktops(#[case] spec: &str, #[case] want: &str) {
    let yaml = format!("kind: windows_desktop\nversion: v3\nmetadata: {{name: d}}\nspec: {{addr: 'd:1', {spec}}}\n");
    let told = told(&yaml);
    assert!(told.iter().any(|problem| problem == &format!("4: {want}")), "{told:?}");
}
