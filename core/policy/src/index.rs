//! Which rules may concern a target: found by its labels, so that a user's thousand roles cost what a few do.

use std::collections::HashMap;

use tapgate_model::Labels;

use crate::label::Matcher;

/// Rules by a label that they insist on. It leaves out only rules whose labels can't fit.
#[derive(Debug, Default)]
pub(crate) struct Index {
    always: Vec<usize>,
    by_label: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl Index {
    /// Adds a rule that concerns the targets that its labels fit.
    pub(crate) fn add(&mut self, rule: usize, labels: &Matcher) {
        let Some((key, values)) = labels.plain_key() else { return self.add_always(rule) };
        let by_value = self.by_label.entry(key.to_owned()).or_default();
        for value in values {
            let rules = by_value.entry(value.to_owned()).or_default();
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
        }
    }

    /// Adds a rule that may concern any target.
    pub(crate) fn add_always(&mut self, rule: usize) {
        self.always.push(rule);
    }

    /// The rules that may concern a target with these labels, each once: a rule stands under one key,
    /// and a target has one value for it.
    pub(crate) fn candidates<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = usize> + Clone + 'a {
        let labels = if self.by_label.is_empty() { None } else { Some(labels) };
        let found = labels.into_iter().flatten().filter_map(|(key, value)| self.by_label.get(key)?.get(value));
        self.always.iter().chain(found.flatten()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn matcher(pairs: &[(&str, &[&str])]) -> Matcher {
        let patterns = |values: &[&str]| values.iter().map(|v| Pattern::read(v).unwrap()).collect();
        Matcher::Keys(pairs.iter().map(|(key, values)| ((*key).to_owned(), patterns(values))).collect())
    }

    #[test]
    fn a_rule_is_found_once_and_by_what_it_insists_on() {
        let mut index = Index::default();
        index.add(0, &Matcher::Any);
        index.add(1, &matcher(&[("env", &["dev", "prod", "dev"])]));
        index.add(2, &matcher(&[("os", &["*"]), ("team", &["a"])]));
        index.add(3, &matcher(&[("os", &["lin*"])]));
        index.add(4, &matcher(&[("env", &[])]));
        let find = |pairs: &[(&str, &str)]| {
            let labels: Labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            index.candidates(&labels).collect::<Vec<_>>()
        };
        assert_eq!(find(&[]), [0, 3]);
        assert_eq!(find(&[("env", "dev"), ("team", "a")]), [0, 3, 1, 2]);
        assert_eq!(find(&[("env", "test"), ("team", "b")]), [0, 3]);
    }
}
