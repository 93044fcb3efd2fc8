//! Bad YAML: each mistake has its line and says what to do.

use rstest::rstest;

use crate::help::problems;

/// A role around a piece of `spec`, which starts at line 5.
fn role(spec: &str) -> String {
    format!("kind: role\nversion: v8\nmetadata: {{name: dev}}\nspec:\n{spec}")
}

/// A node around a piece of `spec`, which starts at line 6, after its address.
fn node(spec: &str) -> String {
    format!("kind: node\nversion: v2\nmetadata: {{name: n}}\nspec:\n  addr: 'n:22'\n{spec}")
}
