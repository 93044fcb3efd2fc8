//! A role's options for databases: which statements it denies or ties to a fresh tap, and what is recorded.

use tapgate_model::{ClassSet, StatementClass};

use crate::at::At;
use crate::section::Section;

/// How much of a statement's text is recorded; the greater of two is the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditText {
    /// None: the classes and tables alone.
    Off,
    /// The text with its literals replaced.
    Redacted,
    /// The text.
    Full,
}

/// What a statement may do in a session.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementVerdict {
    /// It may be sent to the target.
    Allow,
    /// It may be sent after a tap for this statement.
    FreshTap,
    /// It may not be sent, because it does this.
    Deny(StatementClass),
}

/// What holds inside a database session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DbTerms {
    /// What no statement may do; `read_only` is [`ClassSet::CHANGING`].
    pub deny: ClassSet,
    /// What needs a fresh tap.
    pub fresh_tap: ClassSet,
    /// How much of a statement's text is recorded.
    pub audit_text: AuditText,
    /// Whether the server may ask the client for a file (`LOAD DATA LOCAL`).
    pub local_infile: bool,
    /// Whether the session may be one of replication, which copies everything and runs no statements.
    pub replication: bool,
}

impl DbTerms {
    /// What a role says that says nothing.
    pub const DEFAULT: Self = Self { audit_text: AuditText::Full, ..Self::neutral() };

    /// The terms to which combining adds nothing.
    pub(crate) const fn neutral() -> Self {
        Self {
            deny: ClassSet::NONE,
            fresh_tap: ClassSet::NONE,
            audit_text: AuditText::Off,
            local_infile: false,
            replication: false,
        }
    }

    /// What two roles say together: what either denies, ties to a tap or records; what either permits.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            deny: self.deny.or(other.deny),
            fresh_tap: self.fresh_tap.or(other.fresh_tap),
            audit_text: self.audit_text.max(other.audit_text),
            local_infile: self.local_infile || other.local_infile,
            replication: self.replication || other.replication,
        }
    }

    /// Whether nothing may be changed. The target may be told so as well.
    pub const fn is_read_only(&self) -> bool {
        self.deny.has_all(ClassSet::CHANGING)
    }

    /// Whether statements must be classified before they are sent: otherwise it can be done afterwards.
    pub const fn judges(&self) -> bool {
        !self.deny.or(self.fresh_tap).is_empty()
    }

    /// Whether a text with these classes may be sent. A denial comes before a tap, and names the gravest reason.
    pub fn statement(&self, classes: ClassSet) -> StatementVerdict {
        match classes.and(self.deny).gravest() {
            Some(class) => StatementVerdict::Deny(class),
            None if !classes.and(self.fresh_tap).is_empty() => StatementVerdict::FreshTap,
            None => StatementVerdict::Allow,
        }
    }
}

/// Reads the options for databases. What is not understood is reported, and forbids meanwhile.
pub(crate) fn read(section: &Section<'_>) -> DbTerms {
    let (deny, fresh_tap) =
        section.section("db_statements", "`db_statements`").map_or_else(Default::default, statements);
    let texts = [("full", AuditText::Full), ("redacted", AuditText::Redacted), ("off", AuditText::Off)];
    let texts = texts.into_iter().chain([("false", AuditText::Off)]).collect::<Vec<_>>();
    let audit_text = section.take("db_audit_text").map(|at| at.choice(&texts).unwrap_or(AuditText::Full));
    DbTerms {
        deny,
        fresh_tap,
        audit_text: audit_text.unwrap_or(DbTerms::DEFAULT.audit_text),
        local_infile: section.flag("db_local_infile", false),
        replication: section.flag("db_replication", false),
    }
}

fn statements(section: Section<'_>) -> (ClassSet, ClassSet) {
    let deny = section.take("deny").map_or(ClassSet::NONE, |at| classes(&at));
    let fresh_tap = section.take("fresh_tap").map_or(ClassSet::NONE, |at| classes(&at));
    let read_only = section.flag("read_only", false);
    section.finish();
    (if read_only { deny.or(ClassSet::CHANGING) } else { deny }, fresh_tap)
}

/// Classes by name, or `dangerous` for all that are.
fn classes(at: &At<'_>) -> ClassSet {
    let named = StatementClass::ALL.map(|class| (class.name(), ClassSet::of(&[class])));
    let choices: Vec<_> = [("dangerous", ClassSet::DANGEROUS)].into_iter().chain(named).collect();
    let items = at.one_or_more().unwrap_or_default();
    items.iter().filter_map(|item| item.choice(&choices)).fold(ClassSet::NONE, ClassSet::or)
}
