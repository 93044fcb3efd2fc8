//! Texts of both dialects, and what the classifier says they do.
#![cfg(test)]

mod help;
mod hostile;
mod mysql;
mod postgres;
mod properties;
mod redaction;
