//! Which of the databases are meant: by name, by label, by a word.

use std::collections::BTreeMap;
use std::str::FromStr;

use tapgate_model::TargetName;

use super::find::Database;
use crate::error::{Failure, Result};

/// Labels that a database must have, as `env=prod,team=a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Whether all of them are among these.
    pub fn are_in(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pairs = text.split(',').map(|pair| {
            let parts = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            let parts = parts.filter(|(key, _)| !key.is_empty());
            let owned = parts.map(|(key, value)| (key.to_owned(), value.to_owned()));
            owned.ok_or_else(|| format!("\"{pair}\" is no label (write KEY=VALUE, as in env=prod)"))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }
}

/// Which databases are meant; nothing named means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Selection {
    /// Only databases with these labels, as KEY=VALUE,KEY=VALUE
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<Labels>,
    /// Only databases in whose name, description or labels every one of these words stands
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub search: Vec<String>,
}

impl Selection {
    /// Whether nothing was named.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_none() && self.search.is_empty()
    }

    /// Those of the databases that are meant.
    pub fn of(&self, databases: Vec<Database>) -> Vec<Database> {
        databases.into_iter().filter(|database| self.takes(database)).collect()
    }

    fn takes(&self, database: &Database) -> bool {
        let text = format!("{} {} {}", database.name, database.description, database.labels_text()).to_lowercase();
        self.labels.as_ref().is_none_or(|labels| labels.are_in(&database.labels))
            && self.search.iter().all(|word| text.contains(&word.to_lowercase()))
    }
}

/// The databases of these names, in their order and each once; one that is not there is a failure.
pub fn named(databases: &[Database], names: &[TargetName]) -> Result<Vec<Database>> {
    let mut found: Vec<Database> = Vec::new();
    for name in names {
        let database = databases.iter().find(|database| database.name == *name).ok_or_else(|| {
            Failure::new(format!("there is no database \"{name}\", or it is not yours to open")).advise("see tap db ls")
        })?;
        if !found.contains(database) {
            found.push(database.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::find::{Protocol, tests::database};
    use super::*;

    fn three() -> Vec<Database> {
        let mut dev = database("orders-dev", Protocol::Postgres, &["app"]);
        dev.labels = [("env".to_owned(), "dev".to_owned())].into();
        let mut stock = database("stock", Protocol::Mysql, &["app"]);
        stock.description = "What lies in the Stores".to_owned();
        vec![database("orders", Protocol::Postgres, &["app"]), dev, stock]
    }

    fn names(found: &[Database]) -> Vec<&str> {
        found.iter().map(|database| database.name.as_str()).collect()
    }

    #[test]
    fn databases_are_chosen_by_label_and_word() {
        let choose = |labels: Option<&str>, search: &[&str]| {
            let labels = labels.map(|labels| labels.parse().unwrap());
            let search = search.iter().map(|&word| word.to_owned()).collect();
            names(&Selection { labels, search }.of(three())).join(" ")
        };
        assert_eq!(choose(None, &[]), "orders orders-dev stock");
        assert_eq!(choose(Some("env=prod"), &[]), "orders stock");
        assert_eq!(choose(Some("env=prod, team=a"), &[]), "");
        assert_eq!(choose(None, &["ORDERS"]), "orders orders-dev");
        assert_eq!(choose(Some("env=prod"), &["stores"]), "stock");
        assert_eq!(choose(None, &["orders", "dev"]), "orders-dev");
    }

    #[test]
    fn labels_are_pairs() {
        for bad in ["", "env", "=prod", "env=prod,", "env=prod,,team=a"] {
            assert!(bad.parse::<Labels>().is_err(), "{bad:?}");
        }
        assert!("env=".parse::<Labels>().is_ok());
    }

    #[test]
    fn a_name_that_is_not_there_is_told() {
        let list = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        let found = named(&three(), &list(&["stock", "orders", "stock"])).unwrap();
        assert_eq!(names(&found), ["stock", "orders"]);
        let error = named(&three(), &list(&["orders", "nowhere"])).unwrap_err().to_string();
        assert!(error.contains("\"nowhere\""), "{error}");
    }
}
