//! A real `OpenID` Connect provider: npm's oidc-provider, over TLS with an authority of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Lab, Process, missing::node_package, program};

/// The version that `cargo xtask setup` installs.
const VERSION: &str = "9.13.3";

/// The class of authentication that its sign-in achieves.
const STEP_UP: &str = "urn:lab:mfa";

/// How long one of its small helpers may take.
const HELPER: Duration = Duration::from_secs(30);

/// A running provider. Dropping it ends it.
#[derive(Debug)]
pub struct Provider {
    process: Option<Process>,
    folder: PathBuf,
    port: u16,
}

impl Provider {
    /// Starts one whose only client is sent back to this address.
    pub fn start(lab: &Lab, redirect: &str) -> Result<Self> {
        let (folder, port) = (lab.dir("provider")?, lab.port()?);
        certificates(lab, &folder)?;
        fs::write(folder.join("secret"), "correct horse battery provider\n")?;
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = json!({
            "port": port, "key": path("op.key"), "cert": path("op.pem"), "redirect": redirect,
            "client": "tapgate", "secret": "correct horse battery provider",
        });
        fs::write(folder.join("settings.json"), settings.to_string())?;
        let mut provider = Self { process: None, folder, port };
        provider.start_again()?;
        Ok(provider)
    }

    /// Starts it again after [`Provider::stop`]: another process with other keys at the same address.
    pub fn start_again(&mut self) -> Result<()> {
        let packages = node_package("oidc-provider", VERSION)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("provider/op.mjs");
        let mut command = Command::new(program("node", "nodejs")?);
        command.arg(script).arg(packages).arg(self.folder.join("settings.json"));
        let process = Process::start("oidc-provider", &mut command)?;
        process.wait_for("provider ready")?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it: nobody answers at its address any more.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().context("the provider is down already")?.kill().map(drop)
    }

    /// The address that it calls itself.
    pub fn issuer(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Changes how it behaves from now on; `{}` is honest. The script says which switches there are.
    pub fn behave(&self, mode: &Value) -> Result<()> {
        let mut command = Command::new(program("curl", "curl")?);
        command.args(["-sSf", "--noproxy", "*", "--cacert"]).arg(self.folder.join("ca.pem"));
        command.args(["-d", &mode.to_string(), &format!("{}/lab", self.issuer())]);
        Process::start("curl", &mut command)?.finish(HELPER)?.success().map(drop)
    }

    /// The connector for it, as an administrator would write it; each role is brought by the group of its name. `more`
    /// are further lines of its spec.
    pub fn connector_yaml(&self, name: &str, redirect: &str, roles: &[&str], more: &str) -> Result<String> {
        let brought = |role: &&str| format!("    - {{ claim: groups, value: {role}, roles: [{role}] }}");
        let mapping = roles.iter().map(brought).collect::<Vec<_>>().join("\n");
        let ca = fs::read_to_string(self.folder.join("ca.pem"))?.trim_end().replace('\n', "\n    ");
        Ok(format!(
            "kind: oidc\nversion: v3\nmetadata: {{ name: {name} }}\nspec:\n  display: Lab Sign-In\n  issuer_url: {}\n  \
             client_id: tapgate\n  client_secret_file: {}\n  redirect_url: {redirect}\n  scope: [profile]\n  \
             mfa: {{ acr_values: \"{STEP_UP}\" }}\n  claims_to_roles:\n{mapping}\n{more}  ca_cert: |\n    {ca}\n",
            self.issuer(),
            self.folder.join("secret").display()
        ))
    }

    /// The SHA-256 of its TLS certificate's key in base64, by which a browser may trust it.
    pub fn tls_key(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join("op.spki"))?.trim().to_owned())
    }
}

/// An authority and a certificate for localhost, by openssl.
fn certificates(lab: &Lab, folder: &Path) -> Result<()> {
    fs::write(folder.join("names.cnf"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    let script = "set -e\n\
        new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
        openssl req -x509 $new -keyout ca.key -out ca.pem -days 30 -subj '/CN=lab provider CA' \
          -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign\n\
        openssl req $new -keyout op.key -out op.csr -subj /CN=localhost\n\
        openssl x509 -req -in op.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names.cnf -out op.pem\n\
        openssl x509 -in op.pem -pubkey -noout | openssl pkey -pubin -outform der \
          | openssl dgst -sha256 -binary | openssl base64 > op.spki\n";
    program("openssl", "openssl")?;
    let mut command = Command::new(program("sh", "dash")?);
    command.args(["-c", script]).current_dir(folder).env("HOME", lab.path());
    Process::start("openssl", &mut command)?.finish(HELPER)?.success().map(drop)
}
