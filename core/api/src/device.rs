//! A user's own devices: security keys that vouch for one another, and one-time codes for login.

use serde::{Deserialize, Serialize};
use webauthn_rs_proto::{CreationChallengeResponse, RegisterPublicKeyCredential};

/// A user's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Devices {
    /// The oldest first.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    /// What its user calls it.
    pub name: String,
    /// `webauthn` or `otp`.
    pub kind: String,
    /// When it was added, in seconds since the epoch.
    pub added: u64,
    /// Why it counts: `pinned`, `invite` or `device`; for one-time codes `tap`.
    pub vouched_by: String,
    /// Whether it logs in without a password.
    #[serde(default)]
    pub passwordless: bool,
    /// Whether its maker vouched for it, and the maker's word counts here.
    #[serde(default)]
    pub attested: bool,
    /// Whether it has counted backwards once, so that there may be a copy of it.
    #[serde(default)]
    pub copied: bool,
}

/// Starts the registration of a further security key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceBegin {
    /// What the user calls it.
    pub name: String,
    /// Whether it shall log in without a password: it is then kept within the key, and asks for its PIN or finger.
    #[serde(default)]
    pub passwordless: bool,
}

/// What the new key is asked.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceChallenge {
    /// The ceremony's number; good for one try.
    pub id: String,
    /// What goes to the new key.
    #[schema(value_type = Object)]
    pub webauthn: CreationChallengeResponse,
}

/// What the new key answered. It counts for nothing until a key that is registered has tapped for it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceRegister {
    /// The ceremony's number.
    pub id: String,
    /// What the new key answered.
    #[schema(value_type = Object)]
    pub webauthn: RegisterPublicKeyCredential,
}

/// What a user wants done with the devices that are there, or one-time codes added; the tap signs the
/// SHA-256 of this body's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum DeviceAction {
    /// Removes a device. Sessions whose tap it made end at once.
    RemoveDevice {
        /// Its name.
        name: String,
    },
    /// Gives a device another name.
    RenameDevice {
        /// Its name.
        name: String,
        /// Its new name.
        to: String,
    },
    /// Makes a secret for one-time codes. It counts once a code of it is shown.
    AddOtp {
        /// What the user calls it.
        name: String,
    },
    /// Registers an SSH key, which then logs in at the SSH door. Its tap is of purpose add-device, and signs the
    /// registration's digest in place of this body's.
    AddSshKey {
        /// What the user calls it.
        name: String,
        /// The line of its `.pub` file.
        key: String,
    },
    /// Removes an SSH key. Sessions that it opened end at once.
    RemoveSshKey {
        /// Its name.
        name: String,
    },
}

/// A user's SSH keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SshKeyList {
    /// The oldest first.
    pub keys: Vec<SshKeyEntry>,
}

/// Asks for a login certificate over one of the caller's `sk-` keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SshKeyCertify {
    /// What its user calls the key.
    pub name: String,
}

/// A login certificate over an `sk-` key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SshKeyCertificate {
    /// One line of OpenSSH.
    pub certificate: String,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
}

/// One SSH key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SshKeyEntry {
    /// What its user calls it.
    pub name: String,
    /// Its algorithm, as SSH names it.
    pub algorithm: String,
    /// Its fingerprint, as OpenSSH writes it.
    pub fingerprint: String,
    /// When it was added, in seconds since the epoch.
    pub added: u64,
    /// Whether its touch at login is a tap.
    pub touched: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceOutcome {
    /// One line a change, such as `security key "yubi" has been removed`.
    pub lines: Vec<String>,
    /// The secret for one-time codes, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp: Option<OtpSecret>,
}

/// A secret for one-time codes, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OtpSecret {
    /// The ceremony's number, for [`OtpConfirm`].
    pub id: String,
    /// The `otpauth://` address that authenticator apps read.
    pub uri: String,
    /// When the ceremony ends, in seconds since the epoch.
    pub expires: u64,
}

/// Never prints the secret.
impl std::fmt::Debug for OtpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtpSecret")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Shows that the authenticator app has the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OtpConfirm {
    /// The ceremony's number.
    pub id: String,
    /// The code that the app shows.
    pub code: String,
}

/// A login with a password and a one-time code.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OtpLogin {
    /// Who wants to log in.
    pub user: String,
    /// The password.
    pub password: String,
    /// The code that the app shows.
    pub code: String,
    /// The public key that the login certificate shall carry (`SubjectPublicKeyInfo`, DER, base64url).
    pub tls_public_key: String,
    /// The public key that the SSH login certificate shall carry, as one line of OpenSSH.
    pub ssh_public_key: String,
}

/// Never prints the password or the code.
impl std::fmt::Debug for OtpLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtpLogin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
