//! The agent over a real socket: what it keeps, what it signs, and when it ends.

use std::error::Error;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::{Ed25519PublicKey, KeyData};
use ssh_key::{PrivateKey, PublicKey};
use tapgate_api::SessionCertificates;
use tapgate_client::agent::client::AgentClient;
use tapgate_client::agent::wire::Window;
use tapgate_client::keys::SessionKey;
use tapgate_client::ssh_agent::{CERTIFICATE_ALGORITHM, string};
use tapgate_model::{Clock as _, SystemClock};

type Outcome = Result<(), Box<dyn Error>>;

fn agent(folder: &Path) -> AgentClient {
    AgentClient::at(folder.join("agent.sock"), env!("CARGO_BIN_EXE_tap").into())
}

fn window(target: &str) -> Window {
    Window {
        gate: "localhost:3080".into(),
        user: "jerry".into(),
        kind: "node".into(),
        target: target.into(),
        login: "jerry".into(),
    }
}

/// Certificates for this key that end after so many seconds, and the SSH one as bytes.
fn certificates(key: &SessionKey, secs: u64) -> Result<(SessionCertificates, Vec<u8>), Box<dyn Error>> {
    let ca = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[9; 32])), "ca")?;
    let mut raw = [0; 32];
    raw.copy_from_slice(&key.spki()[12..]);
    let public = PublicKey::new(KeyData::Ed25519(Ed25519PublicKey(raw)), "");
    let expires = SystemClock.now().plus(Duration::from_secs(secs)).as_secs();
    let mut builder = Builder::new(vec![7; 16], public.key_data().clone(), 0, expires)?;
    builder.cert_type(CertType::User)?.valid_principal("jerry@prod3")?;
    let certificate = builder.sign(&ca)?;
    let both = SessionCertificates {
        tls_certificate: String::new(),
        ssh_certificate: certificate.to_openssh()?,
        expires,
        reusable: true,
    };
    Ok((both, certificate.to_bytes()?))
}

/// What an SSH client signs to log in as `user`.
fn request(user: &str, certificate: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut put = |bytes: &[u8]| string(&mut data, bytes).unwrap_or_default();
    put(b"session");
    data.push(50);
    let mut put = |bytes: &[u8]| string(&mut data, bytes).unwrap_or_default();
    put(user.as_bytes());
    put(b"ssh-connection");
    put(b"publickey");
    data.push(1);
    let mut put = |bytes: &[u8]| string(&mut data, bytes).unwrap_or_default();
    put(CERTIFICATE_ALGORITHM.as_bytes());
    put(certificate);
    data
}

#[tokio::test]
async fn a_window_is_kept_and_signs_for_itself_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let agent = agent(folder.path());
    assert_eq!(agent.find(window("prod3")).await?, None, "no agent, no window");

    let key = SessionKey::generate()?;
    let (both, blob) = certificates(&key, 300)?;
    let kept = agent.put(window("prod3"), both.clone(), key.seed()).await?;
    assert_eq!(agent.find(window("prod3")).await?, Some(kept.clone()));
    assert_eq!(agent.find(window("prod4")).await?, None);
    let mode = std::fs::metadata(folder.path().join("agent.sock"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let data = request("jerry@prod3", &blob);
    assert_eq!(agent.sign(kept.id, &data).await?, key.sign(&data));
    for (id, bad) in [
        (kept.id, request("root@prod3", &blob)),
        (kept.id, request("jerry@prod3", b"another certificate")),
        (kept.id, b"anything else".to_vec()),
        (kept.id + 1, data.clone()),
    ] {
        assert!(agent.sign(id, &bad).await.is_err());
    }

    agent.clear().await?;
    assert_eq!(agent.find(window("prod3")).await?, None);
    assert!(agent.sign(kept.id, &data).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_key_and_its_certificate_must_fit() -> Outcome {
    let folder = tempfile::tempdir()?;
    let agent = agent(folder.path());
    let (ours, other) = (SessionKey::generate()?, SessionKey::generate()?);
    let (both, _) = certificates(&other, 300)?;
    assert!(agent.put(window("prod3"), both, ours.seed()).await.is_err());
    let (mut once, _) = certificates(&ours, 300)?;
    once.reusable = false;
    assert!(agent.put(window("prod3"), once, ours.seed()).await.is_err(), "one use is not kept");
    agent.clear().await?;
    Ok(())
}

#[tokio::test]
async fn the_agent_ends_with_its_last_window() -> Outcome {
    let folder = tempfile::tempdir()?;
    let agent = agent(folder.path());
    let key = SessionKey::generate()?;
    let (both, _) = certificates(&key, 2)?;
    agent.put(window("prod3"), both, key.seed()).await?;
    assert_eq!(agent.find(window("prod3")).await?, None, "a window that is nearly over is not offered");
    let socket = folder.path().join("agent.sock");
    for _ in 0..100 {
        if !socket.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the agent has outlived its window".into())
}

#[tokio::test]
async fn two_starts_make_one_agent() -> Outcome {
    let folder = tempfile::tempdir()?;
    let agent = agent(folder.path());
    let (one, two) = (SessionKey::generate()?, SessionKey::generate()?);
    let (first, _) = certificates(&one, 300)?;
    let (second, _) = certificates(&two, 300)?;
    let (a, b) =
        tokio::join!(agent.put(window("prod3"), first, one.seed()), agent.put(window("prod4"), second, two.seed()));
    assert!(a.is_ok() && b.is_ok());
    assert!(agent.find(window("prod3")).await?.is_some());
    assert!(agent.find(window("prod4")).await?.is_some());
    agent.clear().await?;
    Ok(())
}
