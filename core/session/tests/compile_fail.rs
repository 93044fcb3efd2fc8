//! Programs that must not compile: a grant is not forged, cloned, spent twice or looked into.

#[test]
fn what_must_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
