//! An error and its causes in one line, each of them told once.

/// The words of an error and of its causes. Many tell their cause themselves: it is not told again.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let told_once = |told: String, cause: String| if told.contains(&cause) { told } else { format!("{told}: {cause}") };
    error.chain().map(ToString::to_string).reduce(told_once).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let told = anyhow!("denied").context("/run/key can't be read: denied");
        assert_eq!(words(&told), "/run/key can't be read: denied");
        let further = Err::<(), _>(told).context("can't read the key").unwrap_err();
        assert_eq!(words(&further), "can't read the key: /run/key can't be read: denied");
        assert_eq!(words(&anyhow!("denied").context("can't read the key")), "can't read the key: denied");
    }
}
