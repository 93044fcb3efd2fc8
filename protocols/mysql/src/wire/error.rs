//! Errors as the protocol writes them (`ERR_Packet`).

use super::read::Reader;

/// An error of a server: its number, its SQL state and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) code: u16,
    pub(crate) state: [u8; 5],
    pub(crate) message: String,
}

impl ServerError {
    const fn of(code: u16, state: [u8; 5], message: String) -> Self {
        Self { code, state, message }
    }

    /// Who comes may not come in: `ER_ACCESS_DENIED_ERROR`.
    pub(crate) const fn access(message: String) -> Self {
        Self::of(1045, *b"28000", message)
    }

    /// A session without TLS is not for here: `ER_SECURE_TRANSPORT_REQUIRED`.
    pub(crate) const fn insecure(message: String) -> Self {
        Self::of(3159, *b"HY000", message)
    }

    /// The login can't be read: `ER_HANDSHAKE_ERROR`.
    pub(crate) const fn handshake(message: String) -> Self {
        Self::of(1043, *b"08S01", message)
    }

    /// The target can't be reached or entered: `ER_CONNECT_TO_FOREIGN_DATA_SOURCE`. Clients take their own numbers (2003)
    /// from no server.
    pub(crate) const fn target(message: String) -> Self {
        Self::of(1429, *b"HY000", message)
    }

    /// A statement may not be said: `ER_TABLEACCESS_DENIED_ERROR`.
    pub(crate) const fn denied(message: String) -> Self {
        Self::of(1142, *b"42000", message)
    }

    /// Another database than the session's: `ER_DBACCESS_DENIED_ERROR`.
    pub(crate) const fn database(message: String) -> Self {
        Self::of(1044, *b"42000", message)
    }

    /// A command that does not exist here: `ER_UNKNOWN_COM_ERROR`.
    pub(crate) const fn command(message: String) -> Self {
        Self::of(1047, *b"08S01", message)
    }

    /// A prepared statement that does not exist: `ER_UNKNOWN_STMT_HANDLER`.
    pub(crate) const fn unprepared(message: String) -> Self {
        Self::of(1243, *b"HY000", message)
    }

    /// A thread that does not exist, or is somebody else's: `ER_NO_SUCH_THREAD`.
    pub(crate) const fn thread(message: String) -> Self {
        Self::of(1094, *b"HY000", message)
    }

    /// Packets out of order: `ER_NET_PACKETS_OUT_OF_ORDER`.
    pub(crate) const fn out_of_order(message: String) -> Self {
        Self::of(1156, *b"08S01", message)
    }

    /// The session is over: `ER_QUERY_INTERRUPTED`'s class, with the number of a killed connection.
    pub(crate) const fn ended(message: String) -> Self {
        Self::of(1927, *b"70100", message)
    }

    /// The session was idle: `ER_CLIENT_INTERACTION_TIMEOUT`.
    pub(crate) const fn idle(message: String) -> Self {
        Self::of(4031, *b"HY000", message)
    }

    /// Its payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = vec![0xff];
        payload.extend_from_slice(&self.code.to_le_bytes());
        payload.push(b'#');
        payload.extend_from_slice(&self.state);
        payload.extend_from_slice(self.message.as_bytes());
        payload
    }

    /// Reads one; a greeting's error has no state.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        if reader.u8()? != 0xff {
            return None;
        }
        let code = reader.u16()?;
        let state = match reader.0.strip_prefix(b"#").and_then(|rest| rest.split_at_checked(5)) {
            Some((state, message)) => {
                reader.0 = message;
                state.try_into().unwrap_or(*b"HY000")
            }
            None => *b"HY000",
        };
        Some(Self { code, state, message: String::from_utf8_lossy(reader.0).into_owned() })
    }
}

/// As clients show it: `1045 (28000) Access denied`.
impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}) {}", self.code, String::from_utf8_lossy(&self.state), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let error = ServerError::access("no (do)".to_owned());
        assert_eq!(ServerError::parse(&error.encode()), Some(error.clone()));
        assert_eq!(error.to_string(), "1045 (28000) no (do)");
        let bare = ServerError::parse(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!((bare.code, bare.message.as_str()), (1040, "Too many connections"));
        for bad in [&b""[..], b"\xff\x01", b"\x00\x00\x00"] {
            assert_eq!(ServerError::parse(bad), None);
        }
    }
}
