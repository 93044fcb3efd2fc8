//! One-time codes at the terminal: asking for one, and showing a secret to an authenticator app.

use std::io::stdin;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use zeroize::Zeroizing;

use super::password::first_line;
use crate::error::{Act as _, Result};
use crate::limits::PASSWORD_BYTES_MAX;

/// Reads a code from standard input. It is shown as it is typed: it is worth nothing in a minute.
pub fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    eprint!("{prompt}");
    let line = first_line(stdin().lock(), "standard input", PASSWORD_BYTES_MAX)?;
    Ok(Zeroizing::new(line.chars().filter(char::is_ascii_alphanumeric).collect()))
}

/// The address as a code to be photographed, dark on light whatever the terminal's colours are.
pub fn picture(uri: &str) -> Result<String> {
    let code = QrCode::new(uri).act(|| "the QR code cannot be drawn".to_owned())?;
    let lines = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let painted = lines.lines().map(|line| format!("\u{1b}[40;97m{line}\u{1b}[0m\n"));
    Ok(painted.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_into_a_terminal() {
        let uri =
            "otpauth://totp/gate.example.com:jerry?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=gate.example.com";
        let picture = picture(uri).unwrap();
        assert!((10..40).contains(&picture.lines().count()), "{picture}");
        assert!(picture.lines().all(|line| line.chars().count() < 90));
    }
}
