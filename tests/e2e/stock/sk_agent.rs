//! A security key in software, behind OpenSSH's agent protocol: it signs with whatever flags and count a test wants.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use tapgate_lab::Lab;

/// Somebody touched the key.
pub(super) const TOUCHED: u8 = 0x01;
/// And gave its PIN.
pub(super) const VERIFIED: u8 = 0x05;

enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

struct State {
    flags: u8,
    counter: u32,
    application: String,
    /// What is offered: the key, or its certificate.
    offered: Vec<u8>,
}

/// The key and its agent.
pub(super) struct SkAgent {
    /// The `.pub` file.
    pub(super) public: PathBuf,
    /// Where ssh finds the agent.
    pub(super) socket: PathBuf,
    state: Arc<Mutex<State>>,
}

impl SkAgent {
    /// A new key of this sort, and an agent that holds it alone.
    pub(super) fn start(lab: &Lab, name: &str, ecdsa: bool) -> Result<Self> {
        let key = if ecdsa {
            Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
        } else {
            Key::Ed25519(Ed25519KeyPair::generate()?)
        };
        let blob = key.blob();
        let line = format!("{} {} {name}\n", key.name(), BASE64_STANDARD.encode(&blob));
        let public = lab.write(&format!("{name}.pub"), &line)?;
        let socket = lab.path().join(format!("{name}.agent"));
        let listener = UnixListener::bind(&socket)?;
        let state = State { flags: TOUCHED, counter: 0, application: "ssh:".to_owned(), offered: blob };
        let state = Arc::new(Mutex::new(state));
        let (key, shared) = (Arc::new(key), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (key, state) = (Arc::clone(&key), Arc::clone(&shared));
                std::thread::spawn(move || drop(serve(stream, &key, &state)));
            }
        });
        Ok(Self { public, socket, state })
    }

    /// What it says of the next touch.
    pub(super) fn next(&self, flags: u8, counter: u32) {
        let mut state = self.state.lock().unwrap();
        (state.flags, state.counter) = (flags, counter - 1);
    }

    /// It offers the certificate in this line in place of the key.
    pub(super) fn offer(&self, line: &str) -> Result<()> {
        let blob = line.split_whitespace().nth(1).context("no certificate")?;
        self.state.lock().unwrap().offered = BASE64_STANDARD.decode(blob)?;
        Ok(())
    }

    /// It signs for this application from now on, whatever its public key says.
    pub(super) fn sign_for(&self, application: &str) {
        application.clone_into(&mut self.state.lock().unwrap().application);
    }
}

impl Key {
    const fn name(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "sk-ssh-ed25519@openssh.com",
            Self::P256(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = string(self.name().as_bytes());
        match self {
            Self::Ed25519(pair) => blob.extend(string(pair.public_key().as_ref())),
            Self::P256(pair) => {
                blob.extend(string(b"nistp256"));
                blob.extend(string(pair.public_key().as_ref()));
            }
        }
        blob.extend(string(b"ssh:"));
        blob
    }

    fn sign(&self, data: &[u8], state: &mut State) -> Result<Vec<u8>> {
        state.counter += 1;
        let (flags, counter) = ([state.flags], state.counter.to_be_bytes());
        let application = digest(&SHA256, state.application.as_bytes());
        let signed = [application.as_ref(), &flags, &counter, digest(&SHA256, data).as_ref()].concat();
        let raw = match self {
            Self::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
            Self::P256(pair) => {
                let both = pair.sign(&SystemRandom::new(), &signed)?;
                let (r, s) = both.as_ref().split_at(32);
                [number(r), number(s)].concat()
            }
        };
        Ok([string(self.name().as_bytes()), string(&raw), flags.to_vec(), counter.to_vec()].concat())
    }
}

/// Answers one client: which keys there are, and signatures by the one.
fn serve(mut stream: UnixStream, key: &Key, state: &Mutex<State>) -> Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length))?];
        stream.read_exact(&mut request)?;
        let (&kind, mut rest) = request.split_first().context("an empty request")?;
        let mut state = state.lock().unwrap();
        let answer = match kind {
            11 => [vec![12, 0, 0, 0, 1], string(&state.offered), string(b"key")].concat(),
            13 => {
                let _ = take(&mut rest)?;
                let data = take(&mut rest)?;
                [vec![14], string(&key.sign(data, &mut state)?)].concat()
            }
            _ => vec![5],
        };
        stream.write_all(&string(&answer))?;
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn number(bytes: &[u8]) -> Vec<u8> {
    let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { vec![0] } else { Vec::new() };
    string(&[sign, bytes].concat())
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>().context("a cut request")?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length))?).context("cut")?;
    *rest = after;
    Ok(string)
}
