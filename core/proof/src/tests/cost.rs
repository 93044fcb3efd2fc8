//! What verification costs beside the one signature.

use std::time::{Duration, Instant};

use super::{RANDOM, judge, parts, rp};
use crate::Statement;
use crate::challenge::sha256;
use crate::testing::SoftKey;

/// The fastest of many runs, which the load of the machine hardly touches.
fn fastest(mut work: impl FnMut()) -> Duration {
    let runs = (0..300).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    runs.min().unwrap_or_default()
}

#[test]
fn one_signature_and_little_else() {
    let key = SoftKey::generate();
    let proof = key.tap(&Statement::new(parts()).unwrap(), RANDOM, &rp());
    let digest = sha256(&[&proof.client_data_json]);
    let message = [&proof.authenticator_data[..], digest.as_bytes()].concat();
    let signature = fastest(|| assert!(key.key().verifies(&message, &proof.signature)));
    let whole = fastest(|| assert!(judge(&key, &proof, |_| ()).is_ok()));
    let refused = fastest(|| assert!(judge(&key, &proof, |e| e.at = super::at(900)).is_err()));
    eprintln!("signature {signature:?}, verify {whole:?}, refused {refused:?}");
    // Optimised, the rest takes a tenth of the signature's time; a debug build leaves only the signature fast.
    assert!(whole < signature * 3, "verifying costs {whole:?}, of which the signature {signature:?}");
    assert!(refused < whole);
}
