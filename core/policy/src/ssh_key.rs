//! Public key lines of OpenSSH, as far as a mistake in one can be told without cryptography.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::section::Section;

const ALGORITHMS: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/// Takes a list of public key lines.
pub(crate) fn read(section: &Section<'_>, name: &'static str) -> Vec<String> {
    let items = section.take(name).and_then(|at| at.one_or_more()).unwrap_or_default();
    items
        .iter()
        .filter_map(|at| {
            let line = at.text()?.trim();
            match problem(line) {
                None => Some(line.to_owned()),
                Some(what) => {
                    at.problem(format!("`{}`: {what}", at.name()));
                    None
                }
            }
        })
        .collect()
}

fn problem(line: &str) -> Option<String> {
    if line.contains("PRIVATE KEY") {
        return Some(
            "this is a private key (give the public key, from the .pub file, and replace the pair)".to_owned(),
        );
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(algorithm), Some(blob)) = (words.next(), words.next()) else {
        return Some("this is no public key line (use the form `ssh-ed25519 AAAA...` of /etc/ssh/*.pub)".to_owned());
    };
    if line.contains('\n') || !ALGORITHMS.contains(&algorithm) {
        return Some(format!("the key type `{algorithm}` is not supported (use {})", ALGORITHMS.join(", ")));
    }
    // The blob starts with its own algorithm's name, behind a length of four bytes.
    let bytes = STANDARD.decode(blob).unwrap_or_default();
    let whole =
        bytes.get(4..).is_some_and(|rest| rest.len() > algorithm.len() && rest.starts_with(algorithm.as_bytes()));
    (!whole).then(|| "the key is damaged (copy the whole line of the .pub file)".to_owned())
}
