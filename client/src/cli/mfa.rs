//! `tap mfa`: a user's own security keys, and one-time codes for login.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Subcommand;
use tapgate_api::{
    Ceremony, DeviceAction, DeviceBegin, DeviceChallenge, DeviceOutcome, DeviceRegister, Devices, OtpConfirm,
    OtpSecret, path,
};
use tapgate_model::{Clock as _, SystemClock, UnixTime};
use tapgate_proof::Traits;

use super::{Context, otp, output};
use crate::browser::Handover;
use crate::ceremony::{Checked, Deed, Wish};
use crate::error::{Act as _, Failure, Result, printable};
use crate::keys::sha256;
use crate::limits::{BROWSER_WAIT, OTP_CONFIRM_TRIES};
use crate::login::forget_windows;
use crate::registration;
use crate::solver::Means;

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub enum Mfa {
    /// List your devices
    #[command(after_help = "Example:\n  tap mfa ls --format json")]
    Ls,
    /// Add a security key: tap the new one, then one that you have registered already
    #[command(
        after_help = "Examples:\n  tap mfa add --name blue\n  tap mfa add --name bio --passwordless\n  tap mfa add --otp --name phone\n  tap mfa add --mfa-mode=browser --name laptop --passwordless"
    )]
    Add {
        /// What you call it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Add one-time codes of an authenticator app instead; they are good for login alone
        #[arg(long, conflicts_with_all = ["new_software_key", "passwordless"])]
        otp: bool,
        /// Let the key log in without a password; it asks for its PIN or finger then
        #[arg(long, visible_alias = "allow-passwordless")]
        passwordless: bool,
        /// A file that shall act as the new security key, for tests and demos only
        #[arg(long, value_name = "PATH")]
        new_software_key: Option<PathBuf>,
    },
    /// Remove a device; sessions that it opened end at once
    #[command(after_help = "Example:\n  tap mfa rm blue")]
    Rm {
        /// Its name
        name: String,
    },
    /// Give a device another name
    #[command(after_help = "Example:\n  tap mfa rename blue \"blue, in the safe\"")]
    Rename {
        /// Its name
        name: String,
        /// Its new name
        to: String,
    },
}

/// Runs the command.
pub async fn run(context: &Context, command: Mfa) -> Result<()> {
    match command {
        Mfa::Ls => list(context).await,
        Mfa::Add { name, otp: true, .. } => {
            let name = name.unwrap_or_else(|| "authenticator app".to_owned());
            add_otp(context, name).await
        }
        Mfa::Add { name, passwordless, new_software_key, .. } => {
            let name = name.unwrap_or_else(|| "another security key".to_owned());
            add_key(context, DeviceBegin { name, passwordless }, new_software_key).await
        }
        Mfa::Rm { name } => {
            let outcome = change(context, &DeviceAction::RemoveDevice { name }, None).await?;
            // What the removed key has opened is over; a window of it would only be refused.
            forget_windows(&context.home).await?;
            show(context, &outcome)
        }
        Mfa::Rename { name, to } => {
            let outcome = change(context, &DeviceAction::RenameDevice { name, to }, None).await?;
            show(context, &outcome)
        }
    }
}

async fn list(context: &Context) -> Result<()> {
    let devices: Devices = context.with_login()?.get(path::DEVICES, &[]).await?;
    output::show(context.format(), &devices, |devices| {
        let row = |device: &tapgate_api::Device| {
            let kind = match (device.kind.as_str(), device.passwordless) {
                ("otp", _) => "one-time codes (login only)",
                (_, true) => "passkey (logs in without a password)",
                (_, false) => "security key",
            };
            let added = UnixTime::from_secs(device.added).to_string();
            let voucher = format!("vouched for by {}", voucher(&device.vouched_by));
            vec![device.name.clone(), kind.to_owned(), added, voucher, remarks(device)]
        };
        output::table(&devices.devices.iter().map(row).collect::<Vec<_>>())
    })
}

/// What else there is to know.
fn remarks(device: &tapgate_api::Device) -> String {
    let attested = device.attested.then_some("attested");
    let copied = device.copied.then_some("COUNTED BACKWARDS: there may be a copy of it (remove it with tap mfa rm)");
    attested.into_iter().chain(copied).collect::<Vec<_>>().join(", ")
}

fn voucher(word: &str) -> &str {
    match word {
        "pinned" => "the gate's configuration",
        "invite" => "an administrator",
        "device" => "another key of yours",
        "tap" => "a tap of yours",
        other => other,
    }
}

/// The new key answers first; only then is it known what the tap of the other one must sign.
async fn add_key(context: &Context, begin: DeviceBegin, software_key: Option<PathBuf>) -> Result<()> {
    let user = context.user()?;
    let (mut new, mut old) = (context.new_key(software_key)?, context.means()?);
    let http = context.with_login()?;
    let challenge: DeviceChallenge = http.post(path::DEVICES, &begin).await?;
    let origin = context.origin().await?;
    let handover = Handover { http: &http, path: path::DEVICE_BROWSER, origin: &origin };
    let webauthn = match &mut new {
        Means::Key(solver) => {
            eprintln!("Tap the NEW security key");
            let made = solver.register(&origin, challenge.webauthn)?;
            eprintln!("Detected security key tap");
            made
        }
        Means::Browser(carry) => {
            eprintln!("First, make the NEW security key or passkey");
            handover.register(*carry, &challenge.id, SystemClock.now().plus(BROWSER_WAIT)).await?
        }
    };
    let answer = DeviceRegister { id: challenge.id, webauthn };
    let ceremony: Ceremony = http.post(path::DEVICE_REGISTER, &answer).await?;
    let attested =
        ceremony.attested.as_ref().map(|terms| registration::attested(&answer.webauthn, terms)).transpose()?;
    let traits = Traits { passwordless: begin.passwordless, attested };
    let action = registration::digest(user, &answer.webauthn, &traits)?;
    let deed = Deed::AddDevice(action);
    let wish = Wish { gate: context.profile.gate_name(), user, deed, now: SystemClock.now() };
    let checked = Checked::new(ceremony, &wish)?;
    eprintln!(
        "To add the security key \"{}\" (sha256:{action}) to {user} at {}, tap one that is registered ALREADY",
        printable(&begin.name),
        context.profile.gate
    );
    let outcome: DeviceOutcome = checked.finish(&mut old, &handover, path::DEVICE_FINISH).await?;
    show(context, &outcome)
}

async fn add_otp(context: &Context, name: String) -> Result<()> {
    let outcome = change(context, &DeviceAction::AddOtp { name }, None).await?;
    let secret = outcome.otp.ok_or_else(|| Failure::new("the gate gave no secret"))?;
    present(&secret)?;
    let http = context.with_login()?;
    for left in (0..OTP_CONFIRM_TRIES).rev() {
        let code = otp::ask("Code that the app shows: ")?;
        let confirm = OtpConfirm { id: secret.id.clone(), code: code.as_str().to_owned() };
        match http.post::<_, DeviceOutcome>(path::DEVICE_OTP, &confirm).await {
            Ok(outcome) => return show(context, &outcome),
            Err(failure) if left == 0 || !std::io::stdin().is_terminal() => return Err(failure),
            Err(failure) => eprintln!("{failure}"),
        }
    }
    Err(Failure::new("no code was right").advise("run tap mfa add --otp again"))
}

/// The secret goes to the terminal's own stream, so that a list that is written to a file has it not.
fn present(secret: &OtpSecret) -> Result<()> {
    eprintln!("Add this to your authenticator app:\n\n{}\n", printable(&secret.uri));
    if std::io::stderr().is_terminal() {
        eprintln!("{}", otp::picture(&secret.uri)?);
    }
    Ok(())
}

/// Has the gate make a change, after a tap over exactly the bytes that were sent, or over what else is given.
pub(super) async fn change(
    context: &Context,
    action: &DeviceAction,
    deed: Option<Deed<'static>>,
) -> Result<DeviceOutcome> {
    let body = serde_json::to_vec(action).act(|| "the change cannot be written".to_owned())?;
    let deed = deed.unwrap_or_else(|| Deed::Admin(sha256(&body)));
    let http = context.with_login()?;
    let ceremony: Ceremony = http.post_bytes(path::DEVICE_CHANGE, body).await?;
    let wish = Wish { gate: context.profile.gate_name(), user: context.user()?, deed, now: SystemClock.now() };
    let checked = Checked::new(ceremony, &wish)?;
    let origin = context.origin().await?;
    let means = context.means();
    eprintln!("MFA is required to {}", described(action));
    let handover = Handover { http: &http, path: path::DEVICE_BROWSER, origin: &origin };
    checked.finish(&mut means?, &handover, path::DEVICE_CHANGE_FINISH).await
}

fn described(action: &DeviceAction) -> String {
    let text = match action {
        DeviceAction::RemoveDevice { name } => format!("remove the device \"{name}\""),
        DeviceAction::RenameDevice { name, to } => format!("rename the device \"{name}\" to \"{to}\""),
        DeviceAction::AddSshKey { name, .. } => format!("add the SSH key \"{name}\""),
        DeviceAction::RemoveSshKey { name } => format!("remove the SSH key \"{name}\""),
        DeviceAction::AddOtp { name } => format!("add the one-time codes \"{name}\""),
    };
    printable(&text)
}

pub(super) fn show(context: &Context, outcome: &DeviceOutcome) -> Result<()> {
    output::show(context.format(), outcome, |outcome| output::lines(&outcome.lines))
}
