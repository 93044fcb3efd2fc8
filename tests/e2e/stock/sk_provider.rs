//! The stock OpenSSH with a security key of its own making: it enrols, signs and asks for PINs through a provider, as with
//! a key on USB. The odd answers that no key gives are `sk_agent`'s.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use tapgate_lab::{Client, Ran, own_library, program};

use super::approver::REST;
use crate::world::{World, login_files, text};

/// A key that the real ssh-keygen made.
struct SecurityKey<'a> {
    world: &'a World,
    /// Its owner, with whom the provider finds its count and ssh its PIN.
    owner: Client,
    provider: String,
    path: PathBuf,
    /// What the provider says of the next touch.
    touches: PathBuf,
}

fn at(path: &Path) -> String {
    path.display().to_string()
}

impl<'a> SecurityKey<'a> {
    /// Makes a key of this type, with these options of ssh-keygen's.
    fn make(world: &'a World, name: &str, kind: &str, options: &[&str]) -> Result<Self> {
        let key = Self::at(world, name)?;
        let words = ["-q", "-t", kind, "-w", &key.provider, "-N", "", "-C", name, "-f", &at(&key.path)];
        let words = words.iter().chain(options).map(ToString::to_string);
        key.owner.start(&program("ssh-keygen", "openssh-client")?, words)?.finish(REST)?.success()?;
        Ok(key)
    }

    /// What belongs to a key of this name.
    fn at(world: &'a World, name: &str) -> Result<Self> {
        let askpass = world.lab.write("askpass", "#!/bin/sh\necho 4711\n")?;
        std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let (path, touches) = (world.lab.dir("sk")?.join(name), world.lab.path().join(format!("{name}.touches")));
        let owner = world.jerry.clone().with("TAPGATE_SK_STATE", &touches);
        let owner = owner.with("SSH_ASKPASS", askpass).with("SSH_ASKPASS_REQUIRE", "force");
        Ok(Self { world, owner, provider: at(&own_library("tapgate_skprovider")?), path, touches })
    }

    /// A copy of it, which counts for itself: what whoever has broken a key open would have.
    fn copy(&self, name: &str) -> Result<Self> {
        let copy = Self::at(self.world, name)?;
        std::fs::copy(&self.path, &copy.path)?;
        Ok(copy)
    }

    fn public(&self) -> PathBuf {
        self.path.with_extension("pub")
    }

    /// Its user registers it.
    fn register(&self) -> Result<Ran> {
        self.owner.tap(["ssh-key", "add", &at(&self.public())])?.success()
    }

    /// From now on its touches have these flags.
    fn answer(&self, flags: &str, counter: u32) -> Result<()> {
        Ok(std::fs::write(&self.touches, format!("{flags} {counter}\n"))?)
    }

    /// What ssh and scp must know to reach a target, but for the key.
    fn way(&self, target: &str) -> Vec<String> {
        let known_hosts = login_files(self.world, &self.world.jerry).known_hosts;
        let options = [
            "HostName=localhost".to_owned(),
            "HostKeyAlias=localhost".to_owned(),
            format!("UserKnownHostsFile={}", known_hosts.display()),
            format!("User={}", self.world.at(target)),
            format!("Port={}", self.world.gate().address().port()),
            "BatchMode=yes".to_owned(),
        ];
        options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
    }

    /// A stock ssh that signs with it, to its end.
    fn ssh(&self, target: &str) -> Result<Ran> {
        let own = ["-i".to_owned(), at(&self.path), "-o".to_owned(), format!("SecurityKeyProvider={}", self.provider)];
        let rest = [target, "echo hi"].map(str::to_owned);
        self.owner.ssh(self.way(target).into_iter().chain(own).chain(rest))
    }
}

#[test]
fn a_key_that_openssh_made_opens_the_session_with_its_touch() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    for (name, kind) in [("yubi", "ed25519-sk"), ("solo", "ecdsa-sk")] {
        let key = SecurityKey::make(&world, name, kind, &[])?;
        key.ssh("prod3")?.failure(255)?;
        key.register()?;
        let mark = world.mark();
        assert_eq!(key.ssh("prod3")?.success()?.stdout, "hi\n");
        let start = world.await_record(mark, "session.start", |_| true)?;
        assert_eq!((text(&start, "door"), text(&start, "user")), ("in-band", "jerry"), "{start}");
        assert_eq!(text(&start["tap"], "method"), "ssh-sk", "{start}");
        // What the key has signed is in the record: for whom, where to, and with which key.
        let proof = BASE64_URL_SAFE_NO_PAD.decode(text(&start["tap"], "proof"))?;
        let line = std::fs::read_to_string(key.public())?;
        let blob = BASE64_STANDARD.decode(line.split_whitespace().nth(1).context("no key")?)?;
        for signed in [world.at("prod3").as_bytes(), b"ssh-connection", &blob] {
            assert!(proof.windows(signed.len()).any(|part| part == signed), "{start}");
        }
    }
    let found = world.olga.tapctl(["audit", "verify", "--format", "json"])?.success()?.json()?;
    assert_eq!((&found["ssh_sk"], &found["required"]), (&2.into(), &2.into()), "{found}");
    Ok(())
}

#[test]
fn a_key_that_wants_no_touch_reaches_nothing() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let before = (world.dev1.connections(), world.prod3.connections());
    for (name, kind) in [("yubi", "ed25519-sk"), ("solo", "ecdsa-sk")] {
        let key = SecurityKey::make(&world, name, kind, &["-O", "no-touch-required"])?;
        key.register()?;
        // Where no tap is asked for it is no login either.
        for target in ["prod3", "dev1"] {
            let ran = key.ssh(target)?.failure(255)?;
            assert!(ran.stderr.contains("the key was not touched"), "{ran}");
        }
    }
    // A key that wants to be touched, whose authenticator does not ask.
    let key = SecurityKey::make(&world, "lazy", "ed25519-sk", &[])?;
    key.register()?;
    key.answer("00", 1)?;
    let ran = key.ssh("prod3")?.failure(255)?;
    assert!(ran.stderr.contains("the key was not touched"), "{ran}");
    assert_eq!((world.dev1.connections(), world.prod3.connections()), before);
    Ok(())
}

#[test]
fn a_role_that_wants_a_pin_takes_a_key_that_demands_it() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: hardware_key_pin")?;
    let before = world.prod3.connections();
    let unverified = |key: &SecurityKey<'_>| -> Result<()> {
        let ran = key.ssh("prod3")?.failure(255)?;
        assert!(ran.stderr.contains("has not verified its user"), "{ran}");
        Ok(())
    };
    let touched = SecurityKey::make(&world, "yubi", "ed25519-sk", &[])?;
    touched.register()?;
    unverified(&touched)?;
    let verified = SecurityKey::make(&world, "solo", "ed25519-sk", &["-O", "verify-required"])?;
    verified.register()?;
    // The PIN was given, and the authenticator says that it only felt a touch.
    verified.answer("01", 1)?;
    unverified(&verified)?;
    assert_eq!(world.prod3.connections(), before);
    verified.answer("asked", 2)?;
    let mark = world.mark();
    assert_eq!(verified.ssh("prod3")?.success()?.stdout, "hi\n");
    let start = world.await_record(mark, "session.start", |_| true)?;
    assert_eq!(text(&start["tap"], "method"), "ssh-sk", "{start}");
    Ok(())
}

#[test]
fn a_copied_key_is_told_by_its_count() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let key = SecurityKey::make(&world, "yubi", "ecdsa-sk", &[])?;
    key.register()?;
    for _ in 0..2 {
        key.ssh("prod3")?.success()?;
    }
    let opened = world.prod3.connections();
    let copy = key.copy("copied")?;
    let mark = world.mark();
    let ran = copy.ssh("prod3")?.failure(255)?;
    assert!(ran.stderr.contains("counted backwards"), "{ran}");
    world.await_record(mark, "session.failed", |_| true)?;
    assert_eq!(world.prod3.connections(), opened);
    key.ssh("prod3")?.success()?;
    Ok(())
}

#[test]
fn the_real_agent_signs_for_scp() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let key = SecurityKey::make(&world, "yubi", "ed25519-sk", &[])?;
    key.register()?;
    // The agent loads what it is allowed to by its real path.
    let socket = at(&world.lab.path().join("agent"));
    let agent =
        key.owner.start(&program("ssh-agent", "openssh-client")?, ["-D", "-a", &socket, "-P", &key.provider])?;
    agent.wait_for("SSH_AUTH_SOCK")?;
    let holder = key.owner.clone().with("SSH_AUTH_SOCK", &socket);
    let add = ["-q", "-S", &key.provider, &at(&key.path)].map(str::to_owned);
    holder.start(&program("ssh-add", "openssh-client")?, add)?.finish(REST)?.success()?;
    // From here on the agent alone has it.
    std::fs::remove_file(&key.path)?;
    let (local, copied) = (world.lab.write("local.txt", "what is copied\n")?, world.lab.path().join("copied.txt"));
    let own = [format!("IdentityAgent={socket}"), format!("IdentityFile={}", at(&key.public()))];
    let own = own.into_iter().flat_map(|option| ["-o".to_owned(), option]);
    let files = [at(&local), format!("prod3:{}", at(&copied))];
    let config = ["-B".to_owned(), "-F".to_owned(), at(&key.owner.home().join("ssh_config"))];
    let mark = world.mark();
    let words = config.into_iter().chain(key.way("prod3")).chain(own).chain(files);
    key.owner.start(&program("scp", "openssh-client")?, words)?.finish(REST)?.success()?;
    assert_eq!(std::fs::read_to_string(&copied)?, "what is copied\n");
    let start = world.await_record(mark, "session.start", |_| true)?;
    assert_eq!(text(&start["tap"], "method"), "ssh-sk", "{start}");
    Ok(())
}
