//! The path of a request at the gate: which cluster it is for, and what is left for the API server.

use tapgate_model::TargetName;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// It names no cluster.
    #[error("the path names no cluster (use https://<gate>/<cluster>/…; `tap kube login` writes it)")]
    NoCluster,
    /// It could be read in two ways.
    #[error("the path could be read in two ways (write it without `//`, `.`, `..` and encoded slashes or dots)")]
    Ambiguous,
}

/// A path whose first segment was taken off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    pub(crate) cluster: TargetName,
    /// Begins with a slash.
    pub(crate) rest: &'a str,
}

/// Splits a path. One that an API server may read in another way than the gate is refused: what was checked must be
/// what is done.
pub(crate) fn split(path: &str) -> Result<Split<'_>, PathError> {
    if !is_plain(path) {
        return Err(PathError::Ambiguous);
    }
    let path = path.strip_prefix('/').ok_or(PathError::Ambiguous)?;
    let (cluster, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let cluster = cluster.parse().map_err(|_| PathError::NoCluster)?;
    Ok(Split { cluster, rest: if rest.is_empty() { "/" } else { rest } })
}

/// Whether every segment is what it seems: none empty but the last, none `.` or `..`, and no encoded form of what
/// divides or climbs.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let encoded = ["%2f", "%5c", "%2e", "%25", "%00"].iter().any(|bad| lower.contains(bad));
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !last) {
            return false;
        }
    }
    !encoded && !path.contains(['\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_and_the_rest() {
        let rest = |path| split(path).map(|split| (split.cluster.to_string(), split.rest.to_owned()));
        assert_eq!(rest("/prod/api/v1/pods"), Ok(("prod".to_owned(), "/api/v1/pods".to_owned())));
        assert_eq!(rest("/prod"), Ok(("prod".to_owned(), "/".to_owned())));
        assert_eq!(rest("/prod/"), Ok(("prod".to_owned(), "/".to_owned())));
        assert_eq!(rest("/prod/apis/"), Ok(("prod".to_owned(), "/apis/".to_owned())));
    }

    #[test]
    fn what_could_be_read_in_two_ways() {
        for path in [
            "//prod/api",
            "/prod//api",
            "/prod/api/../../other/api",
            "/prod/./api",
            "/prod/%2e%2e/other",
            "/prod/%2E%2e/other",
            "/prod/api%2fv1",
            "/prod/a%5cb",
            "/prod/a\\b",
            "/prod/%252e%252e/x",
            "/prod/a%00b",
            "prod/api",
        ] {
            assert_eq!(split(path), Err(PathError::Ambiguous), "{path}");
        }
        for path in ["/", "/-x/api", "/a b/api"] {
            assert_eq!(split(path), Err(PathError::NoCluster), "{path}");
        }
    }
}
