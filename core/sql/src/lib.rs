//! What a database statement does, told from its text.
//!
//! [`Classifier`] answers [`Classified`]: the classes that a role can deny or tie to a fresh tap, and the tables.
//! This is defence in depth and no boundary: what functions, triggers and views do is in no text. What can't
//! be read with certainty is [`tapgate_model::StatementClass::Unparsed`], which counts as dangerous.
//!
//! A text is cut by the lexer here, as the server cuts it. The first words tell most of what it does; for
//! queries and changes of rows sqlparser reads a text that is written anew from the tokens. Its trees can be
//! too deep for an ordinary stack, even to be dropped, so that happens on threads of its own, within
//! the limits of `limits.rs`.
//!
//! For protocols: ask when a text **arrives** (`Query`, `Parse`, `COM_QUERY`, `COM_STMT_PREPARE`), and again
//! when a prepared one is run. Use [`Classified::unreadable`] for bytes that are not UTF-8, and for everything
//! once the server reports a setting that [`Dialect`] excludes.

#[doc(hidden)]
pub mod fuzz;

mod classified;
mod classifier;
mod dialect;
mod functions;
mod heads;
mod lexer;
mod limits;
mod objects;
mod redact;
mod settings;
mod shape;
mod threads;
mod token;
mod tree;

pub use classified::Classified;
pub use classifier::Classifier;
pub use dialect::Dialect;
pub use limits::AUDIT_TEXT_MAX;
pub use redact::{capped, first_keyword, redact};

/// Reads a text on this thread, without the memory of a [`Classifier`]: for measuring texts of which one knows
/// that an ordinary stack is enough.
#[doc(hidden)]
pub fn read_here(dialect: Dialect, text: &str) -> Classified {
    Classified::read(dialect, text)
}
