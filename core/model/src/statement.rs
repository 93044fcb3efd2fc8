//! What a database statement does, in classes that a role can name.

use std::fmt;

/// One thing that a statement can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementClass {
    /// Reads rows or settings: `SELECT`, `SHOW`, `EXPLAIN`.
    Read,
    /// Changes rows: `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY … FROM STDIN`.
    Write,
    /// Begins, marks or ends a transaction, or takes locks that end with it.
    Transaction,
    /// Changes this session alone: `SET`, `RESET`, `DISCARD`, `USE`, `LISTEN`.
    Session,
    /// Makes, changes or drops objects: `CREATE`, `ALTER`, `DROP`.
    Ddl,
    /// Changes who may do what, or becomes somebody else: `GRANT`, `CREATE USER`, `SET ROLE`.
    Grant,
    /// Strikes a whole table: `DELETE` and `UPDATE` without `WHERE`, `TRUNCATE`.
    Unbounded,
    /// Runs code, or reads and writes files or other servers: `CALL`, `DO`, `COPY … PROGRAM`, `LOAD DATA`.
    Program,
    /// Concerns the server or other sessions: `KILL`, `ALTER SYSTEM`, `SET GLOBAL`, `VACUUM FULL`.
    Admin,
    /// What it does can't be told from its text.
    Unparsed,
}

impl StatementClass {
    /// Every class, the most harmless first.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Transaction,
        Self::Session,
        Self::Write,
        Self::Ddl,
        Self::Unbounded,
        Self::Grant,
        Self::Program,
        Self::Admin,
        Self::Unparsed,
    ];

    /// The name by which roles and records know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Ddl => "ddl",
            Self::Grant => "grant",
            Self::Unbounded => "unbounded",
            Self::Program => "program",
            Self::Admin => "admin",
            Self::Unparsed => "unparsed",
        }
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Read => 1,
            Self::Write => 1 << 1,
            Self::Transaction => 1 << 2,
            Self::Session => 1 << 3,
            Self::Ddl => 1 << 4,
            Self::Grant => 1 << 5,
            Self::Unbounded => 1 << 6,
            Self::Program => 1 << 7,
            Self::Admin => 1 << 8,
            Self::Unparsed => 1 << 9,
        }
    }
}

impl fmt::Display for StatementClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of classes; a text of several statements has what all of them have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClassSet(u16);

impl ClassSet {
    /// No class: a text without a statement.
    pub const NONE: Self = Self(0);

    /// What the word `dangerous` means in a role.
    pub const DANGEROUS: Self = Self::of(&[
        StatementClass::Unbounded,
        StatementClass::Ddl,
        StatementClass::Grant,
        StatementClass::Program,
        StatementClass::Admin,
        StatementClass::Unparsed,
    ]);

    /// What a read-only session may not do: all but reading, transactions and its own settings.
    pub const CHANGING: Self = Self::DANGEROUS.with(StatementClass::Write);

    /// The set of these classes.
    pub const fn of(classes: &[StatementClass]) -> Self {
        let mut set = Self::NONE;
        let mut rest = classes;
        while let [first, others @ ..] = rest {
            set = set.with(*first);
            rest = others;
        }
        set
    }

    /// This set and one class.
    #[must_use]
    pub const fn with(self, class: StatementClass) -> Self {
        Self(self.0 | class.bit())
    }

    /// What either set has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the class is in the set.
    pub const fn has(self, class: StatementClass) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether every class of the other set is in this one.
    pub const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no class is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its classes, the most harmless first.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = StatementClass> {
        StatementClass::ALL.into_iter().filter(move |class| self.has(*class))
    }

    /// The gravest class, to be named where one must be.
    pub fn gravest(self) -> Option<StatementClass> {
        self.iter().next_back()
    }
}

impl FromIterator<StatementClass> for ClassSet {
    fn from_iter<I: IntoIterator<Item = StatementClass>>(classes: I) -> Self {
        classes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The names with commas between: `read, write`.
impl fmt::Display for ClassSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, class) in self.iter().enumerate() {
            write!(f, "{}{class}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_place_of_its_own() {
        let all: ClassSet = StatementClass::ALL.into_iter().collect();
        assert_eq!(all.iter().count(), StatementClass::ALL.len());
        for class in StatementClass::ALL {
            let set = ClassSet::of(&[class]);
            assert!(set.has(class) && all.has_all(set));
            assert_eq!(set.iter().collect::<Vec<_>>(), [class]);
            assert_eq!(set.to_string(), class.name());
        }
    }

    #[test]
    fn sets_are_joined_and_met() {
        let set = ClassSet::of(&[StatementClass::Write, StatementClass::Read]);
        assert_eq!(set.to_string(), "read, write");
        assert_eq!(set.and(ClassSet::CHANGING).gravest(), Some(StatementClass::Write));
        assert!(set.and(ClassSet::DANGEROUS).is_empty());
        assert_eq!(set.or(ClassSet::DANGEROUS).gravest(), Some(StatementClass::Unparsed));
        assert_eq!(ClassSet::NONE.gravest(), None);
    }
}
