//! What the parser's tree says: which rows are read and written, in which tables, and whether under a condition.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, ObjectNamePart, Query, Statement, Visit, Visitor};
use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;
use tapgate_model::{ClassSet, StatementClass};

use crate::dialect::Dialect;
use crate::limits::{PARSE_MAX, RECURSION_MAX, TABLE_NAME_MAX, TABLES_MAX};

/// What a tree says.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// What its queries do. A statement that is no query does nothing here.
    pub(crate) classes: ClassSet,
    /// The tables that it names.
    pub(crate) tables: BTreeSet<String>,
    /// How many `INSERT` and `MERGE` it has with the word `INTO`.
    pub(crate) inserts: usize,
    named_within: BTreeSet<String>,
}

/// Parses a rewritten statement. Must run on a stack of `THREAD_STACK`, which the tree's drop needs as well.
pub(crate) fn read(dialect: Dialect, text: &str) -> Option<Tree> {
    if text.len() > PARSE_MAX {
        return None;
    }
    let parser = match dialect {
        Dialect::PostgreSql => Parser::new(&PostgreSqlDialect {}),
        Dialect::MySql => Parser::new(&MySqlDialect {}),
    };
    let parser = parser.with_recursion_limit(RECURSION_MAX);
    let statements = parser.try_with_sql(text).and_then(|mut parser| parser.parse_statements()).ok()?;
    let [statement] = statements.as_slice() else { return None };
    let mut tree = Tree::default();
    let ControlFlow::Continue(()) = statement.visit(&mut tree) else { return None };
    let Tree { tables, named_within, .. } = &mut tree;
    tables.retain(|table| !named_within.contains(table));
    Some(tree)
}

impl Tree {
    fn add(&mut self, class: StatementClass) {
        self.classes = self.classes.with(class);
    }

    fn bounded(&mut self, condition: Option<&Expr>) {
        if !condition.is_some_and(names_something) {
            self.add(StatementClass::Unbounded);
        }
    }
}

impl Visitor for Tree {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Query(_) => self.add(StatementClass::Read),
            Statement::Insert(insert) => {
                self.inserts += usize::from(insert.into);
                self.add(StatementClass::Write);
            }
            Statement::Merge(merge) => {
                self.inserts += usize::from(merge.into);
                self.add(StatementClass::Write);
                self.bounded(Some(&merge.on));
            }
            Statement::Update(update) => {
                self.add(StatementClass::Write);
                self.bounded(update.selection.as_ref());
            }
            Statement::Delete(delete) => {
                self.add(StatementClass::Write);
                self.bounded(delete.selection.as_ref());
                delete.tables.iter().for_each(|table| self.names(table));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named_within.extend(named.map(|cte| fold(&cte.alias.name.value, cte.alias.name.quote_style)));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.names(relation);
        ControlFlow::Continue(())
    }
}

impl Tree {
    fn names(&mut self, table: &ObjectName) {
        let part = |part: &ObjectNamePart| match part {
            ObjectNamePart::Identifier(name) => fold(&name.value, name.quote_style),
            ObjectNamePart::Function(function) => function.name.value.clone(),
        };
        let name = table.0.iter().map(part).collect::<Vec<_>>().join(".");
        if self.tables.len() < TABLES_MAX && name.len() <= TABLE_NAME_MAX {
            self.tables.insert(name);
        }
    }
}

/// A name as the server looks it up where it has no quotes: in lower case.
fn fold(name: &str, quote: Option<char>) -> String {
    if quote.is_some() { name.to_owned() } else { name.to_ascii_lowercase() }
}

/// Whether a condition looks at anything: `WHERE true` and `WHERE 1 = 1` do not.
fn names_something(condition: &Expr) -> bool {
    struct Names;
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    condition.visit(&mut Names).is_break()
}
