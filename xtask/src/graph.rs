//! The crate graph: which crate of the project may depend on which.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{cargo, tree};

/// What one package may depend on.
#[derive(Debug, Clone, Copy)]
enum May {
    /// These crates of the project and no other.
    Only(&'static [&'static str]),
    /// Any crate of the project but these.
    AllBut(&'static [&'static str]),
}

/// A protocol speaks to its client and its target; it neither decides, stores nor reads configuration.
const PROTOCOL: May = May::Only(&[
    "tapgate-relay",
    "tapgate-session",
    "tapgate-identity",
    "tapgate-proof",
    "tapgate-audit",
    "tapgate-sql",
    "tapgate-model",
    "russh-relay",
]);

/// The arrows, package by package. Dependencies of tests are free.
const ARROWS: &[(&str, May)] = &[
    ("tapgate-model", May::Only(&[])),
    ("tapgate-store", May::Only(&[])),
    ("tapgate-seal", May::Only(&[])),
    ("tapgate-api", May::Only(&["tapgate-model"])),
    ("tapgate-proof", May::Only(&["tapgate-model"])),
    ("tapgate-policy", May::Only(&["tapgate-model"])),
    ("tapgate-sql", May::Only(&["tapgate-model"])),
    ("tapgate-config", May::Only(&["tapgate-model"])),
    ("tapgate-identity", May::Only(&["tapgate-model", "tapgate-proof"])),
    ("tapgate-audit", May::Only(&["tapgate-model", "tapgate-proof"])),
    (
        "tapgate-session",
        May::Only(&["tapgate-identity", "tapgate-proof", "tapgate-policy", "tapgate-audit", "tapgate-model"]),
    ),
    ("tapgate-relay", May::Only(&["tapgate-session", "tapgate-model", "tapgate-identity", "tapgate-proof"])),
    (
        "tapgate-authority",
        May::Only(&[
            "tapgate-session",
            "tapgate-store",
            "tapgate-seal",
            "tapgate-api",
            "tapgate-policy",
            "tapgate-identity",
            "tapgate-proof",
            "tapgate-audit",
            "tapgate-model",
        ]),
    ),
    ("tapgate-record", May::Only(&["tapgate-audit", "tapgate-proof", "tapgate-model"])),
    ("tapgate-ssh", PROTOCOL),
    ("tapgate-postgres", PROTOCOL),
    ("tapgate-mysql", PROTOCOL),
    ("tapgate-http", PROTOCOL),
    ("tapgate-kube", PROTOCOL),
    ("tapgate-desktop", PROTOCOL),
    ("russh-relay", May::Only(&[])),
    // A laptop tool holds no policy and no store.
    (
        "tapgate-client",
        May::Only(&[
            "tapgate-model",
            "tapgate-api",
            "tapgate-identity",
            "tapgate-proof",
            "tapgate-audit",
            "tapgate-seal",
            "russh-relay",
        ]),
    ),
    // The edge wires everything, but nothing of it is a test.
    (
        "tapgate",
        May::AllBut(&["tapgate-client", "tapgate-lab", "tapgate-skprovider", "tapgate-tests", "tapgate-benches"]),
    ),
    // The lab knows only processes: it must not share a mistake with what it tests.
    ("tapgate-lab", May::Only(&[])),
    // OpenSSH loads it, and it knows nothing of the gate that it signs for.
    ("tapgate-skprovider", May::Only(&[])),
    ("tapgate-tests", May::AllBut(&[])),
    ("tapgate-fuzz-bodies", May::AllBut(&["tapgate-lab"])),
    // Some benches measure the programs as they are released, which takes what the tests take.
    ("tapgate-benches", May::AllBut(&[])),
    ("xtask", May::Only(&[])),
];

/// Checks every manifest of the workspace; says all that is wrong at once.
pub(crate) fn run() -> Result<()> {
    let root = cargo::root()?;
    let fuzz = root.join("fuzz");
    let is_manifest = |path: &Path| path.ends_with("Cargo.toml") && !path.starts_with(&fuzz);
    let manifests = tree::files(&root, &is_manifest)?;
    let mut problems = Vec::new();
    for path in &manifests {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path.strip_prefix(&root).unwrap_or(path).display();
        problems.extend(problems_in(&text).into_iter().map(|problem| format!("{shown}: {problem}")));
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    ensure!(problems.is_empty(), "the crate graph has {} arrows that are not allowed", problems.len());
    println!("graph: {} manifests, every arrow is allowed", manifests.len());
    Ok(())
}

fn problems_in(manifest: &str) -> Vec<String> {
    let package = package_name(manifest).unwrap_or_default();
    let Some((_, may)) = ARROWS.iter().find(|(name, _)| *name == package) else {
        return vec![format!(
            "package `{package}` has no arrows yet (say in xtask/src/graph.rs what it may depend on)"
        )];
    };
    own_dependencies(manifest)
        .into_iter()
        .filter(|dependency| !match may {
            May::Only(allowed) => allowed.contains(&dependency.as_str()),
            May::AllBut(denied) => !denied.contains(&dependency.as_str()),
        })
        .map(|dependency| format!("`{package}` may not depend on `{dependency}`"))
        .collect()
}

fn package_name(manifest: &str) -> Option<&str> {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != "[package]");
    lines.find_map(|line| line.trim().strip_prefix("name = \"")?.strip_suffix('"'))
}

/// The project's own crates among a manifest's dependencies and build dependencies.
fn own_dependencies(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let (is_list, single) = dependency_section(section);
            in_dependencies = is_list;
            found.extend(single.map(str::to_owned));
        } else if in_dependencies && !line.starts_with('#') {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push(name.trim_matches('"').to_owned());
        }
    }
    // The edited russh is taken under russh's name; `stock` only carries the source into the lock file.
    let own = |name: &String| name.starts_with("tapgate") || name.starts_with("russh");
    let package = package_name(manifest).unwrap_or_default().to_owned();
    found
        .into_iter()
        .filter(own)
        .map(|name| if name == "russh" { "russh-relay".to_owned() } else { name })
        .filter(|name| *name != package && !matches!(name.as_str(), "russh-cryptovec" | "russh-util"))
        .collect()
}

/// Whether a section lists dependencies, and the one dependency that its own name may be.
fn dependency_section(section: &str) -> (bool, Option<&str>) {
    if section.contains("dev-dependencies") || section.starts_with("workspace") {
        return (false, None);
    }
    match section.rsplit_once("dependencies.") {
        Some((_, name)) => (false, Some(name)),
        None => (section.ends_with("dependencies"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{package}\"\n[lints]\nworkspace = true\n{dependencies}\n")
    }

    #[test]
    fn allowed_arrows_pass() {
        for (package, dependencies) in [
            ("tapgate-model", "[dependencies]\nserde = { workspace = true }"),
            ("tapgate-relay", "[dependencies]\ntapgate-session.workspace = true\ntokio.workspace = true"),
            ("tapgate-ssh", "[dependencies]\ntapgate-relay.workspace = true\nrussh.workspace = true"),
            ("tapgate-ssh", "[dev-dependencies]\ntapgate-authority.workspace = true"),
            ("tapgate", "[dependencies]\ntapgate-authority.workspace = true\n# tapgate-client = 1"),
            ("russh-relay", "[dependencies.russh]\noptional = true\n[dependencies.russh-util]\nversion = \"1\""),
        ] {
            assert_eq!(problems_in(&manifest(package, dependencies)), Vec::<String>::new(), "{package}");
        }
    }

    #[test]
    fn other_arrows_are_refused() {
        for (package, dependencies) in [
            ("tapgate-ssh", "[dependencies]\ntapgate-authority.workspace = true"),
            ("tapgate-ssh", "[dependencies]\ntapgate-store = { path = \"x\" }"),
            ("tapgate-ssh", "[build-dependencies]\ntapgate-config.workspace = true"),
            ("tapgate-ssh", "[target.'cfg(unix)'.dependencies]\ntapgate-policy.workspace = true"),
            ("tapgate-ssh", "[dependencies.tapgate-policy]\nworkspace = true"),
            ("tapgate-model", "[dependencies]\ntapgate-api.workspace = true"),
            ("tapgate-policy", "[dependencies]\nrussh.workspace = true"),
            ("tapgate", "[dependencies]\ntapgate-client.workspace = true"),
            ("tapgate-new", ""),
        ] {
            assert_eq!(problems_in(&manifest(package, dependencies)).len(), 1, "{package}: {dependencies}");
        }
    }

    #[test]
    fn this_repository_holds() {
        run().unwrap();
    }
}
