//! The resources: those of the store, and the files of the resource directory.

use std::fs;
use std::path::{Path, PathBuf};

use tapgate_policy::{Document, Policy, Problem, ResourceKind, parse};

use crate::limits::FILE_MAX;
use crate::{Authority, AuthorityError, key};

/// All resources there are.
pub(crate) struct Documents {
    pub(crate) stored: Vec<Document>,
    /// What the resource directory holds; the gate does not write there.
    pub(crate) filed: Vec<Document>,
}

impl Documents {
    pub(crate) fn stored(&self, kind: ResourceKind, name: &str) -> Option<&Document> {
        self.stored.iter().find(|document| document.kind == kind && document.name.as_str() == name)
    }

    pub(crate) fn filed(&self, kind: ResourceKind, name: &str) -> Option<&Document> {
        self.filed.iter().find(|document| document.kind == kind && document.name.as_str() == name)
    }

    pub(crate) fn has(&self, kind: ResourceKind, name: &str) -> bool {
        self.stored(kind, name).or_else(|| self.filed(kind, name)).is_some()
    }

    /// The policy that they make.
    pub(crate) fn build(&self) -> Result<Policy, Vec<Problem>> {
        let both = self.filed.iter().filter(|document| self.stored(document.kind, document.name.as_str()).is_some());
        let twice: Vec<Problem> = both.map(in_both).collect();
        if !twice.is_empty() {
            return Err(twice);
        }
        let all: Vec<Document> = self.stored.iter().chain(&self.filed).cloned().collect();
        Policy::build(&all)
    }
}

fn in_both(document: &Document) -> Problem {
    let (kind, name) = (document.kind, &document.name);
    let what = format!("{kind} `{name}` is in the store too (remove it here, or with `tapctl rm {kind}/{name}`)");
    Problem { source: document.source.clone(), line: document.line, what }
}

impl Authority {
    /// Reads all resources; every problem of every text is listed.
    pub(crate) fn documents(&self) -> Result<Documents, AuthorityError> {
        let mut problems = Vec::new();
        let mut stored = Vec::new();
        for (key, entry) in self.store.list(key::RESOURCES, self.now().as_secs())? {
            let text = String::from_utf8_lossy(&entry.value);
            match parse(&format!("store:{}", key.trim_start_matches(key::RESOURCES)), &text) {
                Ok(documents) => stored.extend(documents),
                Err(found) => problems.extend(found),
            }
        }
        let mut filed = Vec::new();
        for path in resource_files(self.resource_dir.as_deref())? {
            match parse(&source_name(&path), &read(&path)?) {
                Ok(documents) => filed.extend(documents),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Documents { stored, filed }) } else { Err(AuthorityError::Problems(problems)) }
    }
}

/// The resource files of a directory, in the order of their names: what the gate reads, and so what
/// is checked before it does.
pub fn resource_files(directory: Option<&Path>) -> Result<Vec<PathBuf>, AuthorityError> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let unreadable = |source| AuthorityError::Directory { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    let unreadable = |source| AuthorityError::Directory { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_MAX {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {FILE_MAX} bytes (split it)"))));
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn source_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
