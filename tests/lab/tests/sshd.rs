//! The lab's own ground: a real ssh opens a real sshd with a certificate, and nothing else does.

use std::path::Path;

use anyhow::Result;
use tapgate_lab::{Client, KeyPair, Lab, Ran, Sshd, SshdOptions};

/// Runs `echo` on the server with a key and its certificate.
fn ssh(client: &Client, sshd: &Sshd, key: &KeyPair, certificate: &Path) -> Result<Ran> {
    let identity = format!("IdentityFile={}", key.path().display());
    let certificate = format!("CertificateFile={}", certificate.display());
    let port = sshd.address().port().to_string();
    let user = Sshd::login()?;
    let options = ["-o", &identity, "-o", &certificate, "-o", "BatchMode=yes", "-p", &port, "-l", &user];
    client.ssh(options.into_iter().chain(["127.0.0.1", "echo here; exit 4"]))
}

/// Writes the one line of known hosts that a client needs.
fn know(client: &Client, sshd: &Sshd) -> Result<()> {
    let line = format!("[127.0.0.1]:{} {}\n", sshd.address().port(), sshd.host_key());
    Ok(std::fs::write(client.home().join("known_hosts"), line)?)
}

fn trusting(ca: &KeyPair) -> SshdOptions {
    SshdOptions { user_cas: vec![ca.public().to_owned()], ..SshdOptions::default() }
}

#[test]
fn a_certificate_of_the_trusted_authority_opens() -> Result<()> {
    let lab = Lab::new()?;
    let (ca, key) = (KeyPair::make(&lab, "ca")?, KeyPair::make(&lab, "key")?);
    let sshd = Sshd::start(&lab, "prod3", trusting(&ca))?;
    let client = Client::new(&lab, "jerry")?;
    know(&client, &sshd)?;
    assert_eq!(sshd.connections(), 0);
    let certificate = ca.sign_user(&key, &Sshd::login()?)?;
    let ran = ssh(&client, &sshd, &key, &certificate)?.failure(4)?;
    assert_eq!(ran.stdout, "here\n");
    assert_eq!(sshd.connections(), 1);
    assert!(sshd.log().contains("Accepted publickey"), "{}", sshd.log());
    Ok(())
}

#[test]
fn nothing_else_opens() -> Result<()> {
    let lab = Lab::new()?;
    let (ca, foreign) = (KeyPair::make(&lab, "ca")?, KeyPair::make(&lab, "foreign")?);
    let (key, other) = (KeyPair::make(&lab, "key")?, KeyPair::make(&lab, "other")?);
    let sshd = Sshd::start(&lab, "prod3", trusting(&ca))?;
    let client = Client::new(&lab, "jerry")?;
    know(&client, &sshd)?;
    let of_a_foreign_authority = foreign.sign_user(&key, &Sshd::login()?)?;
    ssh(&client, &sshd, &key, &of_a_foreign_authority)?.failure(255)?;
    let for_somebody_else = ca.sign_user(&other, "nobody-of-this-name")?;
    ssh(&client, &sshd, &other, &for_somebody_else)?.failure(255)?;
    ssh(&client, &sshd, &key, Path::new("none"))?.failure(255)?;
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
    Ok(())
}

#[test]
fn a_host_certificate_is_known_by_its_authority() -> Result<()> {
    let lab = Lab::new()?;
    let (ca, key, host_ca) = (KeyPair::make(&lab, "ca")?, KeyPair::make(&lab, "key")?, KeyPair::make(&lab, "hosts")?);
    let sshd = Sshd::start(&lab, "prod3", SshdOptions { host_ca: Some(host_ca.clone()), ..trusting(&ca) })?;
    let client = Client::new(&lab, "jerry")?;
    let line = format!("@cert-authority * {}\n", host_ca.public());
    std::fs::write(client.home().join("known_hosts"), line)?;
    let certificate = ca.sign_user(&key, &Sshd::login()?)?;
    ssh(&client, &sshd, &key, &certificate)?.failure(4)?;
    Ok(())
}

#[test]
fn a_dropped_server_cuts_its_connections() -> Result<()> {
    let lab = Lab::new()?;
    let (ca, key) = (KeyPair::make(&lab, "ca")?, KeyPair::make(&lab, "key")?);
    let sshd = Sshd::start(&lab, "prod3", trusting(&ca))?;
    let client = Client::new(&lab, "jerry")?;
    know(&client, &sshd)?;
    ca.sign_user(&key, &Sshd::login()?)?;
    let identity = format!("IdentityFile={}", key.path().display());
    let port = sshd.address().port().to_string();
    let user = Sshd::login()?;
    let options = ["-o", &identity, "-p", &port, "-l", &user, "127.0.0.1", "echo up; exec cat"];
    let mut session = client.start_ssh(options)?;
    session.wait_for("up")?;
    drop(sshd);
    let status = session.wait(std::time::Duration::from_secs(30))?;
    assert_eq!(status.code(), Some(255));
    Ok(())
}

#[test]
fn a_broken_configuration_is_told_at_the_start() -> Result<()> {
    let lab = Lab::new()?;
    let options = SshdOptions { config: vec!["NoSuchKeyword yes".to_owned()], ..SshdOptions::default() };
    let error = Sshd::start(&lab, "prod3", options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("NoSuchKeyword"), "{error}");
    Ok(())
}

#[test]
fn the_node_document_names_what_the_gate_needs() -> Result<()> {
    let lab = Lab::new()?;
    let labels = vec![("env".to_owned(), "prod".to_owned())];
    let sshd = Sshd::start(&lab, "prod3", SshdOptions { labels, ..SshdOptions::default() })?;
    let yaml = sshd.node_yaml();
    for part in ["kind: node\n", "  name: prod3\n", "    env: \"prod\"\n", sshd.host_key()] {
        assert!(yaml.contains(part), "{yaml}");
    }
    assert!(yaml.contains(&format!("  addr: {}\n", sshd.address())), "{yaml}");
    Ok(())
}
