//! The limits of the configuration file.

/// The file's size: a full configuration has a few kilobytes, so more is some other file.
pub(crate) const FILE_MAX: u64 = 1024 * 1024;

/// How long live sessions go on after SIGTERM where nothing else is said: a supervisor that wants the gate gone kills it
/// soon, and whoever is in shall read why before that.
pub(crate) const STOP_DRAIN: std::time::Duration = std::time::Duration::ZERO;

/// The same where another process has taken over: a working day.
pub(crate) const HAND_OVER_DRAIN: std::time::Duration = std::time::Duration::from_hours(8);
