//! The limits of the configuration file.

/// The file's size: a full configuration has a few kilobytes, so more is some other file.
pub(crate) const FILE_MAX: u64 = 1024 * 1024;
