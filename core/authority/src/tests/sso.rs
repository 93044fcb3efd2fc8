//! Identity providers over TLS: sign-in of the web, keys that change, tokens that have ended.
//!
//! The provider here is software that signs what it is told to; the end-to-end tests have a real one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tapgate_api::SsoAnswer;
use tapgate_identity::{CaKind, X509Ca};
use tapgate_model::{Clock as _, SystemClock};
use tapgate_proof::testing::{SoftKey, SoftProvider};
use tapgate_proof::{Algorithm, Statement};
use url::Url;

use super::lab::{Lab, ORIGIN, peer};
use crate::limits::{PROVIDER_FRESH, REFETCH_PAUSE};
use crate::{Fault, SsoDeparture, SsoOutcome};

/// What the provider answers now.
#[derive(Default)]
struct Says {
    keys: Value,
    token: String,
    /// The forms of the token requests that came.
    forms: Vec<String>,
    /// How often it was asked for its keys.
    asked: usize,
}

struct Idp {
    provider: SoftProvider,
    says: Arc<Mutex<Says>>,
    ca: String,
}

impl Idp {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let now = SystemClock.now();
        let ca = X509Ca::generate(CaKind::Host, "idp", now).unwrap();
        let (leaf, key) = ca.issue_host(&["localhost".to_owned()], now).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key: PrivateKeyDer<'static> = key.into();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![leaf], key).unwrap());
        let says = Arc::new(Mutex::new(Says::default()));
        let (shared, own) = (Arc::clone(&says), issuer.clone());
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &config, &own, &shared);
            }
        });
        let idp = Self {
            provider: SoftProvider::new(&issuer, SoftKey::generate()),
            says,
            ca: crate::login::pem(ca.certificate()),
        };
        idp.publish(&idp.provider, "one");
        idp
    }

    /// Makes this the provider's one key.
    fn publish(&self, provider: &SoftProvider, name: &str) {
        let key = provider.key(SystemClock.now()).key;
        assert_eq!(key.algorithm(), Algorithm::Es256);
        let part = |range| crate::token::to_text(key.as_bytes().get(range).unwrap());
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65), "kid": name });
        self.says.lock().unwrap().keys = json!({ "keys": [jwk] });
    }

    fn yaml(&self) -> String {
        let ca = self.ca.trim_end().replace('\n', "\n    ");
        format!(
            "kind: oidc\nversion: v3\nmetadata: {{ name: corp }}\nspec:\n  issuer_url: {}\n  client_id: tapgate\n  \
             client_secret_file: /dev/null\n  redirect_url: {ORIGIN}/web/sso/callback\n  claims_to_roles: [{{ claim: \
             groups, value: dev, roles: [dev] }}]\n  ca_cert: |\n    {ca}\n",
            self.provider.issuer
        )
    }
}

/// One connection, one request.
fn serve(stream: TcpStream, config: &Arc<ServerConfig>, issuer: &str, says: &Mutex<Says>) {
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream);
    let (mut request, mut buffer) = (String::new(), [0; 4096]);
    let whole = |request: &str| {
        let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        body.len() >= length.unwrap_or(0)
    };
    while !whole(&request) {
        let Ok(read @ 1..) = stream.read(&mut buffer) else { return };
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let mut says = says.lock().unwrap();
    let answer = match request.split(' ').nth(1).unwrap() {
        "/.well-known/openid-configuration" => json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        }),
        "/keys" => {
            says.asked += 1;
            says.keys.clone()
        }
        _ => {
            says.forms.push(request.split_once("\r\n\r\n").unwrap().1.to_owned());
            json!({ "id_token": says.token })
        }
    };
    let answer = answer.to_string();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len()).unwrap();
    stream.flush().unwrap();
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock).map(drop).ok();
}

struct Scene {
    lab: Lab,
    idp: Idp,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new() -> Self {
        let (lab, _) = Lab::founded();
        let idp = Idp::start();
        lab.authority.put_resources_trusted(&idp.yaml()).unwrap();
        lab.snapshot();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { lab, idp, runtime }
    }

    fn begin(&self) -> Result<(SsoDeparture, Asked), Fault> {
        let _inside = self.runtime.enter();
        let departure = self.lab.authority.sso_web_begin(ORIGIN, Some("corp"), peer())?;
        let asked = Asked(Url::parse(&departure.redirect.location).unwrap());
        Ok((departure, asked))
    }

    /// The provider answers honestly but for these claims, signed by `signer` under `key`.
    fn answer(&self, asked: &Asked, signer: &SoftProvider, key: &str, change: &Value) {
        let at = self.lab.clock.now().as_secs();
        let mut claims = json!({
            "iss": self.idp.provider.issuer, "sub": "00u1", "aud": "tapgate", "nonce": asked.get("nonce"), "iat": at,
            "exp": at + 300, "auth_time": at, "preferred_username": "ann", "groups": ["dev"],
        });
        for (name, value) in change.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        self.idp.says.lock().unwrap().token = signer.sign(&json!({ "alg": "ES256", "kid": key }), &claims);
    }

    fn finish(&self, departure: &SsoDeparture, asked: &Asked) -> Result<SsoOutcome, Fault> {
        let _inside = self.runtime.enter();
        let answer = SsoAnswer { state: asked.get("state"), code: Some("the-code".to_owned()), ..SsoAnswer::default() };
        self.lab.authority.sso_answer(&answer, &departure.cookie, peer())
    }

    /// From the beginning to the end, with these claims.
    fn sign_in(&self, signer: &SoftProvider, key: &str, change: &Value) -> Result<String, Fault> {
        let (departure, asked) = self.begin()?;
        self.answer(&asked, signer, key, change);
        match self.finish(&departure, &asked)? {
            SsoOutcome::SignedIn(user) => Ok(user.to_string()),
            SsoOutcome::Carried(carried) => panic!("{carried:?}"),
        }
    }

    fn asked(&self) -> usize {
        self.idp.says.lock().unwrap().asked
    }
}

/// The address that the browser was sent to.
struct Asked(Url);

impl Asked {
    fn get(&self, name: &str) -> String {
        let mut pairs = self.0.query_pairs();
        pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

#[test]
fn a_sign_in_of_the_web_is_asked_for_and_answered_once() {
    let scene = Scene::new();
    let (departure, asked) = scene.begin().unwrap();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "tapgate"),
        ("redirect_uri", "https://localhost:3080/web/sso/callback"),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
        ("max_age", "0"),
        ("scope", "openid"),
    ] {
        assert_eq!(asked.get(name), value, "{name}");
    }
    let signer = &scene.idp.provider;
    scene.answer(&asked, signer, "one", &json!({}));
    let SsoOutcome::SignedIn(user) = scene.finish(&departure, &asked).unwrap() else { panic!("not signed in") };
    assert_eq!(user.as_str(), "ann");
    assert_eq!(scene.lab.policy().roles_of(&user).unwrap()[0].as_str(), "dev");
    // The verifier that was sent is the one of the challenge that was asked with.
    let form = scene.idp.says.lock().unwrap().forms[0].clone();
    let verifier = form.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
    let challenge = crate::token::to_text(crate::token::sha256(&[verifier.as_bytes()]).as_bytes());
    assert_eq!(asked.get("code_challenge"), challenge);
    assert!(form.contains("code=the-code") && form.contains("grant_type=authorization_code"), "{form}");
    assert_eq!(scene.finish(&departure, &asked).map(drop).unwrap_err().status, 404, "once");
}

#[test]
fn another_browser_or_state_ends_nothing() {
    let scene = Scene::new();
    let (departure, asked) = scene.begin().unwrap();
    let (other, _) = scene.begin().unwrap();
    scene.answer(&asked, &scene.idp.provider, "one", &json!({}));
    assert_eq!(scene.finish(&other, &asked).map(drop).unwrap_err().status, 404);
    assert!(scene.finish(&departure, &asked).is_ok());
    let (departure, asked) = scene.begin().unwrap();
    scene.answer(&asked, &scene.idp.provider, "one", &json!({}));
    scene.lab.clock.advance(Duration::from_secs(301));
    assert_eq!(scene.finish(&departure, &asked).map(drop).unwrap_err().status, 404, "too late");
}

#[test]
fn a_token_that_has_ended_or_names_another_request_is_refused() {
    let scene = Scene::new();
    let (signer, at) = (&scene.idp.provider, scene.lab.clock.now().as_secs());
    let refused = |change: Value| scene.sign_in(signer, "one", &change).unwrap_err().error.message;
    assert!(refused(json!({ "nonce": "x" })).contains("does not sign this statement"));
    assert!(refused(json!({ "auth_time": at - 60 })).contains("older than the request"));
    let (departure, asked) = scene.begin().unwrap();
    scene.answer(&asked, signer, "one", &json!({ "exp": at + 10 }));
    scene.lab.clock.advance(Duration::from_mins(1));
    let ended = scene.finish(&departure, &asked).map(drop).unwrap_err();
    assert!(ended.error.message.contains("the ID token has ended"), "{ended}");
}

#[test]
fn a_new_key_of_the_provider_is_found_and_an_old_one_ends() {
    let scene = Scene::new();
    let old = &scene.idp.provider;
    assert_eq!(scene.sign_in(old, "one", &json!({})).unwrap(), "ann");
    assert_eq!(scene.asked(), 1, "the set is kept");
    let new = SoftProvider::new(&old.issuer, SoftKey::generate());
    scene.idp.publish(&new, "two");
    // So soon after the last time nobody makes the gate ask again and again.
    assert!(scene.sign_in(&new, "two", &json!({})).is_err());
    assert_eq!(scene.asked(), 1);
    scene.lab.clock.advance(REFETCH_PAUSE);
    assert_eq!(scene.sign_in(&new, "two", &json!({})).unwrap(), "ann");
    assert_eq!(scene.asked(), 2);
    // The old key is kept for what it has signed, and signs in nobody.
    scene.lab.clock.advance(PROVIDER_FRESH);
    let refused = scene.sign_in(old, "one", &json!({})).unwrap_err().error.message;
    assert!(refused.contains("signed by no key that the provider has"), "{refused}");
    let kept = scene.lab.authority.sso_kept_keys().unwrap();
    assert_eq!(kept[&old.issuer].len(), 2);
    // After a restart the gate still has both, for proofs.
    let again = scene.lab.reopened();
    assert_eq!(again.sso_keys().unwrap().of(&old.issuer).len(), 2);
}

#[test]
fn what_the_log_holds_of_a_sign_in_proves_it() {
    let scene = Scene::new();
    scene.sign_in(&scene.idp.provider, "one", &json!({})).unwrap();
    let events = scene.lab.sink.events();
    let record = events.iter().find_map(|event| match event {
        tapgate_audit::Event::MfaSucceeded { proof, .. } if proof.method.to_string() == "sso" => Some(proof.clone()),
        _ => None,
    });
    let record = record.unwrap();
    let statement = Statement::from_der(&record.statement_der().unwrap()).unwrap();
    assert_eq!(statement.parts().user.as_str(), "@corp");
    assert!(record.proof_der().unwrap().len() < 2_000);
}
