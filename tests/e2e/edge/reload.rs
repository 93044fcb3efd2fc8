//! What an operator changes while the gate runs: resource files and the certificate for browsers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tapgate_api::path;
use tapgate_client::tls::Alpn;
use tapgate_lab::{CertAuthority, Certificate, Gate, Lab};

use super::bare::{Bare, config, run, s_client, start_curl};
use crate::world::{tapgate, until};

/// A change counts within two seconds; a loaded machine may add to that.
const COUNTS: Duration = Duration::from_secs(30);

/// Names that the certificate for browsers is for.
const NAMES: &str = "DNS:localhost";

/// A gate with something more in its configuration.
pub(super) fn gate_with(lab: Lab, more: &str) -> Result<Bare> {
    let (port, admin_port) = (lab.port()?, lab.port()?);
    let config = config(&lab, "tapgate.yaml", port, admin_port, "data")?;
    let text = fs::read_to_string(&config)? + more;
    fs::write(&config, text)?;
    let gate = Gate::start_again(&config)?;
    Ok(Bare { gate, config, port, admin_port, lab })
}

fn put(certificate: &Certificate, folder: &Path) -> Result<()> {
    for (from, to) in [(&certificate.certificate, "chain.pem"), (&certificate.key, "key.pem")] {
        fs::copy(from, folder.join(to)).with_context(|| format!("can't put {to}"))?;
    }
    Ok(())
}

/// What the gate answers to who trusts this authority alone.
fn trusted(bare: &Bare, authority: &CertAuthority) -> Result<bool> {
    let ca = authority.path().display().to_string();
    let arguments =
        ["-sS", "--noproxy", "*", "--max-time", "40", "--cacert", &ca, "-o", "/dev/null", &bare.url(path::FIND)];
    Ok(run("curl", "curl", arguments)?.status.success())
}

#[test]
fn browsers_are_shown_the_operators_certificate_and_taps_client_the_pinned_one() -> Result<()> {
    let lab = Lab::new()?;
    let (first, second) = (CertAuthority::make(&lab, "first")?, CertAuthority::make(&lab, "second")?);
    let folder = lab.dir("tls")?;
    put(&first.server("one", NAMES)?, &folder)?;
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
    let bare = gate_with(lab, &format!("tls:\n  certificate: {chain}\n  key: {key}\n"))?;

    assert!(trusted(&bare, &first)? && !trusted(&bare, &second)?);
    // The pin still holds for who knows the gate by it; so does a stock client that names nobody.
    assert!(bare.key_exchange(Alpn::Http)?.contains("X25519"));
    let nameless = s_client(bare.port, &["-noservername"], "")?;
    assert!(!nameless.stdout.contains("CN = first"), "{nameless}");

    // A new one counts without a restart, and a broken one not at all.
    put(&second.server("two", NAMES)?, &folder)?;
    until("the second certificate", COUNTS, || trusted(&bare, &second))?;
    fs::write(folder.join("key.pem"), "no key")?;
    let said = || bare.gate.process().stderr().contains("holds no private key in PEM");
    until("the broken key in the log", COUNTS, || Ok(said()))?;
    assert!(trusted(&bare, &second)?);

    // The key of another certificate is none, and `check` says so before a start does.
    fs::copy(first.server("three", NAMES)?.key, folder.join("key.pem"))?;
    let file = bare.config.display().to_string();
    let ran = tapgate(&["check", "--config", &file])?.failure(1)?;
    assert!(ran.stderr.contains("is not the key of"), "{ran}");
    Ok(())
}

#[test]
fn resource_files_count_when_they_change_and_broken_ones_leave_the_old() -> Result<()> {
    let lab = Lab::new()?;
    let folder = lab.dir("resources")?;
    let preference = |factors: &str| {
        format!(
            "kind: cluster_auth_preference\nversion: v2\nmetadata: {{ name: cluster-auth-preference }}\nspec:\n  type: \
             local\n  second_factors: [{factors}]\n  webauthn: {{ rp_id: localhost }}\n"
        )
    };
    let file = folder.join("preference.yaml");
    fs::write(&file, preference("webauthn"))?;
    let bare = gate_with(lab, &format!("resources: {}\n", folder.display()))?;
    let allows_codes = || Ok(start_curl(&bare.url(path::FIND), &[])?.success()?.stdout.contains("otp"));
    assert!(!allows_codes()?);

    fs::write(&file, preference("webauthn, otp"))?;
    until("the second factor of the changed file", COUNTS, allows_codes)?;

    fs::write(&file, preference("webauthn, telepathy"))?;
    let said = |what: &str| Ok(bare.gate.process().stderr().contains(what));
    until("the broken file in the log", COUNTS, || said("telepathy"))?;
    assert!(allows_codes()?, "the old stays");

    // A signal is for who does not want to wait.
    fs::write(&file, preference("webauthn"))?;
    bare.gate.process().signal(Signal::SIGHUP);
    until("the mended file", COUNTS, || allows_codes().map(|codes| !codes))?;
    bare.is_well()
}
