//! `tapgate bench`: sessions opened at a steady rate through a real gate, and what they took.
//!
//! The loop is open: a session is due when the rate says so, whatever becomes of those before, and its latency counts
//! from that moment. A gate that stands still for a second is so seen by every session that was due in that second,
//! not by the one that happened to be under way (coordinated omission).

mod checks;
mod direct;
mod drive;
mod export;
mod http;
mod mysql;
mod options;
mod plan;
mod postgres;
mod report;
mod route;
mod scram;
mod ssh;
mod tally;

use std::sync::Arc;

use tapgate_model::UserName;

use self::checks::Checks;
use self::drive::Work;
pub use self::options::Options;
use self::plan::Pace;
use self::report::Report;
use crate::cli::{Context, Format, Global, output};
use crate::error::{Act as _, Result};
use crate::solver::MfaMode;

/// Opens the sessions and tells what they took; 1 where one of them failed.
pub async fn run(global: &Global, user: Option<&UserName>, options: &Options) -> Result<u8> {
    let pace = Pace::of(options)?;
    let quiet = global.format != Format::Text;
    let (routes, gate) = if options.direct {
        (direct::routes(options)?, None)
    } else {
        // The agent would hand windows from one run to the next, and nobody is there to tap or to open a browser.
        let own = Global { no_agent: true, mfa_mode: MfaMode::CrossPlatform, ..global.clone() };
        let context = Arc::new(Context::new(&own, user)?);
        let gate = context.profile.gate.to_string();
        (route::routes(&context, options, own.software_key.is_some()).await?, Some(gate))
    };
    let before = checks::look(options.metrics.as_deref()).await?;
    let work = Arc::new(Work { protocol: options.protocol, run: options.run_text(), routes });
    let driven = tokio::task::spawn_blocking(move || drive::drive(&work, &pace));
    let tally = driven.await.act(|| "the load came to an end of its own".to_owned())??;
    let checks = match (&options.metrics, before) {
        (Some(url), Some(before)) => Some(Checks::between(options.protocol, &before, &checks::fetch(url).await?)),
        _ => None,
    };
    let report = Report::new(options, gate, &tally, checks);
    if let Some(form) = options.export {
        for file in export::write(form, &options.out, &report, &tally)? {
            if !quiet {
                eprintln!("Written: {}", file.display());
            }
        }
    }
    output::show(global.format, &report, Report::text)?;
    Ok(u8::from(tally.failed() > 0))
}
