//! What the two legs offer: key exchange, ciphers, identification strings and limits of russh.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::ssh_key::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

use crate::limits::{AUTH_TRIES_MAX, CHANNEL_WINDOW_MAX, CHANNELS_MAX};

/// AES-GCM costs less than half of what `ChaCha20` does, and the client's order decides. So `ChaCha20`
/// is not offered to clients; one without GCM gets CTR.
const CLIENT_CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];

/// On this leg our own order decides, so that `ChaCha20` may stand behind.
const TARGET_CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// What servers of before 2018 may need. Each is weak against somebody who can record much or compute much; none
/// gives the session away to a mere listener.
const LEGACY_KEX: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA1,
    // Last: servers pick groups of 8192 bits for it, which take a second of somebody's time.
    kex::DH_GEX_SHA1,
];

/// The same.
const LEGACY_CIPHERS: &[cipher::Name] = &[cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];

/// The same.
const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// Compression before encryption tells lengths, and costs more than it saves.
const NO_COMPRESSION: &[compression::Name] = &[compression::NONE];

/// The server towards clients.
pub(crate) fn server(host_key: PrivateKey, host_certificate: Certificate) -> russh::server::Config {
    russh::server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Tapgate_0.1")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // There is no secret to guess here: a certificate is signed or it isn't.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        certificates: vec![host_certificate],
        window_size: in_flight(),
        maximum_packet_size: 65_535,
        event_buffer_size: 256,
        preferred: Preferred {
            cipher: Cow::Borrowed(CLIENT_CIPHERS),
            compression: Cow::Borrowed(NO_COMPRESSION),
            key: without_sha1(),
            ..Preferred::DEFAULT
        },
        max_auth_attempts: AUTH_TRIES_MAX,
        // The relay has its own keepalives, since answers carry no number and only it knows whose they are.
        inactivity_timeout: None,
        keepalive_interval: None,
        nodelay: true,
        ..russh::server::Config::default()
    }
}

/// The client towards a target whose host keys are these, and which may show a host certificate; `legacy` adds what
/// only old servers need, behind all else.
pub(crate) fn client(pinned: &[PublicKey], certified: bool, legacy: bool) -> russh::client::Config {
    let all = if legacy { Preferred::DEFAULT.key } else { without_sha1() };
    // As OpenSSH does: the kinds of key that are known come first, or a target with several keys
    // would show one that is not.
    let (known, other): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|a| pinned.iter().any(|key| same_kind(a, &key.algorithm())));
    russh::client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Tapgate_0.1")),
        window_size: in_flight(),
        maximum_packet_size: 65_535,
        preferred: Preferred {
            kex: with(legacy, Preferred::DEFAULT.kex, LEGACY_KEX),
            cipher: with(legacy, Cow::Borrowed(TARGET_CIPHERS), LEGACY_CIPHERS),
            mac: with(legacy, Preferred::DEFAULT.mac, LEGACY_MACS),
            compression: Cow::Borrowed(NO_COMPRESSION),
            host_key_certificates: if certified { all } else { Cow::Borrowed(&[]) },
            key: [known, other].concat().into(),
        },
        inactivity_timeout: None,
        keepalive_interval: None,
        nodelay: true,
        ..russh::client::Config::default()
    }
}

/// A list, with what is for old servers behind it where that is wished for.
fn with<T: Clone>(legacy: bool, list: Cow<'static, [T]>, old: &[T]) -> Cow<'static, [T]> {
    if legacy { [list.as_ref(), old].concat().into() } else { list }
}

/// russh gives no channels here, but takes twice this as what may be on its way when it asks for
/// new keys.
fn in_flight() -> u32 {
    CHANNEL_WINDOW_MAX.saturating_mul(u32::try_from(CHANNELS_MAX).unwrap_or(u32::MAX)) / 2
}

fn without_sha1() -> Cow<'static, [Algorithm]> {
    Preferred::DEFAULT.key.iter().filter(|a| !matches!(a, Algorithm::Rsa { hash: None })).cloned().collect()
}

fn same_kind(offered: &Algorithm, known: &Algorithm) -> bool {
    let rsa = |a: &Algorithm| matches!(a, Algorithm::Rsa { .. });
    offered == known || (rsa(offered) && rsa(known))
}

/// A key's fingerprint, as OpenSSH prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
