//! The audit log at an auditor's: where it comes from, what is shown of it, and in whose words it goes on.

pub mod date;
pub mod export;
pub mod show;
pub mod source;
