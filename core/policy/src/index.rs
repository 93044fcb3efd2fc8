//! Which rules may concern a target: found by its labels, so that a user's thousand roles cost what a few do.

use std::collections::HashMap;

use tapgate_model::Labels;

use crate::label::Matcher;
use crate::limits::INDEX_FROM;

/// Rules by a label that they insist on. It leaves out only rules whose labels can't fit.
#[derive(Debug, Default)]
pub(crate) struct Index {
    always: Vec<usize>,
    by_label: Vec<(String, HashMap<String, Vec<usize>>)>,
}

impl Index {
    /// Indexes rules by their labels; a rule without labels may concern any target.
    pub(crate) fn new(rules: &[(usize, Option<&Matcher>)]) -> Self {
        let plain: Vec<_> = rules.iter().map(|(rule, labels)| (*rule, plain_keys(*labels))).collect();
        let mut sharing: HashMap<_, usize> = HashMap::new();
        for (key, values) in plain.iter().flat_map(|(_, keys)| keys) {
            for value in values {
                *sharing.entry((*key, *value)).or_default() += 1;
            }
        }
        // The label that the fewest rules share: `env: prod` stands in many, `team: payments` in few.
        let shared = |(key, values): &(&str, Vec<&str>)| {
            values.iter().filter_map(|value| sharing.get(&(*key, *value))).max().copied()
        };
        let mut index = Self::default();
        for (rule, keys) in &plain {
            match keys.iter().min_by_key(|key| shared(key)).filter(|_| rules.len() >= INDEX_FROM) {
                Some((key, values)) => index.add(*rule, key, values),
                None => index.always.push(*rule),
            }
        }
        index
    }

    fn add(&mut self, rule: usize, key: &str, values: &[&str]) {
        let at = self.by_label.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            self.by_label.push((key.to_owned(), HashMap::new()));
            self.by_label.len() - 1
        });
        let Some((_, by_value)) = self.by_label.get_mut(at) else { return };
        for value in values {
            let rules = by_value.entry((*value).to_owned()).or_default();
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
        }
    }

    /// The rules that may concern a target with these labels, each once: a rule stands under one key,
    /// and a target has one value for it.
    pub(crate) fn candidates<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = usize> + Clone + 'a {
        let found = self.by_label.iter().filter_map(|(key, by_value)| by_value.get(labels.get(key)?));
        self.always.iter().chain(found.flatten()).copied()
    }
}

fn plain_keys(labels: Option<&Matcher>) -> Vec<(&str, Vec<&str>)> {
    labels.map(Matcher::plain_keys).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn matcher(pairs: &[(&str, &[&str])]) -> Matcher {
        let patterns = |values: &[&str]| values.iter().map(|v| Pattern::read(v).unwrap()).collect();
        Matcher::Keys(pairs.iter().map(|(key, values)| ((*key).to_owned(), patterns(values))).collect())
    }

    fn found(matchers: &[Matcher], pairs: &[(&str, &str)]) -> Vec<usize> {
        let rules: Vec<_> = matchers.iter().map(Some).enumerate().chain([(matchers.len(), None)]).collect();
        let labels: Labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Index::new(&rules).candidates(&labels).collect()
    }

    #[test]
    fn a_rule_is_found_once_and_by_the_label_that_fewest_share() {
        let mut matchers = vec![
            Matcher::Any,
            matcher(&[("env", &["dev", "prod", "dev"])]),
            matcher(&[("os", &["*"]), ("team", &["a"])]),
            matcher(&[("os", &["lin*"])]),
            matcher(&[("gone", &[])]),
        ];
        assert_eq!(found(&matchers, &[]), [0, 1, 2, 3, 4, 5], "a few are looked at one by one");
        for team in ["b", "c", "d", "e", "f", "g", "h"] {
            matchers.push(matcher(&[("env", &["prod"]), ("team", &[team])]));
        }
        assert_eq!(found(&matchers, &[]), [0, 3, 12]);
        assert_eq!(found(&matchers, &[("env", "dev"), ("team", "a")]), [0, 3, 12, 1, 2]);
        assert_eq!(found(&matchers, &[("env", "prod"), ("team", "c")]), [0, 3, 12, 1, 6]);
        assert_eq!(found(&matchers, &[("env", "test"), ("gone", "")]), [0, 3, 12]);
    }
}
