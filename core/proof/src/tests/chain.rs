//! Chains of registrations: what counts, and what pretends to.

use std::time::Duration;

use tapgate_model::{Digest, UnixTime, UserName};

use super::{GATE, NOW, RANDOM, action, at, rp, user};
use crate::testing::{Gesture, SoftKey};
use crate::{ChainError, Chained, Invite, Link, Proof, ProofError, Purpose, Registration, verify_chain};

/// Someone with a key and its registration.
struct Person {
    name: UserName,
    key: SoftKey,
    registration: Registration,
}

impl Person {
    fn pinned(name: &str) -> Self {
        let (name, key) = (user(name), SoftKey::generate());
        let registration = key.register(&name, NOW, Link::Pinned);
        Self { name, key, registration }
    }

    fn pin(&self) -> Digest {
        self.registration.pin()
    }

    fn tap(&self, purpose: Purpose, of: Digest, created: UnixTime) -> Proof {
        self.key.tap(&action(&self.name, purpose, of, created), RANDOM, &rp())
    }

    fn invites(&self, invite: &Invite) -> Link {
        let proof = self.tap(Purpose::Admin, invite.digest(), invite.created);
        Link::Invite { invite: invite.clone(), proof, admin: self.name.clone() }
    }

    fn invited(name: &str, by: &Self) -> Self {
        let (name, key) = (user(name), SoftKey::generate());
        let registration = key.register(&name, at(60), by.invites(&invite(&name)));
        Self { name, key, registration }
    }

    /// A further device of the same person.
    fn device(&self) -> Self {
        let key = SoftKey::generate();
        let mut registration = key.register(&self.name, at(100), Link::Pinned);
        registration.link = Link::Device { proof: self.tap(Purpose::AddDevice, registration.digest(), at(100)) };
        Self { name: self.name.clone(), key, registration }
    }
}

fn invite(name: &UserName) -> Invite {
    Invite {
        user: name.clone(),
        token_sha256: Digest::from_bytes([2; 32]),
        request_sha256: Digest::from_bytes([4; 32]),
        created: NOW,
        expires: at(3600),
    }
}

fn chain(registrations: &[&Registration], pins: &[Digest]) -> (Chained, Vec<ChainError>) {
    let registrations = registrations.iter().copied().cloned().collect();
    let (chained, refused) = verify_chain(registrations, pins, &rp(), &GATE);
    (chained, refused.into_iter().map(|(_, error)| error).collect())
}

/// What is refused beside the pinned administrator.
fn refused(admin: &Person, registration: &Registration) -> ChainError {
    let (chained, mut errors) = chain(&[&admin.registration, registration], &[admin.pin()]);
    assert_eq!(chained.iter().count(), 1);
    assert_eq!(errors.len(), 1);
    errors.remove(0)
}

#[test]
fn pin_invite_and_device_make_a_chain_in_any_order() {
    let root = Person::pinned("root");
    let ann = Person::invited("ann", &root);
    let phone = ann.device();
    let watch = phone.device();
    let bob = Person::invited("bob", &watch);
    let all = [&root, &ann, &phone, &watch, &bob].map(|person| &person.registration);
    let mut reversed = all;
    reversed.reverse();
    for order in [all, reversed] {
        let (chained, errors) = chain(&order, &[root.pin()]);
        assert_eq!(errors, []);
        assert_eq!(chained.of(&user("ann")).len(), 3);
        assert_eq!(chained.of(&user("nobody")).len(), 0);
        assert_eq!(chained.iter().count(), 5);
        let found = chained.credential(&user("ann"), phone.key.credential_id()).unwrap();
        assert_eq!(**found, phone.registration);
        assert!(chained.credential(&user("root"), phone.key.credential_id()).is_none());
    }
}

#[test]
fn without_its_pin_nothing_hangs_on_anything() {
    let root = Person::pinned("root");
    let ann = Person::invited("ann", &root);
    let phone = ann.device();
    let all = [&root.registration, &ann.registration, &phone.registration];
    let (chained, mut errors) = chain(&all, &[ann.key.register(&user("bob"), NOW, Link::Pinned).pin()]);
    errors.sort_by_key(ToString::to_string);
    assert_eq!(chained.iter().count(), 0);
    assert_eq!(errors, [ChainError::NoVoucher, ChainError::NoVoucher, ChainError::NotPinned]);
    let (chained, errors) = chain(&all[1..], &[root.pin()]);
    assert_eq!((chained.iter().count(), errors), (0, vec![ChainError::NoVoucher; 2]));
}

#[test]
fn a_pin_is_of_user_credential_and_key() {
    let root = Person::pinned("root");
    let plain = &root.registration;
    let same = Registration { name: "blue key".to_owned(), created: at(5), ..plain.clone() };
    assert_eq!(same.pin(), plain.pin());
    assert!(chain(&[&same], &[root.pin()]).1.is_empty());
    for other in [
        Registration { user: user("ann"), ..plain.clone() },
        Registration { key: SoftKey::generate().key().clone(), ..plain.clone() },
        Registration { credential_id: b"other".to_vec(), ..plain.clone() },
    ] {
        assert_eq!(chain(&[&other], &[root.pin()]).1, [ChainError::NotPinned]);
    }
    for length in [0, 1024] {
        let odd = Registration { credential_id: vec![1; length], ..plain.clone() };
        assert_eq!(chain(&[&odd], &[odd.pin()]).1, [ChainError::CredentialId]);
    }
    assert_eq!(chain(&[plain, &same], &[root.pin()]).1, [ChainError::Duplicate]);
}

#[test]
fn cycles_never_count() {
    let (root, first) = (Person::pinned("root"), Person::pinned("ann"));
    let second = first.device();
    let mut closed = first.registration.clone();
    closed.link = Link::Device { proof: second.tap(Purpose::AddDevice, closed.digest(), closed.created) };
    let (chained, errors) = chain(&[&root.registration, &closed, &second.registration], &[root.pin()]);
    assert_eq!(chained.of(&user("ann")).len(), 0);
    assert_eq!(errors, [ChainError::NoVoucher, ChainError::NoVoucher]);

    let mut own = first.registration.clone();
    own.link = Link::Device { proof: first.tap(Purpose::AddDevice, own.digest(), own.created) };
    assert_eq!(refused(&root, &own), ChainError::NoVoucher);
    let by_itself = invite(&first.name);
    own.link = first.invites(&by_itself);
    assert_eq!(refused(&root, &own), ChainError::NoVoucher);
}

#[test]
fn an_invite_backs_one_registration() {
    let root = Person::pinned("root");
    let link = root.invites(&invite(&user("ann")));
    let early = SoftKey::generate().register(&user("ann"), at(60), link.clone());
    let late = SoftKey::generate().register(&user("ann"), at(61), link);
    for order in [[&root.registration, &early, &late], [&late, &early, &root.registration]] {
        let (chained, errors) = chain(&order, &[root.pin()]);
        assert_eq!(errors, [ChainError::InviteUsed]);
        assert_eq!(chained.of(&user("ann")).iter().map(|r| r.created).collect::<Vec<_>>(), [at(60)]);
    }
}

#[test]
fn an_invite_is_for_one_user_and_one_hour() {
    let (root, ann, key) = (Person::pinned("root"), user("ann"), SoftKey::generate());
    let good = invite(&ann);
    let with = |invite: &Invite, created| refused(&root, &key.register(&ann, created, root.invites(invite)));
    for moment in [UnixTime::from_secs(NOW.as_secs() - 31), at(3601), at(1_000_000)] {
        assert_eq!(with(&good, moment), ChainError::InviteExpired(moment));
    }
    assert_eq!(with(&Invite { expires: at(3601), ..good.clone() }, at(60)), ChainError::InviteSpan);
    assert_eq!(with(&Invite { expires: NOW, ..good.clone() }, NOW), ChainError::InviteSpan);
    assert_eq!(with(&Invite { user: user("bob"), ..good.clone() }, at(60)), ChainError::OtherUser(user("bob")));
    for moment in [NOW, at(3600)] {
        let registration = key.register(&ann, moment, root.invites(&good));
        assert_eq!(chain(&[&root.registration, &registration], &[root.pin()]).1, []);
    }
    // An invite that was altered after the tap is another invite.
    for altered in [
        Invite { token_sha256: Digest::from_bytes([3; 32]), ..good.clone() },
        Invite { request_sha256: Digest::from_bytes([5; 32]), ..good.clone() },
        Invite { expires: at(3599), ..good.clone() },
        Invite { created: at(1), ..good.clone() },
    ] {
        let Link::Invite { proof, admin, .. } = root.invites(&good) else { panic!("an invite") };
        let link = Link::Invite { invite: altered, proof, admin };
        assert_eq!(refused(&root, &key.register(&ann, at(60), link)), ChainError::OtherAction);
    }
}

#[test]
fn the_tap_in_a_link_must_be_the_right_one() {
    let (root, ann) = (Person::pinned("root"), user("ann"));
    let (key, invite) = (SoftKey::generate(), invite(&ann));
    let by =
        |proof| key.register(&ann, at(60), Link::Invite { invite: invite.clone(), proof, admin: root.name.clone() });
    let refused = |proof| refused(&root, &by(proof));
    let purpose = |found| ChainError::Proof(ProofError::Purpose { expected: Purpose::Admin, found });
    let digest = invite.digest();
    assert_eq!(refused(root.tap(Purpose::AddDevice, digest, NOW)), purpose(Purpose::AddDevice));
    assert_eq!(refused(root.tap(Purpose::Statement, digest, NOW)), purpose(Purpose::Statement));
    assert_eq!(refused(root.tap(Purpose::Admin, Digest::from_bytes([0; 32]), NOW)), ChainError::OtherAction);
    let early = UnixTime::from_secs(NOW.as_secs() - 301);
    let expired = ProofError::Expired(UnixTime::from_secs(NOW.as_secs() - 1));
    assert_eq!(refused(root.tap(Purpose::Admin, digest, early)), ChainError::Proof(expired));
    assert_eq!(refused(root.tap(Purpose::Admin, digest, at(31))), ChainError::Proof(ProofError::TooEarly(at(31))));

    let statement = action(&root.name, Purpose::Admin, digest, NOW);
    let elsewhere = Gesture { origin: "https://app.example.com".to_owned(), ..Gesture::at(&rp()) };
    let origin = ProofError::Origin("https://app.example.com".to_owned());
    assert_eq!(refused(root.key.tap_as(&statement, RANDOM, &elsewhere)), ChainError::Proof(origin));

    // Another key under the administrator's credential id.
    let forged = Proof { credential_id: root.key.credential_id().to_vec(), ..key.tap(&statement, RANDOM, &rp()) };
    assert_eq!(refused(forged), ChainError::Proof(ProofError::Signature));
    // Another user's tap under the administrator's name, and the reverse.
    let mut other = root.tap(Purpose::Admin, digest, NOW);
    other.credential_id = b"unknown".to_vec();
    assert_eq!(refused(other), ChainError::NoVoucher);
    let mine = action(&ann, Purpose::Admin, digest, NOW);
    let found = ProofError::User { expected: root.name.clone(), found: ann.clone() };
    assert_eq!(refused(root.key.tap(&mine, RANDOM, &rp())), ChainError::Proof(found));
}

#[test]
fn a_device_is_added_by_its_own_user_alone() {
    let root = Person::pinned("root");
    let ann = Person::invited("ann", &root);
    let key = SoftKey::generate();
    let mut device = key.register(&ann.name, at(100), Link::Pinned);
    let mut outcome = |proof| {
        device.link = Link::Device { proof };
        let mut errors = chain(&[&root.registration, &ann.registration, &device], &[root.pin()]).1;
        assert!(errors.len() < 2);
        errors.pop()
    };
    let digest = key.register(&ann.name, at(100), Link::Pinned).digest();
    assert_eq!(outcome(ann.tap(Purpose::AddDevice, digest, at(100))), None);
    assert_eq!(outcome(root.tap(Purpose::AddDevice, digest, at(100))), Some(ChainError::NoVoucher));
    let other = SoftKey::generate().register(&ann.name, at(100), Link::Pinned).digest();
    assert_eq!(outcome(ann.tap(Purpose::AddDevice, other, at(100))), Some(ChainError::OtherAction));
    let late = at(500);
    let expired = outcome(ann.tap(Purpose::AddDevice, digest, late));
    assert_eq!(expired, Some(ChainError::Proof(ProofError::TooEarly(late))));
}

#[test]
fn another_gate_or_relying_party_knows_nobody_but_its_pins() {
    let root = Person::pinned("root");
    let ann = Person::invited("ann", &root);
    let both = vec![root.registration.clone(), ann.registration.clone()];
    let (_, refused) = verify_chain(both.clone(), &[root.pin()], &rp(), &Digest::from_bytes([1; 32]));
    assert_eq!(refused[0].1, ChainError::Proof(ProofError::Gate));
    let other = crate::RelyingParty { id: "example.com".to_owned(), ..rp() };
    let (_, refused) = verify_chain(both, &[root.pin()], &other, &GATE);
    assert_eq!(refused[0].1, ChainError::Proof(ProofError::RelyingParty));
}

#[test]
fn a_long_chain_is_followed_once() {
    let root = Person::pinned("root");
    let mut people = vec![root];
    for _ in 0..200 {
        let next = people[people.len() - 1].device();
        people.push(next);
    }
    let pin = people[0].pin();
    let registrations: Vec<_> = people.iter().map(|person| &person.registration).collect();
    let (chained, errors) = chain(&registrations, &[pin]);
    assert_eq!((chained.of(&user("root")).len(), errors), (201, vec![]));
}

#[test]
fn registrations_survive_json() {
    let root = Person::pinned("root");
    let ann = Person::invited("ann", &root);
    let phone = ann.device();
    for registration in [&root.registration, &ann.registration, &phone.registration] {
        let json = serde_json::to_string(registration).unwrap();
        assert_eq!(serde_json::from_str::<Registration>(&json).unwrap(), *registration);
    }
    let json = serde_json::to_value(&root.registration).unwrap();
    assert_eq!(json["link"], "pinned");
    assert_eq!(json["user"], "root");
    assert!(Duration::from_hours(1) == crate::limits::INVITE_SPAN_MAX);
}
