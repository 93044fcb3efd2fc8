//! Resource files beside the store.

use std::fs;

use tempfile::TempDir;

use super::lab::Lab;
use crate::AuthorityError;

const ROLE: &str = "kind: role\nversion: v7\nmetadata:\n  name: dev\nspec:\n  allow:\n    logins: [jerry]\n";

fn problems(lab: &Lab) -> Vec<String> {
    match lab.authority.snapshot() {
        Err(AuthorityError::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
        Ok(_) => vec![],
    }
}

#[test]
fn files_and_store_make_one_policy() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), ROLE).unwrap();
    fs::write(dir.path().join(".hidden.yaml"), "nonsense").unwrap();
    fs::write(dir.path().join("notes.txt"), "nonsense").unwrap();
    let lab = Lab::with(Some(dir.path().to_owned()));
    let user = "kind: user\nversion: v2\nmetadata:\n  name: jerry\nspec:\n  roles: [dev]\n";
    lab.authority.put_resources_trusted(user).unwrap();
    assert_eq!(lab.policy().roles_of(&"jerry".parse().unwrap()).unwrap().len(), 1);
    // What stands in a file is changed there.
    assert!(lab.authority.put_resources_trusted(ROLE).is_err());
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    assert_eq!(problems(&lab).len(), 1);
}

#[test]
fn a_resource_in_both_is_a_problem_that_names_both() {
    let dir = TempDir::new().unwrap();
    let lab = Lab::with(Some(dir.path().to_owned()));
    lab.authority.put_resources_trusted(ROLE).unwrap();
    fs::write(dir.path().join("roles.yaml"), format!("# mine\n---\n{ROLE}")).unwrap();
    let found = problems(&lab);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("roles.yaml:") && found[0].contains("tapctl rm role/dev"), "{found:?}");
}

#[test]
fn every_problem_of_every_file_is_listed() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), "kind: nonsense\n").unwrap();
    fs::write(dir.path().join("b.yaml"), ROLE.replace("allow", "alow")).unwrap();
    let lab = Lab::with(Some(dir.path().to_owned()));
    let found = problems(&lab);
    assert!(
        found.iter().any(|p| p.starts_with("a.yaml:")) && found.iter().any(|p| p.starts_with("b.yaml:")),
        "{found:?}"
    );
}
