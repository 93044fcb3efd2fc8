//! The pages behind a web session: signing in, enrolling by an invite, one's own sessions, taps made on a page.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs_proto::RequestChallengeResponse;

use crate::{BrowserTarget, SessionTarget};

/// Starts signing in with a password; a tap follows.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebSignIn {
    /// Who wants to sign in.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Never prints the password.
impl std::fmt::Debug for WebSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSignIn")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Signs in with a password and a one-time code.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebOtp {
    /// Who wants to sign in.
    pub user: String,
    /// The password.
    pub password: String,
    /// The code that the app shows.
    pub code: String,
}

/// Never prints the password or the code.
impl std::fmt::Debug for WebOtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebOtp")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A tap of any passkey that the gate knows: who taps is found by the key.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PasskeyChallenge {
    /// The ceremony's number; good for one try.
    pub id: String,
    /// What goes to the authenticator.
    #[schema(value_type = Object)]
    pub webauthn: RequestChallengeResponse,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebMe {
    /// The user.
    pub user: String,
    /// The cluster's name.
    pub cluster: String,
    /// Host and port that clients at a terminal use.
    pub public_addr: String,
    /// How the user signed in: `webauthn`, `passkey`, `otp` or `sso`.
    pub method: String,
    /// When the session ends at the latest, in seconds since the epoch.
    pub expires: u64,
    /// Whether the user may see everybody's sessions and their recordings.
    pub watches: bool,
    /// Whether the user may lock others out.
    pub locks: bool,
}

/// A lock that an administrator wants from a page: on a user, or on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebLock {
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The target, as `kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// For how many hours; until it is removed where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
    /// What those who are locked out are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An invite, to be looked at before it is spent.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteToken {
    /// The invite, as it was handed over.
    pub token: String,
}

/// Never prints the invite.
impl std::fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteToken").finish_non_exhaustive()
    }
}

/// What an invite is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteShown {
    /// Whom it enrols.
    pub user: String,
    /// The cluster's name.
    pub cluster: String,
    /// Who vouches for it; nobody for a first administrator.
    pub invited_by: Option<String>,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
    /// The shortest password, in characters.
    pub password_min: usize,
}

/// The caller's live sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LiveSessions {
    /// The newest first.
    pub sessions: Vec<LiveSessionEntry>,
}

/// One live session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LiveSessionEntry {
    /// The session's number.
    pub id: String,
    /// Whose it is.
    #[serde(default)]
    pub user: String,
    /// The kind of its target, such as `node`.
    pub kind: String,
    /// The target's name.
    pub target: String,
    /// The login there.
    pub login: String,
    /// What it speaks, such as `ssh`.
    pub protocol: String,
    /// Where its client connected from.
    pub peer: String,
    /// When the target was connected, in seconds since the epoch; none while it is being connected.
    pub since: Option<u64>,
    /// Whether a tap opened it.
    pub tapped: bool,
}

/// Ends one of the caller's own sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionEnd {
    /// The session's number.
    pub id: String,
}

/// Asks for a tap on a web page, good for sessions of these targets by this web session alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebTapBegin {
    /// The targets; one tap covers them all.
    pub targets: Vec<SessionTarget>,
    /// The secret of the page's connection, where the tap is to be good for that one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// What a terminal's page says over its WebSocket, beside the bytes that are typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum TerminalWish {
    /// Opens the session.
    Open {
        /// The node's name.
        target: String,
        /// Who to become there.
        login: String,
        /// The terminal's columns.
        cols: u16,
        /// The terminal's rows.
        rows: u16,
    },
    /// The terminal has another size.
    Size {
        /// Its columns.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// So many bytes of output were shown, and as many more may come.
    Shown {
        /// How many.
        bytes: u64,
    },
}

/// What the gate says to a terminal's page, beside the bytes of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum TerminalNews {
    /// The connection is there.
    Ready {
        /// Its secret, for taps and files of this page alone.
        connection: String,
        /// How many bytes may be typed before the gate has taken any.
        typed_max: u64,
    },
    /// A tap is due; with it the page asks again.
    Tap,
    /// The session is not opened.
    Refused {
        /// Why, in words for the user.
        message: String,
    },
    /// The session is open.
    Open,
    /// So many bytes that were typed are taken, and as many more may come.
    Took {
        /// How many.
        bytes: u64,
    },
    /// So much of a file has gone to the browser.
    Moved {
        /// What the page calls the transfer.
        transfer: String,
        /// How many bytes, from the beginning.
        bytes: u64,
        /// Whether it is over, and went well.
        done: Option<bool>,
    },
    /// The session is over.
    Over {
        /// Why, in words for the user.
        message: String,
    },
}

/// Asks whether files can be copied in a terminal's page.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FilesBegin {
    /// The secret of the page's connection.
    pub connection: String,
    /// A file that is to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Never prints the secret.
impl std::fmt::Debug for FilesBegin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilesBegin")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whether files can be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "files", rename_all = "snake_case")]
pub enum FilesBegun {
    /// A tap is due first; one is enough for all files of the page.
    Tap,
    /// They can.
    Ready {
        /// How long the file is that was looked at, where the target says it.
        size: Option<u64>,
    },
}

/// A file was copied to the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileWritten {
    /// How many bytes it has.
    pub bytes: u64,
}

/// What the sessions need.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "requirement", rename_all = "snake_case")]
pub enum WebTap {
    /// The web session is enough.
    None,
    /// A tap is due.
    Tap {
        /// The ceremony's number; good for one try.
        id: String,
        /// What goes to the authenticator.
        #[schema(value_type = Object)]
        webauthn: Value,
        /// What the tap signs, to be shown before it.
        targets: Vec<BrowserTarget>,
        /// Until when it opens sessions again, in seconds since the epoch; none where it opens one.
        reusable_until: Option<u64>,
        /// When the ceremony ends, in seconds since the epoch.
        expires: u64,
    },
}

/// A tap on a web page counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebTapped {
    /// Until when it opens sessions, in seconds since the epoch.
    pub expires: u64,
}

/// What a page must know of a desktop before it opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebDesktop {
    /// `rdp` or `vnc`.
    pub protocol: String,
    /// Whether a page can open it: one that is passed through needs a client of its own.
    pub on_page: bool,
    /// Whether the role lets the clipboard through.
    pub clipboard: bool,
}

/// A page's right to one connection to a desktop, and the tap that makes it good.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebDesktopOpen {
    /// The connection's secret, which goes with its WebSocket.
    pub ticket: String,
    /// The tap.
    pub tap: WebTap,
}

/// Never prints the secret.
impl std::fmt::Debug for WebDesktopOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebDesktopOpen").finish_non_exhaustive()
    }
}

/// Asks for a way to a desktop: on the page, or by a file for a client of RDP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebDesktopWish {
    /// The desktop.
    pub desktop: String,
    /// Who to become there.
    pub login: String,
}

/// A file for a client of RDP, and the tap that makes it good.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebDesktopFile {
    /// The file's name.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// What the client asks its user for.
    pub password: String,
    /// Until when it opens a session, in seconds since the epoch.
    pub until: u64,
    /// The tap.
    pub tap: WebTap,
}

/// Never prints the password.
impl std::fmt::Debug for WebDesktopFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebDesktopFile")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The paths below `/web` that pages ask, each in one place. None is for programs: they need the session's cookie,
/// and a page's own origin.
pub mod web_path {
    /// Below it is all that a page asks for.
    pub const API: &str = "/web/api";
    /// The page where people sign in; `?to=` is where they go on.
    pub const SIGN_IN_PAGE: &str = "/web/sign-in";
    /// The page where an invite is spent; the invite stands behind `#`, which no browser sends.
    pub const ENROL_PAGE: &str = "/web/enrol";
    /// The page that leads into an application, with what its host has given the browser along.
    pub const APP_PAGE: &str = "/web/app";
    /// The page that a desktop is on; its name and the login stand behind `?`.
    pub const DESKTOP_PAGE: &str = "/web/desktop";
    /// The page that plays a recording; `?session=` says which. The only one that may run WebAssembly.
    pub const RECORDING_PAGE: &str = "/web/recording";
    /// Below it are the terminals, each by its node's name; `?login=` says as whom.
    pub const TERMINAL_PAGE: &str = "/web/terminal";
    /// `GET` with an upgrade: a terminal's WebSocket. Text is [`crate::TerminalWish`] and [`crate::TerminalNews`],
    /// binary is what is typed and shown.
    pub const TERMINAL: &str = "/web/api/terminal";
    /// `POST`: [`crate::FilesBegin`] → [`crate::FilesBegun`].
    pub const FILES: &str = "/web/api/terminal/files";
    /// `POST` with the file as its body: → [`crate::FileWritten`].
    pub const UPLOAD: &str = "/web/api/terminal/upload";
    /// `GET`: a file.
    pub const DOWNLOAD: &str = "/web/api/terminal/download";
    /// Pages of their own for the signed-in user.
    pub const PAGES: [&str; 4] = ["/web/", "/web/targets", "/web/sessions", "/web/devices"];
}
