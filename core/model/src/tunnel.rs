//! The ALPN names (RFC 7301) of the tunnels that a client opens to the gate, one for each protocol inside.

/// SSH, with the login certificate: the session's is shown inside.
pub const SSH: &[u8] = b"tapgate-ssh";

/// PostgreSQL, with the login's or the session's certificate.
pub const POSTGRES: &[u8] = b"tapgate-postgres";

/// PostgreSQL as stock clients name it when they begin with TLS (`sslnegotiation=direct`).
pub const POSTGRES_DIRECT: &[u8] = b"postgresql";

/// MySQL and MariaDB, with the login's or the session's certificate.
pub const MYSQL: &[u8] = b"tapgate-mysql";

/// A TCP application's bytes, with the login's or the session's certificate.
pub const TCP: &[u8] = b"tapgate-tcp";

/// An HTTP application's requests, with the login's or the session's certificate.
pub const APP: &[u8] = b"tapgate-app";

/// A desktop's bytes, with the login's or the session's certificate.
pub const DESKTOP: &[u8] = b"tapgate-desktop";
