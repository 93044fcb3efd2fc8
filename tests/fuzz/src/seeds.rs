//! What a body's runs begin with: good inputs of today's schema, and the corpus on disk.

use std::fs;
use std::path::Path;

use tapgate_model::{Digest, Kind, Login, TargetRef, TargetUid, UnixTime};
use tapgate_proof::{Holder, Proof, Purpose, Statement, StatementParts, StatementTarget, Uses};

/// The first inputs of a body, never none. The corpus holds inputs that no code makes: certificates of real
/// tools, and whatever once broke a body.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    seeds.extend(made(name));
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = fs::read_dir(corpus).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    seeds.extend(paths.into_iter().filter_map(|path| fs::read(path).ok()));
    seeds
}

fn made(name: &str) -> Option<Vec<u8>> {
    match name {
        "proof_statement" => Some(statement()?.to_der().clone()),
        "proof_proof" | "identity_payload" => proof()?.to_der().ok(),
        "postgres_conversation" => Some(statements()),
        "postgres_login" => Some(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec()),
        "postgres_startup" => Some(b"\0\x03\0\0user\0app@orders\0database\0shop\0\0".to_vec()),
        "ssh_conversation" => Some(conversation()),
        _ => None,
    }
}

fn statement() -> Option<Statement> {
    let digest = Digest::from_bytes([7; 32]);
    let target = TargetRef { kind: Kind::Node, name: "prod3".parse().ok()?, uid: TargetUid::from_bytes([3; 16]) };
    let parts = StatementParts {
        gate: digest,
        purpose: Purpose::Session,
        user: "jerry".parse().ok()?,
        uses: Uses::Window,
        source_ip: Some([192, 0, 2, 7].into()),
        action: None,
        targets: vec![StatementTarget {
            target,
            login: Login::Unix("root".parse().ok()?),
            holder: Holder::SessionKey(digest),
        }],
        created: UnixTime::from_secs(1_800_000_000),
        expires: UnixTime::from_secs(1_800_000_300),
    };
    Statement::new(parts).ok()
}

fn proof() -> Option<Proof> {
    Some(Proof {
        random: [5; 32],
        statement: statement()?.to_der().clone(),
        credential_id: vec![9; 32],
        authenticator_data: vec![1; 37],
        client_data_json: br#"{"type":"webauthn.get","challenge":"","origin":"http://localhost:3080"}"#.to_vec(),
        signature: vec![2; 71],
    })
}

/// A simple query and a prepared one, and what a server answers: the first byte is how long the client's side is.
fn statements() -> Vec<u8> {
    let client =
        b"Q\0\0\0\x0dselect 1\0P\0\0\0\x11\0select 2\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";
    let target = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I1\0\0\0\x042\0\0\0\x04E\0\0\0\x0eC42P01\0Mx\0Z\0\0\0\x05I";
    let length = u8::try_from(client.len()).unwrap_or_default();
    [&[length], &client[..], &target[..]].concat()
}

/// The client opens a session channel, the target confirms it, and both send data: each chunk is the sender,
/// its length, and one packet.
fn conversation() -> Vec<u8> {
    let open = [&[90, 0, 0, 0, 7][..], b"session", &[0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 128, 0]].concat();
    let confirmation = [91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 128, 0];
    let data = [94, 0, 0, 0, 0, 0, 0, 0, 2, b'l', b's'];
    let packets: [(u8, &[u8]); 4] = [(0, &open), (1, &confirmation), (0, &data), (1, &data)];
    packets
        .iter()
        .flat_map(|(head, packet)| {
            let length = u8::try_from(packet.len()).unwrap_or_default();
            [*head, length].into_iter().chain(packet.iter().copied())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_made() {
        for name in ["proof_statement", "proof_proof", "ssh_conversation", "postgres_conversation", "postgres_login"] {
            assert!(made(name).is_some_and(|seed| seed.len() > 20), "{name}");
        }
        assert!(Statement::from_der(&made("proof_statement").unwrap()).is_ok());
        assert!(Proof::from_der(&made("proof_proof").unwrap()).is_ok());
    }
}
