//! Tests that take several modules together, and what they share.

mod agreement;
mod canonical;
mod chain;
mod cost;
mod encoding;
mod fuzz;
mod generated;
mod sso;
mod tampering;
mod touches;

use std::sync::LazyLock;
use std::time::Duration;

use tapgate_model::{Digest, Kind, Login, TargetRef, TargetUid, UnixTime, UserName};

use crate::testing::SoftKey;
use crate::{
    Expected, Holder, KnownParty, Proof, ProofError, Purpose, RelyingParty, Statement, StatementParts, StatementTarget,
    Uses, VerifiedTap, verify,
};

const GATE: Digest = Digest::from_bytes([7; 32]);
const RANDOM: [u8; 32] = [5; 32];
const NOW: UnixTime = UnixTime::from_secs(1_795_180_333);

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() + seconds)
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn rp() -> RelyingParty {
    let origins = ["https://tap.example.com", "https://tap.example.com:8443"].map(str::to_owned).to_vec();
    RelyingParty { id: "tap.example.com".to_owned(), origins }
}

fn node(name: &str, login: &str) -> StatementTarget {
    let target = TargetRef { kind: Kind::Node, name: name.parse().unwrap(), uid: TargetUid::from_bytes([3; 16]) };
    let holder = Holder::SessionKey(Digest::from_bytes([9; 32]));
    StatementTarget { target, login: Login::Unix(login.parse().unwrap()), holder }
}

/// The session that most tests are about: jerry as root on prod3.
fn parts() -> StatementParts {
    StatementParts {
        gate: GATE,
        purpose: Purpose::Session,
        user: user("jerry"),
        uses: Uses::Window,
        source_ip: None,
        action: None,
        targets: vec![node("prod3", "root")],
        created: NOW,
        expires: at(300),
    }
}

fn action(by: &UserName, purpose: Purpose, digest: Digest, created: UnixTime) -> Statement {
    let (user, action, targets) = (by.clone(), Some(digest), Vec::new());
    let expires = created.plus(Duration::from_mins(5));
    let session = StatementParts { uses: Uses::Once, ..parts() };
    Statement::new(StatementParts { purpose, user, action, targets, created, expires, ..session }).unwrap()
}

/// Verifies as the gate would that expects jerry's session, after this change of what it expects.
fn judge<'a>(
    key: &'a SoftKey,
    proof: &Proof,
    change: impl FnOnce(&mut Expected<'a>),
) -> Result<VerifiedTap, ProofError> {
    static RELYING_PARTY: LazyLock<KnownParty> = LazyLock::new(|| rp().into());
    static JERRY: LazyLock<UserName> = LazyLock::new(|| user("jerry"));
    let mut expected = Expected {
        key: key.key(),
        relying_party: &RELYING_PARTY,
        gate: &GATE,
        purpose: Purpose::Session,
        user: &JERRY,
        user_verification: true,
        at: at(10),
    };
    change(&mut expected);
    verify(proof, &expected)
}

/// Everything that a statement can hold, once.
fn everything() -> Vec<StatementParts> {
    let holder = Holder::LoginKey { key: Digest::from_bytes([1; 32]), address: "192.0.2.7".parse().unwrap() };
    let uid = TargetUid::from_bytes([4; 16]);
    let target = |kind, name: &str, login, holder| {
        let target = TargetRef { kind, name: name.parse().unwrap(), uid };
        StatementTarget { target, login, holder }
    };
    let digest = Digest::from_bytes([8; 32]);
    let orders = Login::Db { user: "app".parse().unwrap(), database: Some("Ordérs \"2\"".into()) };
    let plain = Login::Db { user: "app".parse().unwrap(), database: None };
    let kube = Login::Kube { user: "dev".into(), groups: ["system:masters".into(), "view".into()].into() };
    let bare = Login::Kube { user: "https://issuer#jerry".into(), groups: [].into() };
    let targets = vec![
        node("prod3", "root"),
        target(Kind::Db, "orders", orders, Holder::TlsExporter(digest)),
        target(Kind::Db, "orders", plain, holder),
        target(Kind::KubeCluster, "blue", kube, Holder::SshSession(digest)),
        target(Kind::KubeCluster, "blue", bare, Holder::SessionKey(digest)),
        target(Kind::App, "wiki", Login::App, Holder::WebSession(digest)),
        target(Kind::WindowsDesktop, "win1", Login::Desktop("ann".parse().unwrap()), Holder::SessionKey(digest)),
    ];
    let all = StatementParts { targets, source_ip: Some("2001:db8::1".parse().unwrap()), ..parts() };
    let four = StatementParts { source_ip: Some("192.0.2.1".parse().unwrap()), uses: Uses::Once, ..parts() };
    let login = StatementParts { purpose: Purpose::Login, targets: Vec::new(), ..parts() };
    let key = StatementParts { action: Some(digest), ..login.clone() };
    let admin = StatementParts { purpose: Purpose::Admin, ..key.clone() };
    let device = StatementParts { purpose: Purpose::AddDevice, ..key.clone() };
    let run = StatementParts { purpose: Purpose::Statement, action: Some(digest), ..parts() };
    vec![parts(), all, four, login, key, admin, device, run]
}
