//! TLS: whose name, which key exchange, and whose certificate, in every handshake anew.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tapgate_api::path;
use tapgate_client::tls::Alpn;
use tapgate_identity::{CaKind, LoginSubject, X509Ca};
use tapgate_lab::{KeyPair, Lab};
use tapgate_model::{Clock as _, SystemClock};
use tapgate_store::Store as _;

use super::bare::{Bare, request, run, s_client, start_curl, start_s_client};
use crate::world::{Tapper, World, open_store};

/// What stands before the 32 bytes of an Ed25519 key: the public half's and the secret half's (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[test]
fn the_quantum_safe_key_exchange_is_taken_where_it_is_offered() -> Result<()> {
    let bare = Bare::new()?;
    assert!(bare.key_exchange(Alpn::Http)?.contains("X25519MLKEM768"), "{}", bare.key_exchange(Alpn::Http)?);
    // And nobody is locked out who has only the older ones.
    let ran = s_client(bare.port, &["-groups", "X25519"], &request(path::FIND, bare.port))?.success()?;
    assert!(ran.stdout.contains("Server Temp Key: X25519") && ran.stdout.contains("HTTP/1.1 200"), "{ran}");
    Ok(())
}

#[test]
fn old_versions_of_tls_are_refused() -> Result<()> {
    let bare = Bare::new()?;
    for version in ["-tls1", "-tls1_1"] {
        let ran = s_client(bare.port, &[version, "-cipher", "ALL:@SECLEVEL=0"], "")?;
        assert!(!ran.status.success() && !ran.stdout.contains("Cipher is ECDHE"), "{version}: {ran}");
    }
    bare.is_well()
}

#[test]
fn another_gates_name_is_refused_in_the_handshake() -> Result<()> {
    let bare = Bare::new()?;
    let ran = s_client(bare.port, &["-servername", "other.example.com"], "")?;
    assert!(!ran.status.success() && ran.stdout.contains("no peer certificate available"), "{ran}");
    let to = format!("other.example.com:{}:127.0.0.1", bare.port);
    let url = format!("https://other.example.com:{}{}", bare.port, path::FIND);
    let ran = start_curl(&url, &["--resolve", &to])?;
    assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran}");
    bare.is_well()
}

#[test]
fn no_session_is_resumed() -> Result<()> {
    let bare = Bare::new()?;
    for version in ["-tls1_3", "-tls1_2"] {
        let kept = bare.lab.path().join(format!("session{version}")).display().to_string();
        let request = request(path::FIND, bare.port);
        let first = s_client(bare.port, &[version, "-sess_out", &kept], &request)?.success()?;
        assert!(first.stdout.contains("New, TLSv1.") && !first.stdout.contains("TLS session ticket:"), "{first}");
        // Without a ticket openssl has nothing to keep in TLS 1.3, and something without any worth in TLS 1.2.
        if !PathBuf::from(&kept).exists() {
            continue;
        }
        let second = s_client(bare.port, &[version, "-sess_in", &kept], &request)?.success()?;
        assert!(second.stdout.contains("New, TLSv1.") && !second.stdout.contains("Reused, "), "{second}");
    }
    Ok(())
}

#[test]
fn the_tunnel_wants_a_certificate_and_the_interface_takes_none_of_a_session() -> Result<()> {
    let world = World::new()?;
    let port = world.gate().address().port();

    let ran = s_client(port, &["-alpn", "tapgate-ssh"], "SSH-2.0-test\r\n")?;
    assert!(ran.stderr.contains("certificate required") || ran.stdout.contains("certificate required"), "{ran}");
    assert!(!ran.stdout.contains("SSH-2.0-"), "{ran}");

    let files = LoginOnDisk::of(&world)?;
    let login = ["-cert", &files.certificate, "-key", &files.key];
    let mut options = vec!["-alpn", "tapgate-ssh"];
    options.extend(login);
    let mut tunnel = start_s_client(port, &options)?;
    tunnel.write(b"SSH-2.0-test\r\n")?;
    tunnel.wait_for("SSH-2.0-")?;
    drop(tunnel);

    // Asked for in every handshake: a second connection shows none, and is nobody.
    let url = format!("https://localhost:{port}{}", path::STATUS);
    let known = start_curl(&url, &["--cert", &files.certificate, "--key", &files.key])?.success()?;
    assert!(known.stdout.contains(" 200 OK") && known.stdout.contains("live_sessions"), "{known}");
    let nobody = start_curl(&url, &[])?.success()?;
    assert!(nobody.stdout.contains(" 401 ") && nobody.stdout.contains("tap login"), "{nobody}");

    let tapper = Tapper::new(&world, &world.jerry, "jerry")?;
    let key = KeyPair::make(&world.lab, "session")?;
    let (assertion, _) = tapper.assertion(&key, "prod3")?;
    let certificates = tapper.finish(&assertion)?;
    let certificate = world.lab.write("session.crt", &certificates.tls_certificate)?.display().to_string();
    let key = pkcs8(&world.lab, "session.key", &seed(&key)?)?;
    for path in [path::STATUS, path::TARGETS, path::FIND] {
        let url = format!("https://localhost:{port}{path}");
        let refused = start_curl(&url, &["--cert", &certificate, "--key", &key])?;
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused}");
    }
    Ok(())
}

#[test]
fn a_certificate_of_nobody_s_authority_is_refused() -> Result<()> {
    let bare = Bare::new()?;
    let (key, certificate) = (bare.lab.path().join("own.key"), bare.lab.path().join("own.crt"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let own =
        ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=olga", "-keyout", &key, "-out", &certificate];
    run("openssl", "openssl", own)?.success()?;
    let ran = start_curl(&bare.url(path::FIND), &["--cert", &certificate, "--key", &key])?;
    assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran}");
    assert!(ran.stderr.contains("unknown ca"), "{ran}");
    bare.is_well()
}

#[test]
fn an_expired_login_is_refused_and_says_what_to_do() -> Result<()> {
    let mut world = World::new()?;
    let files = LoginOnDisk::of(&world)?;
    let good = std::fs::read_to_string(&files.certificate)?;
    world.stop()?;
    let expired = expired(&world, &files)?;
    std::fs::write(&files.original, &expired)?;
    std::fs::write(&files.certificate, &expired)?;
    world.start()?;

    // The client's profile still says that the login holds: it is the gate that refuses.
    let ran = world.jerry.tap(["ls"])?;
    assert!(!ran.status.success() && ran.stderr.contains("tap login"), "{ran}");
    let url = format!("https://localhost:{}{}", world.gate().address().port(), path::STATUS);
    let refused = start_curl(&url, &["--cert", &files.certificate, "--key", &files.key])?;
    assert!(!refused.status.success() && refused.stderr.contains("certificate expired"), "{refused}");

    std::fs::write(&files.original, good)?;
    world.jerry.tap(["ls"])?.success()?;
    Ok(())
}

/// jerry's login certificate, and its key in the form that openssl and curl read.
struct LoginOnDisk {
    /// Where `tap` reads the certificate.
    original: PathBuf,
    certificate: String,
    key: String,
    spki: Vec<u8>,
}

impl LoginOnDisk {
    fn of(world: &World) -> Result<Self> {
        let folder = world.jerry.tap_home().join("keys").join(&world.address);
        let text = std::fs::read_to_string(folder.join("tls.key"))?;
        let der = STANDARD.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>())?;
        // RFC 8410: the secret half behind 16 bytes.
        let seed = der.get(16..48).context("not an Ed25519 key")?;
        let public = ssh_key::private::Ed25519Keypair::from_seed(seed.try_into()?).public.0;
        let key = pkcs8(&world.lab, "login.key", seed)?;
        // curl takes what stands behind a colon for a password: the folder's name has one.
        let original = folder.join("tls.crt");
        let copy = world.lab.write("login.crt", &std::fs::read_to_string(&original)?)?;
        let certificate = copy.display().to_string();
        Ok(Self { original, certificate, key, spki: [&SPKI_HEAD[..], &public].concat() })
    }
}

/// A certificate for jerry's own key that the gate's own authority signed, an hour too early.
fn expired(world: &World, files: &LoginOnDisk) -> Result<String> {
    let store = open_store(world)?;
    let entry = store.get(&format!("ca/{}", CaKind::Login.as_str()), 0)?.context("there is no login authority")?;
    let stored: serde_json::Value = serde_json::from_slice(&entry.value)?;
    let part = |name: &str| -> Result<Vec<u8>> {
        Ok(URL_SAFE_NO_PAD.decode(stored[name].as_str().context("the authority is stored otherwise")?)?)
    };
    let ca = X509Ca::from_parts(CaKind::Login, part("certificate")?.into(), &part("pkcs8")?)?;
    let issued = SystemClock.now().minus(std::time::Duration::from_hours(2));
    let expires = issued.plus(std::time::Duration::from_hours(1));
    let user = "jerry".parse()?;
    let subject = LoginSubject { user: &user, spki_der: &files.spki, source_ip: None, expires };
    let gate = world.pin.trim_start_matches("sha256:").parse().map_err(|e| anyhow::anyhow!("{e}"))?;
    let certificate = ca.issue_login(&subject, &gate, issued)?;
    Ok(pem("CERTIFICATE", &certificate))
}

/// The secret half of a key of ssh-keygen.
fn seed(key: &KeyPair) -> Result<[u8; 32]> {
    let private = ssh_key::PrivateKey::read_openssh_file(key.path())?;
    Ok(private.key_data().ed25519().context("no Ed25519 key")?.private.to_bytes())
}

/// An Ed25519 key in the one form that every TLS client reads.
fn pkcs8(lab: &Lab, name: &str, seed: &[u8]) -> Result<String> {
    let path = lab.write(name, &pem("PRIVATE KEY", &[&PKCS8_HEAD[..], seed].concat()))?;
    Ok(path.display().to_string())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
