//! Walking the repository: its own files, without what was built or fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 4] = ["target", "node_modules", "dist", "demo-data"];

/// Every file below `folder` that `wanted` accepts, sorted.
pub(crate) fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if is_ours(&entry.file_name().to_string_lossy()) {
                    open.push(path);
                }
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_ours(folder: &str) -> bool {
    !folder.starts_with('.') && !FOREIGN.contains(&folder)
}
