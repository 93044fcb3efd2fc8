//! The body of the fuzz target: whatever the bytes, reading them ends, and what is read can be compiled.

use crate::Policy;

/// Reads bytes as resources. What is accepted must be read the same from its own text.
pub fn parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(documents) = crate::parse("fuzz", text) else { return };
    for document in &documents {
        let again = crate::parse("again", &document.yaml);
        assert!(again.is_ok_and(|again| again.iter().map(|d| (d.kind, &d.name)).eq([(document.kind, &document.name)])));
    }
    drop(Policy::build(&documents));
}
