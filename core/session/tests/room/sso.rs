//! Taps at an identity provider: as good as a key's where the policy takes them, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tapgate_identity::Identity;
use tapgate_model::Clock as _;
use tapgate_policy::{Policy, parse};
use tapgate_proof::testing::{SoftKey, SoftProvider};
use tapgate_proof::{Proof, SsoRegistration, Uses};
use tapgate_session::testing::{BEGIN, ClientKey, World, user};
use tapgate_session::{ProviderKeys, Snapshot};

use super::world::{check, policy, word};

const ISSUER: &str = "https://id.example.com";
const KEY: &str = "challenge: a security key is demanded, and the identity provider made the tap";
const NOBODY: &str = "challenge: the security key of the tap is not registered";

struct Scene {
    world: World,
    provider: SoftProvider,
    keys: Arc<ProviderKeys>,
}

/// The room's policy with an identity provider, whose step-up counts where `factors` hold `sso`.
fn with_provider(extra: &str, factors: &str, mfa: &str) -> String {
    format!(
        "{}---\nkind: oidc\nversion: v3\nmetadata: {{ name: corp }}\nspec:\n  issuer_url: {ISSUER}\n  client_id: tapgate\n  \
         client_secret_file: /none\n  redirect_url: https://example.com/web/sso/callback\n  claims_to_roles: []\n{mfa}\
         ---\nkind: cluster_auth_preference\nversion: v2\nmetadata: {{ name: cluster-auth-preference }}\nspec: \
         {{ second_factors: {factors} }}\n",
        policy(extra, "127.0.0.1:9")
    )
}

const MFA: &str = "  mfa: { acr_values: phr }\n";

impl Scene {
    fn new() -> Self {
        let world = World::new(&policy("", "127.0.0.1:9"));
        let provider = SoftProvider::new(ISSUER, SoftKey::generate());
        let keys = Arc::new(ProviderKeys::default());
        keys.put(ISSUER, &[provider.key(BEGIN)]);
        let scene = Self { world, provider, keys };
        scene.install(&with_provider("", "[webauthn, sso]", MFA), "00u1");
        scene
    }

    /// A policy under which jerry is this account.
    fn install(&self, yaml: &str, subject: &str) {
        let documents = parse("room", yaml).unwrap();
        let policy = Arc::new(Policy::build(&documents).unwrap());
        let (issuer, subject) = (ISSUER.to_owned(), subject.to_owned());
        let account = SsoRegistration { user: user("jerry"), issuer, subject, created: BEGIN };
        let registrations = self.world.gate.snapshot().registrations().clone();
        let snapshot = Snapshot::new(policy, registrations).with_sso(vec![account], Arc::clone(&self.keys));
        self.world.gate.install(snapshot);
    }

    /// A certificate of the real session authority for a tap that this provider made as this account.
    fn tapped_at(&self, provider: &SoftProvider, subject: &str) -> Arc<Identity> {
        let client = ClientKey::generate();
        let entry = self.world.entry("prod3", "jerry", client.holder());
        let statement = self.world.statement(vec![entry], Uses::Window, Duration::from_mins(5));
        let claims = provider.claims("tapgate", subject, &statement, &[9; 32], self.world.clock.now());
        let proof = Proof::from_id_token([9; 32], statement.to_der(), &provider.token(&claims)).unwrap();
        self.world.session(&client, &proof)
    }

    fn tapped(&self) -> Arc<Identity> {
        self.tapped_at(&self.provider, "00u1")
    }

    fn prod3(&self, identity: &Arc<Identity>) -> String {
        word(check(&self.world, identity, "prod3", "jerry"))
    }
}

#[test]
fn a_tap_at_the_provider_opens_what_it_names_and_nothing_else() {
    let scene = Scene::new();
    let tapped = scene.tapped();
    assert_eq!(scene.prod3(&tapped), "grant");
    assert_eq!(scene.prod3(&tapped), "grant", "warm");
    let other = "challenge: the tap names another target, login or key";
    assert_eq!(word(check(&scene.world, &tapped, "prod3", "root")), other);
    assert_eq!(word(check(&scene.world, &tapped, "dev1", "jerry")), other);
}

/// Whoever has the session authority's key still lacks the provider's.
#[test]
fn a_stolen_session_authority_opens_nothing() {
    let scene = Scene::new();
    let thief = SoftProvider::new(ISSUER, SoftKey::generate());
    let forged = scene.tapped_at(&thief, "00u1");
    assert!(scene.prod3(&forged).contains("signed by no key that the provider has"), "{}", scene.prod3(&forged));
    let other = scene.tapped_at(&scene.provider, "00u2");
    assert!(scene.prod3(&other).contains("another account signed in"), "{}", scene.prod3(&other));
}

#[test]
fn where_a_key_is_demanded_the_provider_is_none() {
    let scene = Scene::new();
    let tapped = scene.tapped();
    assert_eq!(scene.prod3(&tapped), "grant");
    let demanding = |demand: &str| {
        let yaml = with_provider("", "[webauthn, sso]", MFA);
        yaml.replace("require_session_mfa: true", &format!("require_session_mfa: {demand}"))
    };
    for demand in ["webauthn", "hardware_key"] {
        scene.install(&demanding(demand), "00u1");
        // Neither evidence at hand nor a fresh tap.
        assert_eq!(scene.prod3(&tapped), KEY, "{demand}");
        assert_eq!(scene.prod3(&scene.tapped()), KEY, "{demand}");
    }
    // A key that is only touched does where any key is demanded.
    scene.install(&demanding("webauthn"), "00u1");
    assert_eq!(scene.prod3(&scene.world.tapped("prod3", "jerry", Uses::Window)), "grant");
}

#[test]
fn a_change_of_who_counts_holds_at_once() {
    let scene = Scene::new();
    let tapped = scene.tapped();
    assert_eq!(scene.prod3(&tapped), "grant");
    scene.install(&with_provider("", "[webauthn]", MFA), "00u1");
    assert_eq!(scene.prod3(&tapped), NOBODY, "the cluster takes no provider");
    scene.install(&with_provider("", "[webauthn, sso]", ""), "00u1");
    assert_eq!(scene.prod3(&tapped), NOBODY, "the connector makes no taps");
    scene.install(&policy("", "127.0.0.1:9"), "00u1");
    assert_eq!(scene.prod3(&tapped), NOBODY, "there is no connector");
    scene.install(&with_provider("", "[webauthn, sso]", MFA), "00u2");
    assert!(scene.prod3(&tapped).contains("another account signed in"), "{}", scene.prod3(&tapped));
    scene.install(&with_provider("", "[webauthn, sso]", "  mfa: { acr_values: phrh }\n"), "00u1");
    assert!(scene.prod3(&scene.tapped()).contains("by a class that was demanded"));
}

#[test]
fn keys_that_the_provider_gave_up_open_nothing_new() {
    let scene = Scene::new();
    scene.world.clock.advance(Duration::from_hours(1));
    let late = scene.tapped();
    assert!(scene.prod3(&late).contains("signed by no key that the provider has"), "{}", scene.prod3(&late));
    // Seen again, it counts again, and no snapshot was made for it.
    scene.keys.put(ISSUER, &[scene.provider.key(scene.world.clock.now())]);
    assert_eq!(scene.prod3(&late), "grant");
}
