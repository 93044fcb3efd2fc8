//! The house rules that neither rustfmt nor clippy knows.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{cargo, tree};

/// A longer file has more than one idea.
const LINES_MAX: usize = 600;

/// How far above an `expect(` its INVARIANT comment may begin: a statement broken over a few lines.
const INVARIANT_REACH: usize = 8;

/// The packages that go without the workspace's lints, and with them without its `unsafe_code = "forbid"`.
const OTHER_LINTS: [&str; 3] = [
    // Outside the workspace: libFuzzer's macros.
    "fuzz/Cargo.toml",
    // Its code is russh's.
    "protocols/ssh/russh-relay/Cargo.toml",
    // OpenSSH calls it by C's rules; the other lints stand in its own manifest.
    "tests/skprovider/Cargo.toml",
];

/// Checks every Rust file and every manifest; says all that is wrong at once.
pub(crate) fn run() -> Result<()> {
    let root = cargo::root()?;
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let files = tree::files(&root, &is_rust)?;
    let mut problems = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path.strip_prefix(&root).unwrap_or(path);
        let found = problems_in(&text, is_test_code(shown));
        problems.extend(found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", shown.display())));
    }
    for path in &tree::files(&root, &|path: &Path| path.ends_with("Cargo.toml"))? {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path.strip_prefix(&root).unwrap_or(path);
        if !OTHER_LINTS.iter().any(|other| shown == Path::new(other)) && !has_lints(&text) {
            problems.push(format!("{}: a package has the workspace's lints", shown.display()));
        }
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    ensure!(problems.is_empty(), "the house rules are broken in {} places", problems.len());
    println!("house: {} files hold the rules", files.len());
    Ok(())
}

/// Whether a manifest takes the workspace's lints.
fn has_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    lines.nth(1) == Some("workspace = true")
}

/// Whether a whole file is test code: it lies in a folder of tests, or its name says so.
fn is_test_code(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
        || path.components().any(|part| ["tests", "benches"].iter().any(|folder| part.as_os_str() == *folder))
}

fn problems_in(text: &str, is_test: bool) -> Vec<(usize, &'static str)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push((1, "a file begins with a `//!` line that says its single idea"));
    }
    if lines.len() > LINES_MAX {
        problems.push((lines.len(), "a file has at most 600 lines"));
    }
    if is_test {
        return problems;
    }
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        if line.trim().starts_with("#[cfg(test)]") {
            index = end_of_item(&lines, index);
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        if code.contains(concat!(".unwrap", "()")) {
            problems.push((index + 1, "no `unwrap()` outside tests"));
        }
        if code.contains(concat!(".expect", "(")) && !has_invariant(&lines, index) {
            problems.push((index + 1, "an `expect(` has an `// INVARIANT:` line above it"));
        }
        index += 1;
    }
    problems
}

/// The line after the item whose `#[cfg(test)]` stands at `start`. Formatted code closes an item at the
/// indentation at which it began.
fn end_of_item(lines: &[&str], start: usize) -> usize {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let at = lines.get(start).map_or(0, |line| indentation(line));
    let rest = lines.iter().enumerate().skip(start + 1);
    for (index, line) in rest.filter(|(_, line)| !line.trim().is_empty() && indentation(line) == at) {
        let line = line.trim_end();
        if line.ends_with(';') || line.ends_with('}') {
            return index + 1;
        }
    }
    lines.len()
}

fn has_invariant(lines: &[&str], index: usize) -> bool {
    let above = lines.iter().take(index + 1).rev().take(INVARIANT_REACH);
    above.take_while(|line| !line.trim().is_empty()).any(|line| line.contains("// INVARIANT:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_files() {
        for text in [
            "//! An idea.\nfn f() {}\n",
            "//! An idea.\n// x.unwrap() is not code\n",
            "//! An idea.\nfn f() {\n    // INVARIANT: it is there.\n    x.expect(\"there\");\n}\n",
            "//! An idea.\nfn f() {\n    // INVARIANT: it is there.\n    x\n        .y()\n        .expect(\"there\");\n}\n",
            "//! An idea.\n#[cfg(test)]\nmod tests {\n    fn f() {\n        x.unwrap();\n    }\n}\n",
            "//! An idea.\n#[cfg(test)]\n#[path = \"x\"]\nmod tests;\nfn f() {}\n",
        ] {
            assert_eq!(problems_in(text, false), vec![], "{text}");
        }
    }

    #[test]
    fn bad_files() {
        for (text, line) in [
            ("fn f() {}\n", 1),
            ("", 1),
            ("//! An idea.\nfn f() { x.unwrap() }\n", 2),
            ("//! An idea.\nfn f() { x.expect(\"y\") }\n", 2),
            ("//! An idea.\n// INVARIANT: far away.\n\nfn f() { x.expect(\"y\") }\n", 4),
            ("//! An idea.\n#[cfg(test)]\nmod tests;\nfn f() { x.unwrap() }\n", 4),
            ("//! An idea.\n#[cfg(test)]\nmod tests {\n    x\n}\nfn f() { x.unwrap() }\n", 6),
        ] {
            let problems = problems_in(text, false);
            assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), vec![line], "{text}");
        }
        let long = format!("//! An idea.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(problems_in(&long, true).len(), 1);
    }

    #[test]
    fn lints_of_the_workspace() {
        assert!(has_lints("[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n"));
        for manifest in ["[package]\n", "[lints.rust]\nworkspace = true\n", "[workspace.lints]\nworkspace = true\n"] {
            assert!(!has_lints(manifest), "{manifest}");
        }
    }

    #[test]
    fn folders_of_tests() {
        assert!(is_test_code(Path::new("core/x/src/tests.rs")));
        assert!(is_test_code(Path::new("protocols/x/src/wire_tests.rs")));
        assert!(is_test_code(Path::new("tests/e2e/ssh.rs")));
        assert!(!is_test_code(Path::new("core/x/src/lib.rs")));
    }
}
