//! Who an account is: the user of an issuer's subject, with the roles and traits of this sign-in.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde_json::{Value, json};
use tapgate_audit::Event;
use tapgate_model::{LoginName, UserName};
use tapgate_policy::{OidcResource, ResourceKind};
use tapgate_proof::{Claims, ProviderKey, SsoRegistration};
use tapgate_store::Write;

use crate::limits::{TRAIT_BYTES_MAX, TRAIT_VALUES_MAX, TRAITS_MAX};
use crate::{Authority, AuthorityError, Fault, token};

const ACCOUNTS: &str = "sso/account/";
const USERS: &str = "sso/user/";
const KEYS: &str = "sso/key/";

/// What a token says of itself and not of a person.
const PROTOCOL: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "sid",
    "typ",
];

/// A provider's key as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct StoredKey {
    issuer: String,
    key: ProviderKey,
}

impl Authority {
    /// The user of this account, with what its claims bring: they are written down, for the roles of a user come from
    /// the store and never from a certificate. An account that is new becomes a user who is new.
    pub(super) fn sso_user(&self, connector: &OidcResource, claims: &Claims) -> Result<UserName, Fault> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let roles = roles(connector, claims);
        if roles.is_empty() {
            return Err(Fault::denied(format!(
                "your account has no role here (ask your administrator to see claims_to_roles of oidc \"{}\")",
                connector.name
            )));
        }
        let known = self.sso_account(claims)?;
        let registration = match known {
            Some(known) => known,
            None => self.new_account(connector, claims)?,
        };
        let user = registration.user.clone();
        let yaml = document(&user, connector, &roles, &traits(claims)).map_err(Fault::internal)?;
        let documents = self.documents().map_err(Fault::internal)?;
        let same =
            documents.stored(ResourceKind::User, user.as_str()).is_some_and(|old| old.yaml.trim() == yaml.trim());
        let mut writes = Vec::new();
        if !same {
            let plan = self.plan_put("<sign-in>", &yaml, true)?;
            writes.extend(plan.writes());
            for step in &plan.steps {
                self.sink.record(Event::resource_reloaded(step.kind.as_str(), step.name.as_str(), step.what));
            }
        }
        let value = serde_json::to_vec(&registration)?;
        let put = |key| Write::Put { key, value: value.clone(), expires: None };
        writes.push(put(format!("{ACCOUNTS}{}", registration.account())));
        writes.push(put(format!("{USERS}{user}")));
        self.store.write(&writes)?;
        self.refresh();
        Ok(user)
    }

    fn sso_account(&self, claims: &Claims) -> Result<Option<SsoRegistration>, Fault> {
        let (issuer, subject) = (claims.issuer.clone(), claims.subject.clone());
        let user = "nobody".parse().map_err(Fault::internal)?;
        let account = SsoRegistration { user, issuer, subject, created: self.now() }.account();
        let entry = self.store.get(&format!("{ACCOUNTS}{account}"), self.now().as_secs())?;
        Ok(entry.map(|entry| serde_json::from_slice(&entry.value)).transpose()?)
    }

    /// The name is free, or nobody gets in: an account never comes into what is somebody else's.
    fn new_account(&self, connector: &OidcResource, claims: &Claims) -> Result<SsoRegistration, Fault> {
        let user = name(connector, claims)?;
        let documents = self.documents().map_err(Fault::internal)?;
        let taken = documents.has(ResourceKind::User, user.as_str())
            || !self.state.load().registrations.of(&user).is_empty()
            || self.sso_of(&user)?.is_some();
        if taken {
            return Err(Fault::conflict(
                format!("there is a user {user} already, and your account at {} is not theirs", connector.name),
                "ask your administrator to rename or remove one of the two",
            ));
        }
        let (issuer, subject) = (claims.issuer.clone(), claims.subject.clone());
        Ok(SsoRegistration { user, issuer, subject, created: self.now() })
    }

    /// The account of a user.
    pub(crate) fn sso_of(&self, user: &UserName) -> Result<Option<SsoRegistration>, Fault> {
        let entry = self.store.get(&format!("{USERS}{user}"), self.now().as_secs())?;
        Ok(entry.map(|entry| serde_json::from_slice(&entry.value)).transpose()?)
    }

    /// The writes after which an account is nobody's.
    pub(crate) fn sso_forget(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let Some(known) = self.sso_of(user)? else { return Ok(Vec::new()) };
        let account = Write::Delete { key: format!("{ACCOUNTS}{}", known.account()) };
        Ok(vec![account, Write::Delete { key: format!("{USERS}{user}") }])
    }

    /// Every user's account, for the gate.
    pub(crate) fn sso_accounts(&self) -> Result<Vec<SsoRegistration>, AuthorityError> {
        let entries = self.store.list(USERS, self.now().as_secs())?;
        entries.iter().map(|(_, entry)| Ok(serde_json::from_slice(&entry.value)?)).collect()
    }

    /// Keeps a key with which a token was verified: its proofs outlive the provider's own set.
    pub(super) fn sso_keep_key(&self, issuer: &str, key: &ProviderKey) -> Result<(), Fault> {
        let stored = StoredKey { issuer: issuer.to_owned(), key: key.clone() };
        let place = token::sha256(&[issuer.as_bytes(), b"\n", key.key.to_string().as_bytes()]);
        self.store.put(&format!("{KEYS}{place}"), &serde_json::to_vec(&stored)?, None)?;
        Ok(())
    }

    /// The kept keys, by their providers.
    pub(crate) fn sso_kept_keys(&self) -> Result<BTreeMap<String, Vec<ProviderKey>>, AuthorityError> {
        let mut keys: BTreeMap<String, Vec<ProviderKey>> = BTreeMap::new();
        for (_, entry) in self.store.list(KEYS, self.now().as_secs())? {
            let stored: StoredKey = serde_json::from_slice(&entry.value)?;
            keys.entry(stored.issuer).or_default().push(stored.key);
        }
        Ok(keys)
    }
}

/// The name of a user who is new: what the connector says, or what people usually are known by.
pub(super) fn name(connector: &OidcResource, claims: &Claims) -> Result<UserName, Fault> {
    let claim = |name: &str| claims.all.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // An address that nobody has confirmed may be another person's.
    let confirmed = claims.all.get("email_verified") == Some(&Value::Bool(true));
    let found = match &connector.username_claim {
        Some(name) if name == "email" => claim(name).filter(|_| confirmed),
        Some(name) => claim(name),
        None => claim("preferred_username").or_else(|| claim("email").filter(|_| confirmed)),
    };
    let unnamed = |why: &str| {
        Fault::denied(format!("your account has no name that can be used here: {why} (see username_claim of oidc)"))
    };
    let text = found.ok_or_else(|| unnamed("the claim is missing, or the address is not verified"))?;
    text.parse().map_err(|error: tapgate_model::NameError| unnamed(&error.to_string()))
}

/// The roles that the claims bring, each once, in the connector's order.
pub(super) fn roles(connector: &OidcResource, claims: &Claims) -> Vec<String> {
    let mut roles: Vec<String> = Vec::new();
    for rule in &connector.claims_to_roles {
        let holds = claims.all.get(&rule.claim).is_some_and(|claim| texts(claim).any(|text| text == rule.value));
        for role in rule.roles.iter().filter(|_| holds) {
            if !roles.iter().any(|known| known == role.as_str()) {
                roles.push(role.to_string());
            }
        }
    }
    roles
}

/// The claims that templates read. A `*` is no value: what a provider says is never every value.
pub(super) fn traits(claims: &Claims) -> BTreeMap<String, Vec<String>> {
    let own = claims.all.iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str()));
    let values = |name: &str, claim: &Value| -> Vec<String> {
        let logins = matches!(name, "logins" | "windows_logins");
        let fits = |text: &&str| {
            let plain = !text.is_empty() && text.len() <= TRAIT_BYTES_MAX && !text.chars().any(char::is_control);
            plain && *text != "*" && (!logins || text.parse::<LoginName>().is_ok())
        };
        texts(claim).filter(fits).take(TRAIT_VALUES_MAX).map(str::to_owned).collect()
    };
    let all = own.filter(|(name, _)| name.len() <= TRAIT_BYTES_MAX && !name.chars().any(char::is_control));
    let all = all.map(|(name, claim)| (name.clone(), values(name, claim)));
    all.filter(|(_, values)| !values.is_empty()).take(TRAITS_MAX).collect()
}

/// A claim's texts: its own, or those of its list.
fn texts(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim.as_array().map(Vec::as_slice).unwrap_or_default();
    claim.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

/// The user as a resource.
pub(super) fn document(
    user: &UserName,
    connector: &OidcResource,
    roles: &[String],
    traits: &BTreeMap<String, Vec<String>>,
) -> Result<String, serde_norway::Error> {
    let description = format!("Signs in by oidc {}; each sign-in writes roles and traits.", connector.name);
    let metadata = json!({ "name": user.as_str(), "description": description });
    let spec = if traits.is_empty() { json!({ "roles": roles }) } else { json!({ "roles": roles, "traits": traits }) };
    serde_norway::to_string(&json!({ "kind": "user", "version": "v2", "metadata": metadata, "spec": spec }))
}
