//! The words of `tap scp`: options for `scp`, files here, and files on one target.

use tapgate_model::UserName;

use crate::error::{Failure, Result};
use crate::gate_addr::GateAddr;
use crate::ssh::destination::Destination;

/// The options of OpenSSH's `scp` that take a value.
const WITH_VALUE: &str = "cDFiJloPSX";

/// One run of `scp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The options.
    pub options: Vec<String>,
    /// The files; of those on the target, the path alone.
    pub files: Vec<File>,
    /// The target that they name.
    pub destination: Destination,
}

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// Here.
    Here(String),
    /// On the target.
    There(String),
}

impl Copy {
    /// Reads the words. All files on a target must be on the same one, since one tap opens one session.
    pub fn parse(words: &[String], user: &UserName) -> Result<Self> {
        let (options, words) = options(words)?;
        let mut destination = None;
        let mut files = Vec::new();
        for word in words {
            let Some((place, path)) = there(word)? else {
                files.push(File::Here(word.clone()));
                continue;
            };
            let named = Destination::parse(place, user)?;
            if destination.as_ref().is_some_and(|known| *known != named) {
                return Err(Failure::new("two targets are named").advise("copy from one to here, then to the other"));
            }
            destination = Some(named);
            files.push(File::There(path.to_owned()));
        }
        let destination = destination.ok_or_else(|| {
            Failure::new("no target is named").advise("write it as in tap scp FILE LOGIN@TARGET:PATH")
        })?;
        Ok(Self { options: options.to_vec(), files, destination })
    }

    /// The files as `scp` takes them, for this gate.
    pub fn words(&self, gate: &GateAddr) -> Vec<String> {
        let host = if gate.host().contains(':') { format!("[{}]", gate.host()) } else { gate.host().to_owned() };
        let word = |file: &File| match file {
            // A colon in a plain name would make a host of what stands before it.
            File::Here(path) if path.starts_with(['/', '.']) => path.clone(),
            File::Here(path) => format!("./{path}"),
            File::There(path) => format!("{host}:{path}"),
        };
        self.files.iter().map(word).collect()
    }
}

/// Where the options end. `-A` is refused: it would forward this session's own agent.
fn options(words: &[String]) -> Result<(&[String], &[String])> {
    let mut at = 0;
    while let Some(letters) = words.get(at).and_then(|word| word.strip_prefix('-')).filter(|l| !l.is_empty()) {
        if letters == "-" {
            return Ok((words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()));
        }
        let value = letters.char_indices().find(|(_, letter)| WITH_VALUE.contains(*letter));
        let plain = value.map_or(letters, |(n, _)| letters.get(..n).unwrap_or_default());
        if plain.contains('A') {
            return Err(Failure::new("-A would forward this session's own agent").advise("leave it out"));
        }
        let value_follows = value.is_some_and(|(n, letter)| n + letter.len_utf8() == letters.len());
        at += if value_follows { 2 } else { 1 };
    }
    if at > words.len() {
        return Err(Failure::new("the last option needs a value"));
    }
    Ok(words.split_at(at))
}

/// Splits `LOGIN@TARGET:PATH` as `scp` does: a colon before any slash.
fn there(word: &str) -> Result<Option<(&str, &str)>> {
    if word.starts_with("scp://") {
        return Err(Failure::new(format!("{word:?} is not LOGIN@TARGET:PATH")));
    }
    let split = word.split_once(':').filter(|(place, _)| !place.is_empty() && !place.contains('/'));
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Copy> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Copy::parse(&words, &"jerry".parse().unwrap())
    }

    #[test]
    fn files_here_and_there() {
        let gate = "localhost:3080".parse().unwrap();
        for (line, user, options, words) in [
            ("a jerry@prod3:/tmp/", "jerry@prod3", "", "./a localhost:/tmp/"),
            ("-r -P 22 -l10 root@prod3:x .", "root@prod3", "-r -P 22 -l10", "localhost:x ."),
            ("-rp prod3:a prod3:b /c", "jerry@prod3", "-rp", "localhost:a localhost:b /c"),
            ("-o A=b -- ./a:b prod3:", "jerry@prod3", "-o A=b", "./a:b localhost:"),
            ("a/b:c prod3:x:y", "jerry@prod3", "", "./a/b:c localhost:x:y"),
        ] {
            let copy = parse(line).unwrap();
            assert_eq!(copy.destination.ssh_user(), user, "{line}");
            assert_eq!((copy.options.join(" ").as_str(), copy.words(&gate).join(" ").as_str()), (options, words));
        }
        let copy = parse("a prod3:b").unwrap();
        assert_eq!(copy.words(&"[::1]:3080".parse().unwrap()), ["./a", "[::1]:b"]);
    }

    #[test]
    fn what_is_no_copy() {
        for line in ["a b", "-A a prod3:", "-rA a prod3:", "a dev1:b prod3:c", "scp://prod3/a b", "-P", "a -x@prod3:"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
