//! The options for databases: what they say, alone and together, and what a statement meets.

use rstest::rstest;
use tapgate_model::{ClassSet, StatementClass};
use tapgate_policy::{AuditText, DbTerms, StatementVerdict};

use crate::help::{policy, terms};

fn with(roles: &[&str]) -> DbTerms {
    let mut yaml = String::new();
    let mut names = Vec::new();
    for (number, options) in roles.iter().enumerate() {
        names.push(format!("r{number}"));
        yaml += &role(&format!("r{number}"), options);
    }
    let user = format!("kind: user\nversion: v2\nmetadata: {{name: jerry}}\nspec: {{roles: [{}]}}\n", names.join(", "));
    terms(&policy(&(yaml + &user)), "jerry", "at=here", "jerry").unwrap().db
}

fn role(name: &str, options: &str) -> String {
    format!(
        "kind: role\nversion: v8\nmetadata: {{name: {name}}}\nspec:\n  options: {{{options}}}\n  \
         allow: {{logins: [jerry], node_labels: {{at: here}}}}\n---\n"
    )
}

fn set(classes: &[StatementClass]) -> ClassSet {
    ClassSet::of(classes)
}

#[test]
fn nothing_is_said() {
    let terms = with(&[""]);
    assert_eq!(terms, DbTerms::DEFAULT);
    assert_eq!((terms.audit_text, terms.local_infile, terms.replication), (AuditText::Full, false, false));
    assert!(!terms.judges() && !terms.is_read_only());
    assert_eq!(terms.statement(ClassSet::DANGEROUS), StatementVerdict::Allow);
}

#[test]
fn classes_are_denied_and_tied_to_a_tap() {
    let terms = with(&["db_statements: {deny: [grant, program], fresh_tap: dangerous}"]);
    assert_eq!(terms.deny, set(&[StatementClass::Grant, StatementClass::Program]));
    assert_eq!(terms.fresh_tap, ClassSet::DANGEROUS);
    assert!(terms.judges());
    let says = |classes: &[StatementClass]| terms.statement(set(classes));
    assert_eq!(says(&[]), StatementVerdict::Allow);
    assert_eq!(says(&[StatementClass::Write, StatementClass::Read]), StatementVerdict::Allow);
    assert_eq!(says(&[StatementClass::Read, StatementClass::Ddl]), StatementVerdict::FreshTap);
    assert_eq!(says(&[StatementClass::Unparsed]), StatementVerdict::FreshTap);
    let both = says(&[StatementClass::Ddl, StatementClass::Grant, StatementClass::Program]);
    assert_eq!(both, StatementVerdict::Deny(StatementClass::Program), "a denial comes first and names the gravest");
}

#[test]
fn read_only_allows_what_changes_nothing() {
    let terms = with(&["db_statements: {read_only: true}"]);
    assert!(terms.is_read_only());
    for class in StatementClass::ALL {
        let allowed = matches!(class, StatementClass::Read | StatementClass::Transaction | StatementClass::Session);
        let want = if allowed { StatementVerdict::Allow } else { StatementVerdict::Deny(class) };
        assert_eq!(terms.statement(set(&[class, StatementClass::Read])), want, "{class}");
    }
}

#[test]
fn roles_together_deny_more_and_record_more() {
    let (one, other) = ("db_statements: {deny: [ddl]}", "db_statements: {fresh_tap: [write], read_only: false}");
    let terms = with(&[one, other, ""]);
    assert_eq!((terms.deny, terms.fresh_tap), (set(&[StatementClass::Ddl]), set(&[StatementClass::Write])));
    assert!(with(&["db_statements: {read_only: yes}", ""]).is_read_only());
    let text = |roles: &[&str]| with(roles).audit_text;
    assert_eq!(text(&["db_audit_text: off"]), AuditText::Off);
    assert_eq!(text(&["db_audit_text: off", "db_audit_text: redacted"]), AuditText::Redacted);
    assert_eq!(text(&["db_audit_text: off", ""]), AuditText::Full, "a role that is silent records the text");
    assert!(with(&["", "db_local_infile: true"]).local_infile && with(&["db_replication: true", ""]).replication);
}

#[rstest]
#[case("db_statements: {deny: [dll]}", "`deny` can't be `dll`")]
#[case("db_statements: {fresh_tap: everything}", "`fresh_tap` can't be `everything`")]
#[case("db_statements: {denies: [ddl]}", "unknown field `denies`")]
#[case("db_statements: {read_only: maybe}", "`read_only` is neither true nor false")]
#[case("db_audit_text: some", "`db_audit_text` can't be `some`")]
#[case("db_local_infile: 3", "`db_local_infile` is neither true nor false")]
fn what_is_unknown_is_refused_with_its_line(#[case] options: &str, #[case] want: &str) {
    let problems = tapgate_policy::parse("roles.yaml", &role("r", options)).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains(want) && told.contains("roles.yaml:5")), "{told:?}");
}

#[test]
fn the_example_of_the_documentation_is_taken() {
    let page = include_str!("../../../../docs/sql-policy.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(tapgate_policy::parse("docs", example).is_ok_and(|documents| documents.len() == 1));
}
