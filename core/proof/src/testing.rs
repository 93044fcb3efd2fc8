//! Soft keys that make real proofs, for tests and benches.

mod provider;

pub use provider::SoftProvider;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use tapgate_model::{UnixTime, UserName};

use crate::challenge::sha256;
use crate::{CredentialKey, Link, Proof, Registration, RelyingParty, Statement, Traits, bytes, signature};

/// A security key made of software: it signs whatever it is given.
#[derive(Debug)]
pub struct SoftKey {
    credential_id: Vec<u8>,
    key: CredentialKey,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
    Rs256(Box<RsaKeyPair>),
}

/// What browser and authenticator say of a tap; a test of refusals changes what it wants.
#[derive(Debug, Clone)]
pub struct Gesture {
    /// The client data's type.
    pub kind: String,
    /// The page's origin.
    pub origin: String,
    /// Whether the page was inside another site's.
    pub cross_origin: bool,
    /// The relying party that the authenticator signs for.
    pub rp_id: String,
    /// The authenticator's flags: 1 present, 4 verified.
    pub flags: u8,
    /// The authenticator's counter.
    pub sign_count: u32,
}

impl Gesture {
    /// An honest tap with a PIN or fingerprint at the relying party's first origin.
    pub fn at(rp: &RelyingParty) -> Self {
        let origin = rp.origins.first().cloned().unwrap_or_default();
        let (kind, rp_id) = ("webauthn.get".to_owned(), rp.id.clone());
        Self { kind, origin, cross_origin: false, rp_id, flags: 0b101, sign_count: 0 }
    }

    /// The client's data, as a browser writes it.
    pub fn client_data(&self, challenge: &[u8; 32]) -> String {
        let (kind, origin) = (serde_json::Value::from(&*self.kind), serde_json::Value::from(&*self.origin));
        let (challenge, cross_origin) = (bytes::encode(challenge), self.cross_origin);
        format!(r#"{{"type":{kind},"challenge":"{challenge}","origin":{origin},"crossOrigin":{cross_origin}}}"#)
    }

    /// The authenticator's data.
    pub fn authenticator_data(&self) -> Vec<u8> {
        let digest = sha256(&[self.rp_id.as_bytes()]);
        [digest.as_bytes().as_slice(), &[self.flags], &self.sign_count.to_be_bytes()].concat()
    }
}

impl SoftKey {
    /// A new ES256 key, the usual one.
    pub fn generate() -> Self {
        let pair = sound(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING));
        let point = pair.public_key().as_ref();
        let key = sound(CredentialKey::es256(&point[1..33], &point[33..]));
        Self::new(key, Pair::Es256(Box::new(pair)))
    }

    /// A new Ed25519 key.
    pub fn generate_eddsa() -> Self {
        let pair = sound(Ed25519KeyPair::generate());
        let key = sound(CredentialKey::eddsa(pair.public_key().as_ref()));
        Self::new(key, Pair::EdDsa(Box::new(pair)))
    }

    /// A new RSA key of 2048 bits; this takes a while.
    pub fn generate_rs256() -> Self {
        let pair = sound(RsaKeyPair::generate(KeySize::Rsa2048));
        let text = format!("rs256:{}", bytes::encode(pair.public_key().as_ref()));
        let key = sound(text.parse());
        Self::new(key, Pair::Rs256(Box::new(pair)))
    }

    fn new(key: CredentialKey, pair: Pair) -> Self {
        let mut credential_id = vec![0; 32];
        sound(SystemRandom::new().fill(&mut credential_id));
        Self { credential_id, key, pair }
    }

    /// Its credential id.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// Its public key.
    pub const fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// Its registration. The digest does not depend on the link, so that a tap for it can be made first.
    pub fn register(&self, user: &UserName, created: UnixTime, link: Link) -> Registration {
        let (user, credential_id, key) = (user.clone(), self.credential_id.clone(), self.key.clone());
        let traits = Traits::default();
        Registration { user, credential_id, key, name: "soft key".to_owned(), created, link, traits }
    }

    /// An honest tap over the statement.
    pub fn tap(&self, statement: &Statement, random: [u8; 32], rp: &RelyingParty) -> Proof {
        self.tap_as(statement, random, &Gesture::at(rp))
    }

    /// A tap over the statement of which browser and authenticator say this.
    pub fn tap_as(&self, statement: &Statement, random: [u8; 32], gesture: &Gesture) -> Proof {
        let client_data = gesture.client_data(&statement.challenge(&random));
        self.assert(statement.to_der(), random, gesture.authenticator_data(), client_data.into_bytes())
    }

    /// A proof of these parts with the signature that belongs to them, be they right or wrong.
    pub fn assert(
        &self,
        statement: Vec<u8>,
        random: [u8; 32],
        authenticator_data: Vec<u8>,
        client_data_json: Vec<u8>,
    ) -> Proof {
        let message = [&authenticator_data, sha256(&[&client_data_json]).as_bytes().as_slice()].concat();
        let (credential_id, signature) = (self.credential_id.clone(), self.sign(&message));
        Proof { random, statement, credential_id, authenticator_data, client_data_json, signature }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = sound(pair.sign(&random, message));
                signature::one_form(signature.as_ref()).into_owned()
            }
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_owned(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                sound(pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature));
                signature
            }
        }
    }
}

fn sound<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    // INVARIANT: making a key, signing with one and reading the system's random bytes do not fail.
    result.expect("keys made here are valid")
}
