//! What goes to standard output: lists as text, JSON or YAML.

use std::io::{ErrorKind, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::{Act as _, Failure, Result, printable};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Writes a value in this format; `text` is called for people only.
pub fn show<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
    let act = || "the answer cannot be written".to_owned();
    match format {
        Format::Text => write(&printable(&text(value))),
        Format::Json => write(&format!("{}\n", serde_json::to_string_pretty(value).act(act)?)),
        Format::Yaml => write(&serde_norway::to_string(value).act(act)?),
    }
}

/// Writes to standard output. A reader that has seen enough is no failure.
pub fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output has failed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Each of these on a line of its own.
pub fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Columns as wide as their widest cell, two spaces apart, without spaces at a line's end.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

/// Columns under headings and dashes, one space apart.
pub fn headed(headings: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |n: usize| rows.iter().filter_map(move |row| row.get(n)).map(|cell| cell.chars().count());
    let width = |(n, heading): (usize, &&str)| cells(n).max().unwrap_or(0).max(heading.chars().count());
    let widths: Vec<usize> = headings.iter().enumerate().map(width).collect();
    let dashes = widths.iter().map(|width| "-".repeat(*width)).collect();
    let first = headings.iter().map(|&heading| heading.to_owned()).collect();
    let mut text = String::new();
    for row in [first, dashes].iter().chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$} "));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let row = |cells: &[&str]| cells.iter().map(|&c| c.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["Cluster", "demo"]), row(&["Version", "0.1.0"]), row(&["CA pin", "sha256:ab"])];
        assert_eq!(table(&rows), "Cluster  demo\nVersion  0.1.0\nCA pin   sha256:ab\n");
        assert_eq!(table(&[]), "");
        assert_eq!(headed(&["Name", "Of"], &[row(&["a", "b"])]), "Name Of\n---- --\na    b\n");
    }
}
