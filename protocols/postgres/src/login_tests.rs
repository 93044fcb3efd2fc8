//! Tests of logging in: targets of every kind, the bad ones too.

use tokio::io::DuplexStream;

use super::*;

/// A password, read from a file as the gate reads it.
fn password() -> Password {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    std::fs::write(&path, "geheim").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Password::read(&path).unwrap()
}

fn request_of(kind: u32, more: &[u8]) -> Vec<u8> {
    wire::frame(b'R', &[&kind.to_be_bytes(), more].concat())
}

/// The gate logs in to a target that says these bytes, whatever it hears; answers what it heard.
async fn against(said: &[u8], password: Option<&Password>, clear: bool) -> (Result<(), LoginError>, Vec<u8>) {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    far.write_all(said).await.unwrap();
    far.shutdown().await.unwrap();
    let credentials = Credentials { user: "app", password, clear, binding: None };
    let result = log_in(&mut near, credentials).await;
    drop(near);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    (result, heard)
}

#[tokio::test]
async fn what_is_asked_is_answered_where_it_may_be() {
    let password = password();
    let ok = request_of(0, b"");
    assert!(against(&ok, None, false).await.0.is_ok());
    let notice = wire::frame(b'N', b"SNOTICE\0\0");
    assert!(against(&[notice, ok.clone()].concat(), None, false).await.0.is_ok());

    let clear = [request_of(3, b""), ok.clone()].concat();
    let (refused, heard) = against(&clear, Some(&password), false).await;
    assert!(matches!(refused, Err(LoginError::Clear)) && heard.is_empty());
    assert!(matches!(against(&clear, None, false).await.0, Err(LoginError::NoPassword)));
    let (let_in, heard) = against(&clear, Some(&password), true).await;
    assert!(let_in.is_ok());
    assert_eq!(heard, b"p\0\0\0\x0bgeheim\0");

    let (let_in, heard) = against(&[request_of(5, b"salt"), ok].concat(), Some(&password), false).await;
    assert!(let_in.is_ok() && heard[5..].starts_with(b"md5") && heard.len() == 5 + 35 + 1);
}

#[tokio::test]
async fn targets_that_cannot_be_believed() {
    let password = password();
    let refusals = [
        (wire::frame(b'E', b"SFATAL\0C28P01\0Mno\0\0"), "it refuses: no"),
        (wire::frame(b'Z', b"I"), "something else where it must say how to log in"),
        (request_of(7, b""), "GSSAPI"),
        (request_of(4711, b""), "number 4711"),
        (request_of(10, b"SCRAM-SHA-1\0\0"), "SASL without SCRAM-SHA-256"),
        (request_of(10, b"SCRAM-SHA-256-PLUS\0\0"), "SASL without SCRAM-SHA-256"),
        (request_of(5, b"ab"), "no salt"),
        (wire::frame(b'R', b"\0\0"), "an authentication without a kind"),
        (b"R\x7f\xff\xff\xff".to_vec(), "a message of an impossible length"),
        (b"R\0\0\0\x02".to_vec(), "a message of an impossible length"),
        (b"R\0\x10\0\0".to_vec(), "a message of an impossible length"),
        (b"R\0\0".to_vec(), "broke"),
        (Vec::new(), "broke"),
        // It lets in without proving that it knows the password.
        ([request_of(10, b"SCRAM-SHA-256\0\0"), request_of(0, b"")].concat(), "left the exchange"),
        ([request_of(10, b"SCRAM-SHA-256\0\0"), request_of(11, b"r=x,s=AAAA,i=1")].concat(), "could not prove"),
        ([request_of(10, b"SCRAM-SHA-256\0\0"), request_of(3, b"")].concat(), "left the exchange"),
    ];
    for (said, words) in refusals {
        let error = against(&said, Some(&password), false).await.0.unwrap_err().to_string();
        assert!(error.contains(words), "{error} / {words}");
    }
}

/// Reads the gate's answer and gives its body.
async fn heard(far: &mut DuplexStream) -> Vec<u8> {
    let (kind, body) = message(far).await.unwrap();
    assert_eq!(kind, b'p');
    body
}

#[tokio::test]
async fn scram_goes_on_to_the_targets_own_proof() {
    let password = password();
    let (mut near, mut far) = tokio::io::duplex(1 << 16);
    let binding = Some(vec![7; 32]);
    let credentials = Credentials { user: "app", password: Some(&password), clear: false, binding };
    let target = async {
        far.write_all(&request_of(10, b"SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0")).await.unwrap();
        let first = String::from_utf8(heard(&mut far).await).unwrap();
        assert!(first.starts_with("SCRAM-SHA-256-PLUS\0"), "the binding is used where it is offered: {first}");
        assert!(first.contains("p=tls-server-end-point,,n=,r="));
        let nonce = first.rsplit("r=").next().unwrap();
        let challenge = format!("r={nonce}more,s=c2FsdHNhbHQ=,i=4096");
        far.write_all(&request_of(11, challenge.as_bytes())).await.unwrap();
        let last = String::from_utf8(heard(&mut far).await).unwrap();
        assert!(last.starts_with("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws") && last.contains(",p="), "{last}");
        // A target that does not know the password can't make this.
        far.write_all(&request_of(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).await.unwrap();
        far.write_all(&request_of(0, b"")).await.unwrap();
    };
    let (result, ()) = tokio::join!(log_in(&mut near, credentials), target);
    assert!(matches!(result, Err(LoginError::Scram(_))));
}
