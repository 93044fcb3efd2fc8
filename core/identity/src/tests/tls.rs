//! The same certificates in real handshakes, in memory.

use std::sync::Arc;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose as Usage;
use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConnection, Error, HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use tapgate_model::{Digest, ManualClock};

use super::{Gate, HOUR, MINUTE, NOW, key, x509};
use crate::{
    CaKind, ClientAuth, ClientVerifier, Credential, IdentityError, Lineage, PinnedGate, X509Ca, limits, server_config,
    ssh_key_pkcs8,
};

/// A gate and its clients' clock.
struct Lab {
    gate: Gate,
    clock: Arc<ManualClock>,
}

impl Lab {
    fn new() -> Self {
        Self { gate: Gate::new(), clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn server(&self, auth: ClientAuth) -> Arc<ServerConfig> {
        let (leaf, key) = self.gate.host.issue_host(&["gate.example".to_owned(), "127.0.0.1".to_owned()], NOW).unwrap();
        self.server_with(auth, vec![leaf, self.gate.host.certificate().clone()], key)
    }

    fn server_with(
        &self,
        auth: ClientAuth,
        chain: Vec<CertificateDer<'static>>,
        key: PrivatePkcs8KeyDer<'static>,
    ) -> Arc<ServerConfig> {
        let trust = Arc::new(self.gate.trust());
        let verifier = ClientVerifier::new(Arc::new(move || Arc::clone(&trust)), self.clock.clone(), auth);
        let certified = CertifiedKey::from_der(chain, key.into(), &aws_lc_rs::default_provider()).unwrap();
        let shown = Arc::new(SingleCertAndKey::from(certified));
        Arc::new(server_config(Arc::new(verifier), shown, &[]).unwrap())
    }

    fn client(&self, pin: Digest, chain: Option<Vec<CertificateDer<'static>>>, key: u8) -> Arc<ClientConfig> {
        self.client_for(&[&TLS13], pin, chain, key)
    }

    fn client_for(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        pin: Digest,
        chain: Option<Vec<CertificateDer<'static>>>,
        key: u8,
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedGate::new(pin, self.clock.clone())));
        let Some(chain) = chain else { return Arc::new(builder.with_no_client_auth()) };
        // Whether the key is the certificate's is for the server to find out.
        let key = aws_lc_rs::sign::any_supported_type(&private(key)).unwrap();
        Arc::new(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))))
    }

    /// What the gate says to a client with this chain and the key number one.
    fn present(&self, chain: Vec<CertificateDer<'static>>) -> Result<Credential, Error> {
        let client = self.client(self.gate.pin, Some(chain), 1);
        let (server, _) = handshake(&self.server(ClientAuth::Mandatory), &client, "gate.example")?;
        let [leaf, rest @ ..] = server.peer_certificates().unwrap() else { panic!("no certificate") };
        Ok(self.gate.trust().verify_x509(leaf, rest, NOW).unwrap().credential())
    }

    fn refused(&self, leaf: CertificateDer<'static>) -> CertificateError {
        match self.present(vec![leaf]) {
            Err(Error::InvalidCertificate(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn private(seed: u8) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(ssh_key_pkcs8(&key(seed)).unwrap().to_vec()).into()
}

/// A handshake to its end; the error is that of whoever noticed first.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<(ServerConnection, ClientConnection), Error> {
    let mut server = ServerConnection::new(Arc::clone(server))?;
    let mut client = ClientConnection::new(Arc::clone(client), name.to_owned().try_into().unwrap())?;
    while server.wants_write() || client.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    Ok((server, client))
}

fn other(error: &CertificateError) -> Option<&IdentityError> {
    match error {
        CertificateError::Other(other) => other.0.downcast_ref(),
        _ => None,
    }
}

#[test]
fn login_and_session_certificates_get_in() {
    let lab = Lab::new();
    assert_eq!(lab.present(vec![lab.gate.login(&key(1))]), Ok(Credential::Login));
    assert_eq!(lab.present(vec![lab.gate.session(&key(1))]), Ok(Credential::Session));
    let chain = vec![lab.gate.session(&key(1)), lab.gate.session.certificate().clone()];
    assert_eq!(lab.present(chain), Ok(Credential::Session));
}

#[test]
fn nobody_gets_in_only_where_that_is_allowed() {
    let lab = Lab::new();
    let nobody = lab.client(lab.gate.pin, None, 1);
    let error = handshake(&lab.server(ClientAuth::Mandatory), &nobody, "gate.example").map(drop);
    assert_eq!(error, Err(Error::NoCertificatesPresented));
    let (server, _) = handshake(&lab.server(ClientAuth::Optional), &nobody, "gate.example").unwrap();
    assert!(server.peer_certificates().is_none());
    let stranger = lab.client(lab.gate.pin, Some(vec![Gate::new().login(&key(1))]), 1);
    assert!(handshake(&lab.server(ClientAuth::Optional), &stranger, "gate.example").is_err());
}

#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    let lab = Lab::new();
    for versions in [&TLS12, &TLS13] {
        let thief = lab.client_for(&[versions], lab.gate.pin, Some(vec![lab.gate.session(&key(1))]), 2);
        let error = handshake(&lab.server(ClientAuth::Mandatory), &thief, "gate.example").map(drop);
        assert_eq!(error, Err(Error::InvalidCertificate(CertificateError::BadSignature)));
    }
}

#[test]
fn what_the_handshake_refuses() {
    let lab = Lab::new();
    let (gate, foreign) = (&lab.gate, Gate::new());
    assert_eq!(lab.refused(foreign.session(&key(1))), CertificateError::BadSignature);
    assert_eq!(lab.refused(gate.bent(|params| params.extended_key_usages.clear())), CertificateError::InvalidPurpose);
    let only_tls = gate.bent(|params| params.extended_key_usages = vec![Usage::ClientAuth]);
    assert_eq!(lab.refused(only_tls), CertificateError::InvalidPurpose);
    let early = gate.bent(|params| x509::live(params, NOW.plus(MINUTE), NOW.plus(2 * MINUTE)));
    assert_eq!(lab.refused(early), CertificateError::NotValidYet);
    let late = gate.bent(|params| x509::live(params, NOW.minus(2 * MINUTE), NOW.minus(MINUTE)));
    assert_eq!(lab.refused(late), CertificateError::Expired);
    let bare = lab.refused(gate.bent(|params| params.custom_extensions.clear()));
    assert_eq!(other(&bare), Some(&IdentityError::NoPayload("session")));
    let long = lab.refused(gate.bent(|params| x509::live(params, NOW, NOW.plus(HOUR))));
    assert_eq!(other(&long), Some(&IdentityError::Lifetime("session")));
    let (host, _) = gate.host.issue_host(&["gate.example".to_owned()], NOW).unwrap();
    assert_eq!(lab.refused(host), CertificateError::UnknownIssuer);
    let mut torn = gate.session(&key(1)).to_vec();
    torn.pop();
    assert_eq!(lab.refused(torn.into()), CertificateError::BadEncoding);
}

#[test]
fn a_certificate_signed_by_a_certificate() {
    let lab = Lab::new();
    let signer = lab.gate.session(&key(1));
    let issuer = rcgen::Issuer::from_ca_cert_der(&signer, x509::subject_key()).unwrap();
    let params = x509::right(&lab.gate.session_payload(), Credential::Session);
    let leaf: CertificateDer<'_> = params.signed_by(&x509::subject_key(), &issuer).unwrap().into();
    assert_eq!(lab.refused(leaf.clone()), CertificateError::UnknownIssuer);
    let Err(Error::InvalidCertificate(error)) = lab.present(vec![leaf, signer]) else { panic!("let in") };
    assert_eq!(other(&error), Some(&IdentityError::Chain));
}

#[test]
fn each_connection_is_a_full_handshake() {
    let lab = Lab::new();
    let server = lab.server(ClientAuth::Mandatory);
    for version in [&TLS12, &TLS13] {
        let client = lab.client_for(&[version], lab.gate.pin, Some(vec![lab.gate.session(&key(1))]), 1);
        for _ in 0..2 {
            let (server, client) = handshake(&server, &client, "gate.example").unwrap();
            assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

/// With rustls's own defaults the second connection is a resumed one, which nobody verifies.
#[test]
fn the_trap_that_full_handshakes_avoid() {
    let lab = Lab::new();
    let mut server = Arc::unwrap_or_clone(lab.server(ClientAuth::Mandatory));
    server.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    server.send_tls13_tickets = 2;
    let server = Arc::new(server);
    for version in [&TLS12, &TLS13] {
        let client = lab.client_for(&[version], lab.gate.pin, Some(vec![lab.gate.session(&key(1))]), 1);
        handshake(&server, &client, "gate.example").unwrap();
        let (server, _) = handshake(&server, &client, "gate.example").unwrap();
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn an_expired_certificate_opens_no_second_connection() {
    let lab = Lab::new();
    let server = lab.server(ClientAuth::Mandatory);
    let client = lab.client(lab.gate.pin, Some(vec![lab.gate.session(&key(1))]), 1);
    assert!(handshake(&server, &client, "gate.example").is_ok());
    lab.clock.advance(limits::SESSION_MAX + Duration::from_secs(1));
    let error = handshake(&server, &client, "gate.example").map(drop);
    assert_eq!(error, Err(Error::InvalidCertificate(CertificateError::Expired)));
}

#[test]
fn the_client_knows_its_gate() {
    let lab = Lab::new();
    let login = || Some(vec![lab.gate.login(&key(1))]);
    let check = |server: &Arc<ServerConfig>, pin, name: &str, expect: Result<(), CertificateError>| {
        let verdict = handshake(server, &lab.client(pin, login(), 1), name).map(drop);
        assert_eq!(verdict, expect.map_err(Error::InvalidCertificate), "{name}");
    };
    let (server, pin) = (lab.server(ClientAuth::Mandatory), lab.gate.pin);
    check(&server, pin, "gate.example", Ok(()));
    check(&server, pin, "127.0.0.1", Ok(()));
    check(&server, Gate::new().pin, "gate.example", Err(CertificateError::UnknownIssuer));

    // Somebody in the middle shows the right root, but cannot sign with it.
    let mallory = Gate::new();
    let name = ["gate.example".to_owned()];
    let (leaf, key) = mallory.host.issue_host(&name, NOW).unwrap();
    let server = lab.server_with(ClientAuth::Mandatory, vec![leaf, lab.gate.host.certificate().clone()], key);
    check(&server, pin, "gate.example", Err(CertificateError::BadSignature));
    // Without the root the pin has nothing to match.
    let (leaf, key) = lab.gate.host.issue_host(&name, NOW).unwrap();
    let server = lab.server_with(ClientAuth::Mandatory, vec![leaf.clone()], key.clone_key());
    check(&server, pin, "gate.example", Err(CertificateError::UnknownIssuer));
    // A year later the certificate is over.
    let server = lab.server_with(ClientAuth::Mandatory, vec![leaf, lab.gate.host.certificate().clone()], key);
    lab.clock.advance(limits::HOST_LIFE + Duration::from_secs(1));
    check(&server, pin, "gate.example", Err(CertificateError::Expired));
}

#[test]
fn the_client_wants_the_name_it_asked_for() {
    let lab = Lab::new();
    let client = lab.client(lab.gate.pin, Some(vec![lab.gate.login(&key(1))]), 1);
    let error = handshake(&lab.server(ClientAuth::Mandatory), &client, "other.example").map(drop);
    assert!(matches!(
        error,
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    ));
}

#[test]
fn a_client_certificate_is_no_gate() {
    let lab = Lab::new();
    let check = |usages: Vec<Usage>, expect: Result<(), Error>| {
        let mut params = rcgen::CertificateParams::new(["gate.example".to_owned()]).unwrap();
        x509::live(&mut params, NOW, NOW.plus(HOUR));
        params.extended_key_usages = usages;
        let leaf = params.signed_by(&x509::subject_key(), &x509::forger(&lab.gate.host)).unwrap();
        let PrivateKeyDer::Pkcs8(key) = private(1) else { panic!("not PKCS #8") };
        let chain = vec![leaf.into(), lab.gate.host.certificate().clone()];
        let server = lab.server_with(ClientAuth::Optional, chain, key);
        let client = lab.client(lab.gate.pin, None, 1);
        assert_eq!(handshake(&server, &client, "gate.example").map(drop), expect);
    };
    let refused = || Err(Error::InvalidCertificate(CertificateError::InvalidPurpose));
    check(vec![Usage::ServerAuth], Ok(()));
    check(vec![Usage::ClientAuth], refused());
    check(vec![], refused());
}

#[test]
fn a_client_follows_the_host_authorities_that_its_own_has_vouched_for() {
    let lab = Lab::new();
    let host = || X509Ca::generate(CaKind::Host, "demo", NOW).unwrap();
    let (first, second, third) = (&lab.gate.host, host(), host());
    let (of_second, of_third) = (first.vouch(&second, NOW).unwrap(), second.vouch(&third, NOW).unwrap());
    let root = first.certificate().clone();
    let shown = |ca: &X509Ca, behind: &[&CertificateDer<'static>]| {
        let (leaf, key) = ca.issue_host(&["gate.example".to_owned()], NOW).unwrap();
        (std::iter::once(leaf).chain(behind.iter().copied().cloned()).collect::<Vec<_>>(), key)
    };
    let meets = |(chain, key): &(Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>), pin| {
        let server = lab.server_with(ClientAuth::Optional, chain.clone(), key.clone_key());
        handshake(&server, &lab.client(pin, None, 1), "gate.example").is_ok()
    };
    let lineage = |(chain, _): &(Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>)| Lineage::read(chain, NOW);
    let (pin, gate) = (third.pin(), first.pin());
    let good = shown(&third, &[&of_third, &of_second, &root]);
    assert!([first.pin(), second.pin(), third.pin()].into_iter().all(|pin| meets(&good, pin)));
    assert_eq!(lineage(&good), Some(Lineage { pin, gate }));
    assert_eq!(lineage(&shown(first, &[&root])), Some(Lineage { pin: gate, gate }));

    // Whoever has a host authority of his own, and the certificates of ours, is nobody to who knows ours.
    let foreign = host();
    let (of_foreign, by_foreign) = (foreign.certificate(), foreign.vouch(&third, NOW).unwrap());
    for chain in [&[of_foreign, &of_third, &of_second, &root][..], &[&of_third, &of_second, &root], &[&root]] {
        let false_one = shown(&foreign, chain);
        assert!(![first.pin(), second.pin(), third.pin()].into_iter().any(|pin| meets(&false_one, pin)));
        assert_eq!(lineage(&false_one), None);
    }
    // Nor does a link that is missing join what is beside it.
    let torn = shown(&third, &[&of_third, &root]);
    assert!(!meets(&torn, first.pin()) && lineage(&torn).is_none());
    // Another's word for our authority names another gate, which ours never is to who knows it.
    assert_eq!(lineage(&shown(&third, &[&by_foreign, of_foreign])), Some(Lineage { pin, gate: foreign.pin() }));
    // Authorities of other kinds vouch for nobody, and nobody for them.
    assert!(lab.gate.login.vouch(&third, NOW).is_err() && first.vouch(&lab.gate.login, NOW).is_err());
    assert_eq!(lineage(&(Vec::new(), good.1.clone_key())), None);
}
