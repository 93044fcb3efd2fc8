//! Where a password comes from: the terminal, a file, or standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};

use zeroize::Zeroizing;

use crate::error::{Act as _, Failure, Result};
use crate::limits::PASSWORD_BYTES_MAX;

/// Reads the password: `--password-stdin`, else `TAP_PASSWORD_FILE`, else the terminal.
pub fn read(from_stdin: bool, prompt: &str) -> Result<Zeroizing<String>> {
    if let Some(password) = unattended(from_stdin)? {
        return Ok(password);
    }
    ask(prompt)
}

/// Reads a new password, from the terminal twice.
pub fn choose(from_stdin: bool, prompt: &str) -> Result<Zeroizing<String>> {
    if let Some(password) = unattended(from_stdin)? {
        return Ok(password);
    }
    let (one, two) = (ask(prompt)?, ask("The same again: ")?);
    if one == two { Ok(one) } else { Err(Failure::new("the two passwords differ").advise("try again")) }
}

fn unattended(from_stdin: bool) -> Result<Option<Zeroizing<String>>> {
    if from_stdin {
        // No more than the line: what follows may be a one-time code.
        return first_line(stdin().lock(), "standard input", PASSWORD_BYTES_MAX).map(Some);
    }
    let Some(path) = std::env::var_os("TAP_PASSWORD_FILE").filter(|path| !path.is_empty()) else { return Ok(None) };
    let file = File::open(&path).act(|| format!("{} cannot be read", path.display()))?;
    first_line(BufReader::new(file), &path.display().to_string(), PASSWORD_BYTES_MAX).map(Some)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    let password = rpassword::prompt_password(prompt)
        .act(|| "the password cannot be asked for".to_owned())
        .map_err(|failure| failure.advise("use --password-stdin or TAP_PASSWORD_FILE where there is no terminal"))?;
    Ok(Zeroizing::new(password))
}

/// The first line, of which no more than this many bytes are read.
pub(crate) fn first_line(reader: impl BufRead, name: &str, most: u64) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    reader.take(most).read_line(&mut text).act(|| format!("{name} cannot be read"))?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    if line.is_empty() { Err(Failure::new(format!("there is nothing in {name}"))) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts() {
        assert_eq!(*first_line(&b"one two\r\nthree"[..], "x", 100).unwrap(), "one two");
        assert!(first_line(&b"\n"[..], "x", 100).is_err());
    }
}
