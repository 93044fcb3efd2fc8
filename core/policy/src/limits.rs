//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// How many targets one tap covers where no role says otherwise: as many as a person reads at a glance.
pub(crate) const BATCH_DEFAULT: u8 = 32;

/// How many it covers at most: a statement holds no more.
pub(crate) const BATCH_MAX: u8 = 64;

/// One text of resources. A directory holds many files, and a policy of a thousand roles is far below this.
pub(crate) const TEXT_MAX: usize = 4 * 1024 * 1024;

/// One document. The largest sensible one is a role with some hundred logins.
pub(crate) const DOCUMENT_MAX: usize = 256 * 1024;

/// Values in one document. YAML's aliases can make a small text a huge tree; this ends it early.
pub(crate) const VALUES_MAX: usize = 20_000;

/// How deep lists and maps may nest. The deepest field of any resource lies at six.
pub(crate) const DEPTH_MAX: usize = 16;

/// How many problems are told at once. Each is found again in the text for its line, and nobody reads more.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// The compiled size of one regular expression, so that a nested repetition can't eat the memory.
pub(crate) const REGEX_SIZE_MAX: usize = 1024 * 1024;

/// How long one tap may open sessions. Fixed by the design: a role may only shorten it.
pub const WINDOW_MAX: Duration = Duration::from_mins(5);

/// How long a tap counts as fresh where a role ties something to a fresh one and says no more: to type one command.
pub(crate) const FRESH_TAP: Duration = Duration::from_mins(1);

/// How long a session may live where no role says less: a working day and a night after it.
pub(crate) const SESSION_TTL_DEFAULT: Duration = Duration::from_hours(30);

/// The longest `max_session_ttl`. Longer than a month is nobody's session but a leak.
pub(crate) const SESSION_TTL_MAX: Duration = Duration::from_hours(30 * 24);

/// How many nodes may lie on the way to one. Each is one more connection inside the last; nobody's network nests deeper.
pub(crate) const HOPS_MAX: usize = 3;

/// How many `kubernetes_resources` one side of a role may have: each is looked at for every object of a list.
pub(crate) const KUBE_RULES_MAX: usize = 64;

/// From how many rules on they are found by an index. Below, looking at each is quicker than hashing.
pub(crate) const INDEX_FROM: usize = 9;

/// How many headers an application's requests may be given: each is carried with every request.
pub(crate) const REWRITES_MAX: usize = 32;

/// How long such a header's value may be, in bytes.
pub(crate) const REWRITE_BYTES_MAX: usize = 1024;
/// Makers' authorities in one list: the FIDO Alliance's metadata has about a hundred for all makers together.
pub(crate) const ATTESTATION_CAS_MAX: usize = 128;

/// Models in one list: an operator knows each by name.
pub(crate) const AAGUIDS_MAX: usize = 512;
