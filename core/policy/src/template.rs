//! Templates such as `{{internal.logins}}` and `ops-{{external.team}}`: what a user's traits put in their place.

use std::collections::BTreeMap;

/// The traits that `internal` knows. A misspelled one would silently stand for nothing.
const INTERNAL: [&str; 9] = [
    "logins",
    "windows_logins",
    "kubernetes_groups",
    "kubernetes_users",
    "db_names",
    "db_users",
    "db_roles",
    "db_service",
    "app_roles",
];

/// A text with one variable in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    prefix: String,
    suffix: String,
    name: String,
    /// Whether an administrator wrote the values, so that a `*` among them means every value. What an
    /// identity provider says is always taken as plain text.
    internal: bool,
}

/// What a template stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Every value.
    Any,
    /// This text, whatever characters it holds.
    Text(String),
}

impl Template {
    /// Reads a template; `None` where the text holds no variable.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, String> {
        let Some((prefix, rest)) = text.split_once("{{") else {
            return if text.contains("}}") {
                Err(format!("`{text}` has `}}}}` without `{{{{` (write {{{{internal.logins}}}})"))
            } else {
                Ok(None)
            };
        };
        let wrong =
            || format!("`{text}` is not a template (use {{{{internal.logins}}}} or {{{{external.claim}}}}, once)");
        let (variable, suffix) = rest.split_once("}}").ok_or_else(wrong)?;
        if suffix.contains("{{") || suffix.contains("}}") || variable.contains('{') {
            return Err(wrong());
        }
        if variable.contains('(') {
            return Err(format!("`{text}` calls a function, which is not supported (use the bare variable)"));
        }
        let (internal, name) = variable_name(variable.trim()).ok_or_else(wrong)?;
        if internal && !INTERNAL.contains(&name) {
            return Err(format!("`{text}`: `internal` has no `{name}` (use {})", INTERNAL.join(", ")));
        }
        Ok(Some(Self { prefix: prefix.to_owned(), suffix: suffix.to_owned(), name: name.to_owned(), internal }))
    }

    /// The values that stand in the template's place; none where the user has no such trait.
    pub(crate) fn expand(&self, traits: &BTreeMap<String, Vec<String>>) -> Vec<Expanded> {
        let values = traits.get(&self.name).map(Vec::as_slice).unwrap_or_default();
        values.iter().map(|value| self.value(value)).collect()
    }

    fn value(&self, value: &str) -> Expanded {
        if value == "*" && self.internal && self.prefix.is_empty() && self.suffix.is_empty() {
            Expanded::Any
        } else {
            Expanded::Text(format!("{}{value}{}", self.prefix, self.suffix))
        }
    }
}

/// `internal.name`, `external.name` or `external["name"]`.
fn variable_name(variable: &str) -> Option<(bool, &str)> {
    let (internal, rest) = match variable.strip_prefix("internal") {
        Some(rest) => (true, rest),
        None => (false, variable.strip_prefix("external")?),
    };
    let name = match rest.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]")) {
        Some(quoted) => Some(quoted).filter(|name| !name.contains('"')),
        None => {
            rest.strip_prefix('.').filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
        }
    };
    name.filter(|name| !name.is_empty()).map(|name| (internal, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Vec<Expanded> {
        let values = |list: &[&str]| list.iter().map(|&v| v.to_owned()).collect();
        let traits = BTreeMap::from([
            ("logins".to_owned(), values(&["jerry", "*"])),
            ("team name".to_owned(), values(&["a b"])),
            ("team".to_owned(), values(&["*"])),
        ]);
        Template::read(text).unwrap().unwrap().expand(&traits)
    }

    #[test]
    fn traits_take_their_places() {
        let text = |text: &str| Expanded::Text(text.to_owned());
        assert_eq!(expand("{{internal.logins}}"), [text("jerry"), Expanded::Any]);
        assert_eq!(expand("{{ external.logins }}"), [text("jerry"), text("*")]);
        assert_eq!(expand("a-{{internal.logins}}-b"), [text("a-jerry-b"), text("a-*-b")]);
        assert_eq!(expand("{{external[\"team name\"]}}"), [text("a b")]);
        assert_eq!(expand("{{external.team}}"), [text("*")]);
        assert_eq!(expand("{{external.none}}"), []);
        assert_eq!(Template::read("plain"), Ok(None));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in [
            "{{",
            "}}",
            "{{}}",
            "{{internal}}",
            "{{internal.}}",
            "{{internal.login}}",
            "{{user.name}}",
            "{{external.a}}{{external.b}}",
            "{{external.a b}}",
            "{{email.local(external.email)}}",
            "{{external[\"a}}",
        ] {
            assert!(Template::read(bad).is_err_and(|e| e.contains(bad)), "{bad}");
        }
    }
}
