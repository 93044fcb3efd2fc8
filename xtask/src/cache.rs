//! Where the tests' programs are kept between runs: below the user's cache.

use std::path::PathBuf;

/// Where this variable says, else this folder below `XDG_CACHE_HOME`, else below `~/.cache`. The same stands in the lab.
pub(crate) fn folder(name: &str, folder: &str) -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    of(name).or_else(|| cache().map(|cache| cache.join(folder)))
}
