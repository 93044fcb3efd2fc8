//! Where the client keeps what it knows: `~/.tap`, with one profile for each gate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tapgate_identity::Lineage;
use tapgate_model::{Digest, UnixTime, UserName};

use crate::error::{Act as _, Failure, Result};
use crate::files;
use crate::gate_addr::{CaPin, GateAddr};
use crate::limits::SOCKET_PATH_BYTES_MAX;

/// The client's folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    run: PathBuf,
}

/// What the client knows of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where the gate is.
    pub gate: GateAddr,
    /// The pin of the CA that its certificate comes from.
    pub ca_pin: CaPin,
    /// The pin of the gate's first CA, by which taps name the gate; absent where that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_pin: Option<CaPin>,
    /// Who logged in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The identity provider by which the user logged in; absent after a login with password and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The user's roles, for the eye only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The Unix logins that the roles name, for the eye only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<String>,
    /// When the login certificates end; absent after a logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixTime>,
}

impl Profile {
    /// A profile before the first login.
    pub const fn new(gate: GateAddr, ca_pin: CaPin) -> Self {
        Self {
            gate,
            ca_pin,
            first_pin: None,
            user: None,
            cluster: None,
            connector: None,
            roles: Vec::new(),
            logins: Vec::new(),
            expires: None,
        }
    }

    /// The gate's name for clusters.
    pub fn cluster_door(&self) -> String {
        format!("k8s.{}", self.cluster.as_deref().unwrap_or_else(|| self.gate.host()))
    }

    /// How statements name the gate.
    pub fn gate_name(&self) -> &Digest {
        self.first_pin.as_ref().unwrap_or(&self.ca_pin).digest()
    }

    /// The same with what a handshake has proven since: which CA signs now, and which was the first. A gate that has had
    /// another name is another gate, of which nothing is learnt.
    #[must_use]
    pub fn knowing(self, lineage: Option<Lineage>) -> Self {
        let Some(Lineage { pin, gate }) = lineage else { return self };
        if self.first_pin.is_some_and(|known| *known.digest() != gate) {
            return self;
        }
        let first_pin = (pin != gate).then(|| gate.into());
        Self { ca_pin: pin.into(), first_pin, ..self }
    }

    /// The user, where the login still holds.
    pub fn logged_in(&self, now: UnixTime) -> Result<&UserName> {
        let login = format!("tap login --gate {}", self.gate);
        match (&self.user, self.expires) {
            (Some(user), Some(expires)) if now < expires => Ok(user),
            (Some(user), Some(_)) => Err(Failure::new(format!("the login of {user} at {} has expired", self.gate))
                .advise(format!("run {login} --user {user}"))),
            _ => Err(Failure::new(format!("nobody is logged in at {}", self.gate))
                .advise(format!("run {login} --user NAME"))),
        }
    }
}

impl Home {
    /// The folders that the environment names.
    pub fn from_env() -> Result<Self> {
        Self::find(&|name| std::env::var_os(name), &|path| path.is_dir())
    }

    /// `TAP_HOME`; else `~/.tap` where it is there; else `$XDG_CONFIG_HOME/tap` where that is set;
    /// else `~/.tap`. Sockets live under `$XDG_RUNTIME_DIR` where there is one, and below
    /// `TAP_HOME` where that is set, so that two homes never share an agent.
    pub fn find(env: &dyn Fn(&str) -> Option<OsString>, is_dir: &dyn Fn(&Path) -> bool) -> Result<Self> {
        let path = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from).filter(|p| p.is_absolute());
        if let Some(root) = env("TAP_HOME").filter(|value| !value.is_empty()) {
            let root = std::path::absolute(root).act(|| "TAP_HOME is not a path".to_owned())?;
            return Ok(Self { run: root.join("run"), root });
        }
        let dotted = path("HOME").map(|home| home.join(".tap"));
        let config = path("XDG_CONFIG_HOME").map(|config| config.join("tap"));
        let root = match (dotted, config) {
            (Some(dotted), Some(config)) => {
                if is_dir(&dotted) {
                    dotted
                } else {
                    config
                }
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => {
                return Err(Failure::new("there is no home folder").advise("set HOME or TAP_HOME"));
            }
        };
        let run = path("XDG_RUNTIME_DIR").map_or_else(|| root.join("run"), |run| run.join("tap"));
        Ok(Self { root, run })
    }

    /// The folder of a gate's keys and certificates.
    pub fn keys(&self, gate: &GateAddr) -> PathBuf {
        self.root.join("keys").join(gate.to_string())
    }

    /// The folder for sockets, made where it is not there.
    pub fn run(&self) -> Result<&Path> {
        files::private_dir(&self.run)?;
        Ok(&self.run)
    }

    /// The agent's socket.
    pub fn agent_socket(&self) -> Result<PathBuf> {
        let path = self.run.join("agent.sock");
        socket_path(&path)?;
        Ok(path)
    }

    /// A gate's profile, where there is one.
    pub fn profile(&self, gate: &GateAddr) -> Result<Option<Profile>> {
        let path = self.profile_path(gate);
        let Some(text) = files::read_optional(&path)? else { return Ok(None) };
        let profile: Profile = serde_norway::from_str(&text).act(|| format!("{} is damaged", path.display()))?;
        Ok(Some(profile))
    }

    /// The gate that was logged in to last.
    pub fn current(&self) -> Result<Option<GateAddr>> {
        let text = files::read_optional(&self.root.join("current-profile"))?;
        text.map(|text| text.trim().parse()).transpose()
    }

    /// The profile of this gate, or of the current one.
    pub fn chosen(&self, gate: Option<&GateAddr>) -> Result<Profile> {
        let advice = "run tap login --gate HOST:PORT --user NAME --ca-pin sha256:…";
        let gate = match gate {
            Some(gate) => gate.clone(),
            None => self.current()?.ok_or_else(|| Failure::new("no gate is chosen").advise(advice))?,
        };
        self.profile(&gate)?.ok_or_else(|| Failure::new(format!("{gate} is not known here")).advise(advice))
    }

    /// Keeps what a handshake with a known gate has proven of its CA; whether that was news.
    pub fn follow(&self, gate: &GateAddr, lineage: Lineage) -> Result<bool> {
        let Some(known) = self.profile(gate)? else { return Ok(false) };
        let now = known.clone().knowing(Some(lineage));
        let news = now != known;
        if news {
            self.write(&now)?;
        }
        Ok(news)
    }

    fn write(&self, profile: &Profile) -> Result<()> {
        let path = self.profile_path(&profile.gate);
        files::private_dir(&self.root)?;
        files::private_dir(&self.root.join("profiles"))?;
        let text = serde_norway::to_string(profile).act(|| "the profile cannot be written".to_owned())?;
        files::write_private(&path, text.as_bytes())
    }

    /// Writes a profile and makes it the current one.
    pub fn save(&self, profile: &Profile) -> Result<()> {
        self.write(profile)?;
        files::write_private(&self.root.join("current-profile"), format!("{}\n", profile.gate).as_bytes())
    }

    /// Where the gate's CA lies for clients that know no pin.
    pub fn gate_ca(&self, gate: &GateAddr) -> PathBuf {
        self.keys(gate).join("gate-ca.pem")
    }

    /// The folder of a gate's keys, made where it is not there.
    pub fn make_keys(&self, gate: &GateAddr) -> Result<PathBuf> {
        files::private_dir(&self.root)?;
        files::private_dir(&self.root.join("keys"))?;
        let keys = self.keys(gate);
        files::private_dir(&keys)?;
        Ok(keys)
    }

    fn profile_path(&self, gate: &GateAddr) -> PathBuf {
        self.root.join("profiles").join(format!("{gate}.yaml"))
    }
}

/// Refuses a path that no Unix socket can have.
pub fn socket_path(path: &Path) -> Result<()> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(Failure::new(format!("{} is too long for a socket", path.display()))
            .advise("set TAP_HOME or XDG_RUNTIME_DIR to a shorter path"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(vars: &[(&str, &str)], dirs: &[&str]) -> (String, String) {
        let env = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        let home = Home::find(&env, &|path| dirs.iter().any(|d| Path::new(d) == path));
        home.map(|h| (h.root.display().to_string(), h.run.display().to_string())).unwrap_or_default()
    }

    fn pair(root: &str, run: &str) -> (String, String) {
        (root.to_owned(), run.to_owned())
    }

    #[test]
    fn folders() {
        let home = ("HOME", "/h");
        let config = ("XDG_CONFIG_HOME", "/c");
        let run = ("XDG_RUNTIME_DIR", "/r");
        assert_eq!(find(&[home], &[]), pair("/h/.tap", "/h/.tap/run"));
        assert_eq!(find(&[home, config, run], &[]), pair("/c/tap", "/r/tap"));
        assert_eq!(find(&[home, config, run], &["/h/.tap"]), pair("/h/.tap", "/r/tap"));
        assert_eq!(find(&[home, run, ("TAP_HOME", "/t")], &["/h/.tap"]), pair("/t", "/t/run"));
        assert_eq!(find(&[], &[]), pair("", ""));
    }

    #[test]
    fn there_and_back() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let root = dir.path().to_owned();
        let home = Home { run: root.join("run"), root };
        let gate: GateAddr = "localhost:3080".parse()?;
        assert_eq!(home.profile(&gate)?, None);
        assert!(home.chosen(None).is_err());
        let mut profile = Profile::new(gate.clone(), format!("sha256:{}", "0a".repeat(32)).parse()?);
        profile.user = Some("jerry".parse()?);
        profile.expires = Some(UnixTime::from_secs(100));
        home.save(&profile)?;
        assert_eq!(home.chosen(None)?, profile);
        assert_eq!(home.chosen(Some(&gate))?, profile);
        assert!(profile.logged_in(UnixTime::from_secs(99)).is_ok());
        let error = profile.logged_in(UnixTime::from_secs(100)).map(ToString::to_string);
        assert_eq!(
            error.map_err(|e| e.to_string()),
            Err("the login of jerry at localhost:3080 has expired \
                 (run tap login --gate localhost:3080 --user jerry)"
                .to_owned())
        );
        Ok(())
    }

    #[test]
    fn a_profile_follows_its_own_gate_and_no_other() -> Result<(), Box<dyn std::error::Error>> {
        let digest = |byte: u8| Digest::from_bytes([byte; 32]);
        let gate: GateAddr = "localhost:3080".parse()?;
        let first = Profile::new(gate.clone(), digest(1).into());
        let lineage = |pin, first| Some(Lineage { pin: digest(pin), gate: digest(first) });
        assert_eq!(first.clone().knowing(None), first);
        assert_eq!(first.clone().knowing(lineage(1, 1)), first);
        let second = first.clone().knowing(lineage(2, 1));
        assert_eq!((second.ca_pin, second.gate_name()), (digest(2).into(), &digest(1)));
        let third = second.clone().knowing(lineage(3, 1));
        assert_eq!((third.ca_pin, third.gate_name()), (digest(3).into(), &digest(1)));
        assert_eq!(third.clone().knowing(lineage(4, 9)), third);
        // Who comes to a gate that has been rotated learns its name.
        assert_eq!(*Profile::new(gate.clone(), digest(2).into()).knowing(lineage(2, 1)).gate_name(), digest(1));

        let dir = tempfile::tempdir()?;
        let root = dir.path().to_owned();
        let home = Home { run: root.join("run"), root };
        let told = Lineage { pin: digest(2), gate: digest(1) };
        assert!(!home.follow(&gate, told)?, "a gate that nobody knows is not made known");
        home.save(&first)?;
        assert!(home.follow(&gate, told)? && !home.follow(&gate, told)?);
        assert_eq!(home.profile(&gate)?, Some(second));
        Ok(())
    }

    #[test]
    fn long_socket_paths_are_refused() {
        assert!(socket_path(Path::new(&"x".repeat(107))).is_ok());
        assert!(socket_path(Path::new(&"x".repeat(108))).is_err());
    }
}
