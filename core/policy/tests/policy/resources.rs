//! Targets and connectors: what is read from a good document of each kind.

use tapgate_model::{DesktopProtocol, Kind};
use tapgate_policy::{DbProtocol, DesktopMode, DesktopSecurity, DesktopTrust};

use crate::help::policy;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

const TARGETS: &str = "
kind: node
sub_kind: openssh
version: v2
metadata:
  name: prod3
  uid: 000102030405060708090a0b0c0d0e0f
  labels: {env: prod, team: '1'}
spec:
  addr: '[::1]:22'
  hostname: prod3.example.com
  host_keys:
  - KEY root@prod3
  host_ca: KEY
---
kind: node
version: v2
metadata: {name: dev1}
spec: {addr: 'dev1:2222', host_keys: [KEY]}
---
kind: db
version: v3
metadata: {name: shop, labels: {env: prod}, description: where the orders are}
spec:
  protocol: postgres
  uri: db.example.com:5432
  tls:
    mode: verify-full
    server_name: shop.internal
    ca_cert: |
      -----BEGIN CERTIFICATE-----
      AAAA
      -----END CERTIFICATE-----
  auth:
    password_files: {app: /etc/tapgate/shop-app}
---
kind: kube_cluster
version: v3
metadata: {name: k1}
spec: {kubeconfig: YXBpVmVyc2lvbjogdjEKY3VycmVudC1jb250ZXh0OiBjCmNvbnRleHRzOiBbe25hbWU6IGMsIGNvbnRleHQ6IHtjbHVzdGVyOiBrLCB1c2VyOiB1fX1dCmNsdXN0ZXJzOiBbe25hbWU6IGssIGNsdXN0ZXI6IHtzZXJ2ZXI6ICJodHRwczovL2suZXhhbXBsZS5jb206NjQ0MyJ9fV0K}
---
kind: app
version: v3
metadata: {name: wiki}
spec: {uri: 'tcp://localhost', public_addr: wiki.example.com, tcp_ports: [{port: 80}, {port: 8000, end_port: 8010}]}
---
kind: windows_desktop
version: v3
metadata: {name: win1}
spec: {addr: '10.0.0.9:3389', domain: corp.example.com}
---
kind: oidc
version: v3
metadata: {name: idp}
spec:
  issuer_url: https://id.example.com
  client_id: gate
  client_secret_file: /etc/gate/oidc
  redirect_url: https://tap.example.com/web/sso/callback
  scope: [groups]
  claims_to_roles: [{claim: groups, value: dev, roles: [dev]}]
  mfa: {acr_values: phr}
---
kind: cluster_auth_preference
version: v2
metadata: {name: cluster-auth-preference}
spec: {type: oidc, connector_name: idp, second_factors: [sso, webauthn]}
---
kind: role
version: v8
metadata: {name: dev}
spec: {}
";

#[test]
fn every_kind_of_target() {
    let policy = policy(&TARGETS.replace("KEY", KEY));
    let node = policy.node(&"prod3".parse().unwrap()).unwrap();
    assert_eq!(node.uid.to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!((node.addr.as_str(), node.hostname.as_deref()), ("[::1]:22", Some("prod3.example.com")));
    assert_eq!(
        (node.host_keys.clone(), node.host_ca.clone()),
        (vec![format!("{KEY} root@prod3")], vec![KEY.to_owned()])
    );
    assert_eq!(node.labels.get("team").map(String::as_str), Some("1"));

    let db = policy.dbs().next().unwrap();
    assert_eq!((db.protocol, db.addr.as_str()), (DbProtocol::Postgres, "db.example.com:5432"));
    assert_eq!((db.server_name.as_deref(), db.certificate_name()), (Some("shop.internal"), "shop.internal"));
    let file = |user: &str| db.auth.password_file(&user.parse().unwrap()).map(|path| path.display().to_string());
    assert_eq!((file("app").as_deref(), file("other")), (Some("/etc/tapgate/shop-app"), None));
    assert!(!db.auth.clear_password);
    let kube = policy.kube_clusters().next().unwrap();
    assert!(kube.kubeconfig.starts_with("apiVersion: v1\n"));
    assert_eq!(kube.addr, "k.example.com:6443");
    let app = policy.apps().next().unwrap();
    assert_eq!((app.uri.as_str(), app.tcp_ports.as_slice()), ("tcp://localhost", &[(80, 80), (8000, 8010)][..]));
    let win1 = policy.desktops().next().unwrap();
    assert_eq!((win1.protocol, win1.mode, win1.tls.as_ref()), (DesktopProtocol::Rdp, DesktopMode::Passthrough, None));

    let names: Vec<_> = policy.targets().map(|target| format!("{}/{}", target.kind, target.name)).collect();
    assert_eq!(names, ["node/dev1", "node/prod3", "db/shop", "kube_cluster/k1", "app/wiki", "windows_desktop/win1"]);
    for target in policy.targets() {
        assert_eq!(policy.target(target.kind, target.name), Some(target));
    }
    assert_eq!(policy.target(Kind::Db, &"prod3".parse().unwrap()), None);
}

#[test]
fn a_desktop_says_how_it_is_known_and_entered() {
    let pin = "AA:".repeat(32);
    let desktop = |spec: &str| {
        let yaml =
            format!("kind: windows_desktop\nversion: v3\nmetadata: {{name: d}}\nspec: {{addr: 'd:1', {spec}}}\n");
        policy(&yaml).desktops().next().unwrap().clone()
    };
    let win = desktop(&format!(
        "auth: {{password_files: {{ann: /etc/p}}}}, server_security: nla, tls: {{sha256: '{}'}}",
        pin.trim_end_matches(':')
    ));
    assert_eq!((win.mode, win.security), (DesktopMode::Terminate, DesktopSecurity::Nla));
    assert_eq!(win.password_file(&"ann".parse().unwrap()).unwrap().display().to_string(), "/etc/p");
    assert_eq!(win.password_file(&"bob".parse().unwrap()), None);
    assert!(matches!(win.tls.unwrap().trust, DesktopTrust::Pin(pin) if pin.to_string() == "aa".repeat(32)));
    let vnc = desktop("protocol: vnc, tls: {insecure: true, server_name: vnc.example.com}");
    assert_eq!((vnc.mode, vnc.certificate_name()), (DesktopMode::Terminate, "vnc.example.com"));
    assert_eq!(vnc.tls.unwrap().trust, DesktopTrust::Insecure);
    assert_eq!(desktop("protocol: vnc, tls: {}").tls.unwrap().trust, DesktopTrust::System);
}

#[test]
fn a_uid_that_is_not_given_is_the_same_at_every_start_and_differs_by_kind_and_name() {
    let (one, two) = (policy(&TARGETS.replace("KEY", KEY)), policy(&TARGETS.replace("KEY", KEY)));
    let uids: Vec<_> = one.targets().map(|target| *target.uid).collect();
    assert!(two.targets().map(|target| *target.uid).eq(uids.iter().copied()));
    let distinct: std::collections::HashSet<_> = uids.iter().collect();
    assert_eq!(distinct.len(), uids.len());
    // SHA-256 of "node/dev1".
    assert_eq!(one.node(&"dev1".parse().unwrap()).unwrap().uid.to_string(), DEV1);
}

const DEV1: &str = "6d2b5e040e74676ad1b9109c03092218";

#[test]
fn a_connector() {
    let policy = policy(&TARGETS.replace("KEY", KEY));
    let idp = policy.connectors().next().unwrap();
    assert_eq!(idp.mfa_acr_values.as_deref(), Some("phr"));
    assert_eq!(idp.claims_to_roles.first().map(|rule| rule.roles.len()), Some(1));
    assert_eq!(policy.preference().connector.as_ref(), Some(&idp.name));
}

#[test]
fn a_kubeconfig_is_never_printed() {
    let policy = policy(&TARGETS.replace("KEY", KEY));
    assert!(!format!("{:?}", policy.kube_clusters().next().unwrap()).contains("apiVersion"));
}
