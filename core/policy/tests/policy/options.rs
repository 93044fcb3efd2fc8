//! Every option: its values, what it is without being set, and how two roles' values go together.

use std::time::Duration;

use rstest::rstest;
use tapgate_policy::{DbTerms, DesktopTerms, InBand, KubeFreshTap, KubeVerb, RecordSession, SessionMfa, Terms};

use crate::help::{policy, terms, user};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// The terms of a user with one role for each set of options; the last one does not concern the target.
fn with(here: &[&str], elsewhere: &str) -> Terms {
    let mut yaml = role("away", elsewhere, "away");
    let mut names = vec!["away".to_owned()];
    for (number, options) in here.iter().enumerate() {
        names.push(format!("r{number}"));
        yaml += &role(&format!("r{number}"), options, "here");
    }
    let user = format!("kind: user\nversion: v2\nmetadata: {{name: jerry}}\nspec: {{roles: [{}]}}\n", names.join(", "));
    terms(&policy(&(yaml + &user)), "jerry", "at=here", "jerry").unwrap()
}

fn role(name: &str, options: &str, at: &str) -> String {
    format!(
        "kind: role\nversion: v8\nmetadata: {{name: {name}}}\nspec:\n  options: {{{options}}}\n  \
         allow: {{logins: [jerry], node_labels: {{at: {at}}}}}\n---\n"
    )
}

#[test]
fn what_holds_where_nothing_is_said() {
    let terms = with(&[""], "");
    let want = Terms {
        session_mfa: SessionMfa::Off,
        window: Duration::from_secs(5 * MINUTE),
        max_session_ttl: Duration::from_secs(30 * HOUR),
        client_idle_timeout: None,
        disconnect_expired_cert: false,
        pin_source_ip: false,
        reuse_login_key: false,
        batch_max: 32,
        in_band: InBand::Url,
        port_forwarding: true,
        forward_agent: false,
        ssh_file_copy: true,
        app_audit_requests: false,
        db: DbTerms::DEFAULT,
        kube_fresh_tap: KubeFreshTap::NONE,
        record_session: RecordSession::Off,
        desktop: DesktopTerms::DEFAULT,
    };
    assert_eq!(terms, want);
}

#[test]
fn verbs_in_a_cluster_are_tied_to_a_fresh_tap() {
    let fresh = |roles: &[&str]| with(roles, "").kube_fresh_tap;
    let one = fresh(&["kubernetes_fresh_tap: {verbs: [delete]}", ""]);
    assert!(one.verbs.has(KubeVerb::Delete) && !one.verbs.has(KubeVerb::Exec));
    assert_eq!(one.within, Duration::from_secs(MINUTE));
    let two = fresh(&["kubernetes_fresh_tap: {verbs: connect, within: 9s}", "kubernetes_fresh_tap: {verbs: [delete]}"]);
    assert!(two.verbs.has(KubeVerb::Delete) && two.verbs.has(KubeVerb::Exec) && two.verbs.has(KubeVerb::Proxy));
    assert_eq!(two.within, Duration::from_secs(9));
}

#[rstest]
#[case("true", SessionMfa::Required)]
#[case("yes", SessionMfa::Required)]
#[case("'yes'", SessionMfa::Required)]
#[case("false", SessionMfa::Off)]
#[case("no", SessionMfa::Off)]
#[case("webauthn", SessionMfa::RequiredWebAuthn)]
#[case("hardware_key", SessionMfa::RequiredHardware)]
#[case("hardware_key_touch", SessionMfa::RequiredHardware)]
#[case("hardware_key_pin", SessionMfa::RequiredVerified)]
#[case("hardware_key_touch_and_pin", SessionMfa::RequiredVerified)]
#[case("hardware_key_attested", SessionMfa::RequiredAttested)]
fn require_session_mfa_and_its_words(#[case] word: &str, #[case] want: SessionMfa) {
    let option = format!("require_session_mfa: {word}");
    assert_eq!(with(&[&option], "").session_mfa, want);
    let cluster = format!(
        "kind: cluster_auth_preference\nversion: v2\nmetadata: {{name: cluster-auth-preference}}\nspec: {{{option}}}\n"
    );
    assert_eq!(policy(&cluster).preference().require_session_mfa, want);
}

#[test]
fn the_tap_is_due_when_any_role_here_wants_it() {
    let (yes, hard) = ("require_session_mfa: yes", "require_session_mfa: hardware_key");
    assert_eq!(with(&["", yes], "").session_mfa, SessionMfa::Required);
    assert_eq!(with(&[yes, ""], "").session_mfa, SessionMfa::Required);
    assert_eq!(with(&[yes, hard], "").session_mfa, SessionMfa::RequiredHardware);
    let pin = "require_session_mfa: hardware_key_pin";
    assert_eq!(with(&[pin, hard], "").session_mfa, SessionMfa::RequiredVerified);
    assert_eq!(with(&[""], hard).session_mfa, SessionMfa::Off, "a role that does not concern the target says nothing");
}

#[test]
fn the_shortest_window_of_the_roles_here() {
    let window = |here: &[&str], away| with(here, away).window.as_secs();
    assert_eq!(window(&["session_mfa_window: 2m", "session_mfa_window: 90s"], ""), 90);
    assert_eq!(window(&["session_mfa_window: 0", ""], ""), 0);
    assert_eq!(window(&["session_mfa_window: 5m"], "session_mfa_window: 10s"), 300);
}

#[test]
fn the_shortest_times_of_all_roles() {
    let ttl = |here: &[&str], away| with(here, away).max_session_ttl.as_secs();
    assert_eq!(ttl(&["max_session_ttl: 12h", "max_session_ttl: 1h30m"], ""), 5400);
    assert_eq!(ttl(&["max_session_ttl: 12h"], "max_session_ttl: 30m"), 30 * MINUTE);
    assert_eq!(ttl(&["max_session_ttl: 100h"], ""), 30 * HOUR, "a role that is silent says 30 hours");
    let idle = |here: &[&str], away| with(here, away).client_idle_timeout.map(|d| d.as_secs());
    assert_eq!(idle(&["client_idle_timeout: 30m", "client_idle_timeout: 15m"], ""), Some(900));
    assert_eq!(idle(&["client_idle_timeout: 30m", "client_idle_timeout: never"], ""), Some(1800));
    assert_eq!(idle(&[""], "client_idle_timeout: 10m"), Some(600));
    assert_eq!(idle(&["client_idle_timeout: 0s"], ""), None);
}

#[test]
fn either_role_disconnects_and_pins_even_from_elsewhere() {
    for (here, away) in [(&["", "X: yes"][..], ""), (&["X: true"][..], ""), (&[""][..], "X: true")] {
        let set = |name: &str| {
            let here: Vec<_> = here.iter().map(|options| options.replace('X', name)).collect();
            let here: Vec<_> = here.iter().map(String::as_str).collect();
            with(&here, &away.replace('X', name))
        };
        assert!(set("disconnect_expired_cert").disconnect_expired_cert);
        assert!(set("pin_source_ip").pin_source_ip);
    }
}

#[test]
fn the_strictest_way_to_be_asked() {
    let in_band = |here: &[&str]| with(here, "in_band: off").in_band;
    assert_eq!(in_band(&["in_band: url", "in_band: sk"]), InBand::Sk);
    assert_eq!(in_band(&["in_band: off", "in_band: sk"]), InBand::Off);
    assert_eq!(in_band(&["in_band: sk, require_session_mfa: hardware_key"]), InBand::Sk);
    assert_eq!(in_band(&["require_session_mfa: hardware_key", ""]), InBand::Sk, "an address can be phished");
}

#[test]
fn reuse_by_login_key_only_where_every_role_here_opts_in() {
    let reuse = "session_mfa_reuse: login_key";
    assert!(with(&[reuse], "").reuse_login_key);
    assert!(with(&[reuse, reuse], "").reuse_login_key);
    assert!(!with(&[reuse, ""], "").reuse_login_key);
    assert!(!with(&[""], reuse).reuse_login_key);
    let hard = "session_mfa_reuse: off, require_session_mfa: hardware_key";
    assert!(!with(&[reuse, hard], "").reuse_login_key);
}

#[test]
fn how_many_targets_one_tap_covers() {
    let forty = "session_mfa_batch: {max_targets: 40}";
    assert_eq!(with(&[""], forty).batch_max, 32);
    assert_eq!(with(&[forty], "").batch_max, 40);
    assert_eq!(with(&[forty, "session_mfa_batch: {max_targets: 2}"], "").batch_max, 2, "the least of the roles");
}

#[test]
fn what_ssh_may_do() {
    assert!(with(&["port_forwarding: false", ""], "").port_forwarding, "any role here may give it");
    assert!(!with(&["port_forwarding: false"], "").port_forwarding);
    assert!(with(&["forward_agent: yes", ""], "").forward_agent);
    assert!(!with(&[""], "forward_agent: yes").forward_agent);
    assert!(!with(&["", ""], "ssh_file_copy: false").ssh_file_copy, "any role may take it");
    assert!(with(&["", "app_audit_requests: true"], "").app_audit_requests, "any role may ask for it");
}

#[test]
fn any_role_may_take_the_clipboard_and_the_drives() {
    for (here, elsewhere, clipboard, directory_sharing) in [
        (&["desktop_clipboard: false"][..], "", false, true),
        (&["desktop_clipboard: true", "desktop_clipboard: false"], "", false, true),
        (&[""], "desktop_directory_sharing: false", true, false),
    ] {
        assert_eq!(with(here, elsewhere).desktop, DesktopTerms { clipboard, directory_sharing }, "{here:?}");
    }
}

#[test]
fn the_cluster_disconnects_too() {
    let yaml = role("a", "", "here")
        + "kind: user\nversion: v2\nmetadata: {name: jerry}\nspec: {roles: [a]}\n---\nkind: cluster_auth_preference\n\
           version: v2\nmetadata: {name: cluster-auth-preference}\nspec: {disconnect_expired_cert: yes}\n";
    assert!(terms(&policy(&yaml), "jerry", "at=here", "jerry").unwrap().disconnect_expired_cert);
}

#[test]
fn the_terms_of_a_login() {
    let yaml = role("a", "max_session_ttl: 8h", "here")
        + &role("b", "pin_source_ip: true", "there")
        + "kind: user\nversion: v2\nmetadata: {name: jerry}\nspec: {roles: [a, b]}\n";
    let terms = policy(&yaml).login_terms(&user("jerry")).unwrap();
    assert_eq!((terms.max_session_ttl.as_secs(), terms.pin_source_ip), (8 * HOUR, true));
    assert_eq!(policy(&yaml).login_terms(&user("olga")), None);
}
