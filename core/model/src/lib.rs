//! The words of the gate: names, targets, logins and time. Every crate speaks them; this one depends on none.

mod desktop;
mod id;
mod login;
mod name;
mod statement;
mod target;
mod time;
pub mod tunnel;
mod version;

pub use desktop::DesktopProtocol;
pub use id::{Digest, SessionId, TargetUid};
pub use login::Login;
pub use name::{LoginName, NameError, ObjectName, RoleName, TargetName, UserName};
pub use statement::{ClassSet, StatementClass};
pub use target::{Kind, Labels, TargetRef};
pub use time::{Clock, ManualClock, SystemClock, UnixTime};
pub use version::Version;
