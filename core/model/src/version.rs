//! A program's version, so that gate and client can tell which of them is the older.

use std::fmt;
use std::str::FromStr;

/// Three numbers, as in `1.2.3`; what follows a `-` or `+` is of no account here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// The version of these numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl FromStr for Version {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let core = text.split(['-', '+']).next().unwrap_or(text);
        let numbers: Vec<u32> = core.split('.').map_while(|part| part.parse().ok()).collect();
        match (numbers.as_slice(), core.matches('.').count()) {
            (&[major, minor, patch], 2) => Ok(Self { major, minor, patch }),
            _ => Err(format!("is not a version such as 1.2.3: {text}")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_have_an_order() {
        let read = |text: &str| text.parse::<Version>();
        let sorted = ["0.1.0", "0.1.9", "0.1.10", "0.2.0", "1.0.0-rc.1", "10.0.0"].map(|text| read(text).unwrap());
        assert!(sorted.is_sorted());
        assert_eq!(read("1.2.3+build").unwrap().to_string(), "1.2.3");
        for bad in ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.x", "1..2", "-1.0.0", "4294967296.0.0"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
