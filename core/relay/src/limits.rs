//! Every limit of what protocols share, with its reason.

use std::time::Duration;

/// How long a client of a tunnel may take to say where it leads, and to read the answer.
pub(crate) const HAIL_MAX: Duration = Duration::from_secs(10);

/// How many bytes are on their way at once, each way: a TLS record.
pub(crate) const COPY_BUFFER: usize = 16 * 1024;

/// How long one write may take.
pub(crate) const WRITE_MAX: Duration = Duration::from_mins(1);
