//! How long a certificate may last, as its issuer sees it.

use std::time::Duration;

use tapgate_model::UnixTime;

use crate::{IssueError, limits};

/// The end of a login certificate that is issued now.
pub(crate) fn login_end(now: UnixTime, expires: UnixTime) -> Result<UnixTime, IssueError> {
    ahead(now, expires, limits::LOGIN_MAX)
}

/// The end of a session certificate that is issued now: with the window or with the login, whichever is first.
pub(crate) fn session_end(now: UnixTime, not_after: UnixTime, login_expires: UnixTime) -> Result<UnixTime, IssueError> {
    let window = ahead(now, not_after, limits::SESSION_MAX)?;
    let login = ahead(now, login_expires, limits::LOGIN_MAX)?;
    Ok(window.min(login))
}

fn ahead(now: UnixTime, end: UnixTime, max: Duration) -> Result<UnixTime, IssueError> {
    if end <= now {
        return Err(IssueError::Past);
    }
    if end > now.plus(max) {
        return Err(IssueError::TooLong { max_seconds: max.as_secs() });
    }
    Ok(end)
}
