//! Whose SQL a text is.

/// A family of servers that cut and read texts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL, with `standard_conforming_strings` on.
    PostgreSql,
    /// MySQL and MariaDB, without `NO_BACKSLASH_ESCAPES`, `ANSI_QUOTES` or `ORACLE` in `sql_mode`.
    MySql,
}

impl Dialect {
    /// Whether it is MySQL or MariaDB.
    pub(crate) const fn is_mysql(self) -> bool {
        matches!(self, Self::MySql)
    }
}
