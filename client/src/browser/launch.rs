//! Opening the browser, where there is one to open.

/// Whether a browser that we open would be on this person's screen.
pub fn possible() -> bool {
    has_screen(&|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Not within SSH, where the screen is another machine's, and on Unix only beside a display. Systems that
/// need neither variable are those with one desktop.
fn has_screen(is_set: &dyn Fn(&str) -> bool) -> bool {
    if is_set("SSH_CONNECTION") || is_set("SSH_TTY") {
        return false;
    }
    cfg!(target_os = "macos") || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(is_set)
}

/// Opens the link, if it can be. The link has been printed, so a failure costs a click.
pub(super) fn launch(link: &str) {
    if possible() && open::that_detached(link).is_err() {
        eprintln!("The browser could not be opened.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_browser_is_opened_on_ones_own_screen_only() {
        let check = |set: &[&str], expect| assert_eq!(has_screen(&|name| set.contains(&name)), expect, "{set:?}");
        check(&["DISPLAY"], true);
        check(&["WAYLAND_DISPLAY"], true);
        check(&[], false);
        check(&["DISPLAY", "SSH_CONNECTION"], false);
        check(&["DISPLAY", "SSH_TTY"], false);
    }
}
