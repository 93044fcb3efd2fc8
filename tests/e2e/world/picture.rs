//! Pictures of pages, for the documentation.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::Browser;

/// Keeps what the page looks like, where `TAPGATE_SCREENSHOTS` names a folder.
pub(crate) fn picture(browser: &Browser, name: &str) -> Result<()> {
    let Some(folder) = std::env::var_os("TAPGATE_SCREENSHOTS").map(PathBuf::from) else { return Ok(()) };
    for scheme in ["light", "dark"] {
        let feature = serde_json::json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", &feature)?;
        let image = STANDARD.decode(browser.screenshot()?).context("the picture is no base64")?;
        std::fs::write(folder.join(format!("{name}-{scheme}.png")), image)?;
    }
    Ok(())
}
