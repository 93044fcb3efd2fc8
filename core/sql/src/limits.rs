//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// The longest text that is looked at, in bytes. Longer ones are bulk loads, which belong into `COPY`.
pub(crate) const TEXT_MAX: usize = 256 * 1024;

/// The longest statement that is parsed, in bytes, after its literals have shrunk to one character each.
/// Parsing so much takes some ten milliseconds; a statement written by hand or by a program is far below.
pub(crate) const PARSE_MAX: usize = 32 * 1024;

/// How many statements one text may hold. Scripts are sent statement by statement.
pub(crate) const STATEMENTS_MAX: usize = 256;

/// How many words, literals and signs one text may hold: a quarter of the longest text.
pub(crate) const TOKENS_MAX: usize = 64 * 1024;

/// How deep brackets may nest; the parser itself gives up at fifty.
pub(crate) const NESTING_MAX: usize = 60;

/// How many words and signs may stand in a chain without a comma, over all open brackets. The parser makes
/// a tree as deep as the chain is long; see `THREAD_STACK`.
pub(crate) const CHAIN_MAX: usize = 8 * 1024;

/// How deep the parser may go; its own default.
pub(crate) const RECURSION_MAX: usize = 50;

/// How often one statement may stand in another: `EXPLAIN PREPARE …`.
pub(crate) const WRAPPED_MAX: usize = 4;

/// How many parsing threads there are: one that is kept busy by somebody does not stop the others.
pub(crate) const THREADS: usize = 2;

/// The stack of a parsing thread, in bytes. Trees are walked and dropped by recursion; the deepest that the
/// limits above let through needs less than a quarter of this without optimisation. Untouched pages cost
/// nothing.
pub(crate) const THREAD_STACK: usize = 128 * 1024 * 1024;

/// How many texts may wait for a parsing thread.
pub(crate) const QUEUE_MAX: usize = 256;

/// How long one text may take with its time in the queue. Whoever waits longer is told "unparsed".
pub(crate) const CLASSIFY_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest text whose classes are remembered, in bytes: longer ones do not come again.
pub(crate) const CACHED_TEXT_MAX: usize = 16 * 1024;

/// What the remembered texts of one dialect may weigh, in bytes.
pub(crate) const CACHE_WEIGHT_MAX: u64 = 16 * 1024 * 1024;

/// What an entry weighs beside its text and tables: the cache's own bookkeeping.
pub(crate) const CACHE_ENTRY_WEIGHT: usize = 256;

/// How many tables are named for one text. Nobody reads more in a record.
pub(crate) const TABLES_MAX: usize = 64;

/// The longest name of a table, in bytes; servers cut at 63 a part.
pub(crate) const TABLE_NAME_MAX: usize = 256;

/// The longest text that a record holds, in bytes.
pub const AUDIT_TEXT_MAX: usize = 4 * 1024;

/// The longest first keyword that is shown of a text that can't be read, in bytes.
pub(crate) const KEYWORD_MAX: usize = 32;

/// The newest version in an executable comment that is read as code. Every MySQL from 5.5 and every MariaDB
/// from 10 runs these; a later one is code for some servers and a comment for others.
pub(crate) const EXECUTED_VERSION: u32 = 50_500;
