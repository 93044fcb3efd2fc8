//! `tap play`: a recorded session, shown again as it went.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tapgate_api::{RecordingFrame, RecordingPage, Recordings, path};
use tapgate_model::{SessionId, UnixTime};

use super::{Context, output};
use crate::audit::show;
use crate::error::{Act as _, Failure, Result, printable};
use crate::http::Http;

/// A pause is shown no longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What is played, and how.
#[derive(Debug, Args)]
pub struct Play {
    /// The session's number, from `tapctl sessions ls` or the audit log
    session: SessionId,
    /// Show escape sequences as text: what was recorded moves no cursor and changes no title
    #[arg(long)]
    safe: bool,
    /// How many times as fast
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Only this channel, for connections that had several
    #[arg(long)]
    channel: Option<u32>,
    /// `terminal` plays it, `asciicast` writes the file that asciinema plays, `json` all that was recorded
    #[arg(long = "as", value_enum, default_value_t = Way::Terminal, value_name = "WAY")]
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// It is played.
    Terminal,
    /// An asciicast, version 3.
    Asciicast,
    /// JSON lines.
    Json,
}

fn speed(text: &str) -> Result<f64> {
    let wrong = || Failure::new(format!("{text:?} is no speed")).advise("use 0.1 to 1000");
    text.parse().ok().filter(|speed| (0.1..=1000.0).contains(speed)).ok_or_else(wrong)
}

/// Plays it.
pub async fn run(context: &Context, play: &Play) -> Result<()> {
    let http = context.with_login()?;
    let mut player = Player { play, cast: Cast::default(), at: 0, waits: std::io::stdout().is_terminal() };
    let (mut at, mut last) = (None, false);
    loop {
        let page = page(&http, play.session, at.as_deref()).await?;
        for frame in &page.frames {
            player.show(frame).await?;
        }
        last |= page.last;
        at = page.next;
        if at.is_none() {
            break;
        }
    }
    if !last {
        eprintln!("The recording ends here: the session goes on, or the gate stopped before its end.");
    }
    Ok(())
}

async fn page(http: &Http, session: SessionId, at: Option<&str>) -> Result<RecordingPage> {
    let query: Vec<_> = at.into_iter().map(|at| ("at", at)).collect();
    http.get(&path::RECORDING.replace("{session}", &session.to_string()), &query).await
}

struct Player<'a> {
    play: &'a Play,
    cast: Cast,
    at: u64,
    waits: bool,
}

impl Player<'_> {
    async fn show(&mut self, frame: &RecordingFrame) -> Result<()> {
        let data = URL_SAFE_NO_PAD.decode(&frame.data).act(|| "the recording cannot be read".to_owned())?;
        if self.play.channel.is_some_and(|channel| channel != frame.channel && frame.channel != 0) {
            return Ok(());
        }
        match self.play.way {
            Way::Json => {
                let text = String::from_utf8_lossy(&data);
                output::write(&format!("{}\n", json!([frame.at, frame.channel, frame.kind, text])))
            }
            Way::Asciicast => {
                let lines = self.cast.lines(frame, &data);
                output::write(&output::lines(&lines.iter().map(Value::to_string).collect::<Vec<_>>()))
            }
            Way::Terminal => {
                self.wait(frame.at).await;
                self.play(frame, &data)
            }
        }
    }

    async fn wait(&mut self, at: u64) {
        let pause = Duration::from_millis(at.saturating_sub(self.at)).min(PAUSE_MAX);
        self.at = at;
        if self.waits {
            tokio::time::sleep(pause.div_f64(self.play.speed)).await;
        }
    }

    fn play(&self, frame: &RecordingFrame, data: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(data);
        let notice = |text: &str| output::write(&format!("{}\r\n", printable(text).replace('\n', " ")));
        match frame.kind.as_str() {
            "output" | "errors" if self.play.safe => output::write(&inert(&text)),
            "output" | "errors" => {
                let mut out = std::io::stdout().lock();
                out.write_all(data).and_then(|()| out.flush()).act(|| "standard output has failed".to_owned())
            }
            "facts" => {
                let facts: Value = serde_json::from_str(&text).unwrap_or_default();
                let word = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
                let started = facts["started"].as_u64().map(|secs| UnixTime::from_secs(secs).to_string());
                let (user, login, kind, target) = (word("user"), word("login"), word("kind"), word("target"));
                notice(&format!("-- {user} as {login} at {kind} {target}, {}", started.unwrap_or_default()))
            }
            "deed" => {
                let deed: Value = serde_json::from_str(&text).unwrap_or_default();
                notice(&format!("-- {}", show::row(&deed).split_off(2).join(" ")))
            }
            "runs" if text.is_empty() => Ok(()),
            "runs" => notice(&format!("-- $ {text}")),
            "skipped" => notice(&format!("-- {text} bytes of output are not recorded")),
            "end" => notice(&format!("-- {text}")),
            _ => Ok(()),
        }
    }
}

/// Output that moves nothing: new lines stay, and every other control character is spelled out.
fn inert(text: &str) -> String {
    let spelled = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        '\r' => String::new(),
        c if c.is_control() => c.escape_default().to_string(),
        c if matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') => {
            c.escape_default().to_string()
        }
        c => c.to_string(),
    };
    text.chars().map(spelled).collect()
}

/// An asciicast, version 3, as it is written.
#[derive(Debug, Default)]
struct Cast {
    facts: Value,
    channel: Option<u32>,
    command: String,
    terminal: String,
    begun: bool,
    at: u64,
    rest: Vec<u8>,
}

impl Cast {
    /// The lines that this frame adds. Of several channels the first one is written.
    fn lines(&mut self, frame: &RecordingFrame, data: &[u8]) -> Vec<Value> {
        let text = String::from_utf8_lossy(data).into_owned();
        if frame.kind == "facts" {
            self.facts = serde_json::from_str(&text).unwrap_or_default();
        }
        if frame.channel == 0 || *self.channel.get_or_insert(frame.channel) != frame.channel {
            return Vec::new();
        }
        let event = match frame.kind.as_str() {
            "terminal" => {
                self.terminal = text;
                return Vec::new();
            }
            "runs" => {
                self.command = text;
                return Vec::new();
            }
            "output" | "errors" => json!(["o", self.whole_text(data)]),
            "resize" => json!(["r", text]),
            "exit" => json!(["x", text]),
            "skipped" => json!(["m", format!("{text} bytes are not recorded")]),
            _ => return Vec::new(),
        };
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            lines.push(self.head());
        }
        let after = frame.at.saturating_sub(std::mem::replace(&mut self.at, frame.at));
        // Made of whole numbers, so that nothing is rounded.
        let seconds: Value = serde_json::from_str(&format!("{}.{:03}", after / 1000, after % 1000)).unwrap_or_default();
        lines.push(json!([seconds, event[0], event[1]]));
        lines
    }

    fn head(&self) -> Value {
        let (size, name) = self.terminal.split_once(' ').unwrap_or((&self.terminal, ""));
        let size = size.split_once('x').and_then(|(cols, rows)| Some((cols.parse().ok()?, rows.parse().ok()?)));
        let (cols, rows): (u32, u32) = size.unwrap_or((80, 24));
        let word = |name: &str| self.facts[name].as_str().unwrap_or_default();
        let title = format!("{} as {}@{}", word("user"), word("login"), word("target"));
        json!({"version": 3, "term": {"cols": cols, "rows": rows, "type": name}, "timestamp": self.facts["started"],
            "title": title, "command": self.command})
    }

    /// What came, with what was left of before; a character that is not whole yet is left for the next.
    fn whole_text(&mut self, data: &[u8]) -> String {
        self.rest.extend_from_slice(data);
        let cut = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let later = self.rest.split_off(cut);
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        self.rest = later;
        text
    }
}

/// Prints the recordings.
pub async fn list(context: &Context) -> Result<()> {
    let listed: Recordings = context.with_login()?.get(path::RECORDINGS, &[]).await?;
    output::show(context.format(), &listed, |listed| {
        let rows = listed.recordings.iter().map(|entry| {
            let started = UnixTime::from_secs(entry.started).to_string();
            let what = format!("{} {}", entry.kind, entry.target);
            let state = if entry.live { "live" } else { "ended" };
            let size = format!("{} KB", show::thousands(entry.size.div_ceil(1000)));
            vec![entry.session.clone(), started, entry.user.clone(), what, entry.login.clone(), size, state.to_owned()]
        });
        output::headed(&["Session", "Started", "User", "Target", "Login", "Size", "State"], &rows.collect::<Vec<_>>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_safely_moves_nothing() {
        assert_eq!(inert("a\r\n\u{1b}[2Jb\u{7}\u{9b}\u{202e}\té"), "a\n\\u{1b}[2Jb\\u{7}\\u{9b}\\u{202e}\té");
    }

    #[test]
    fn a_cast_has_a_head_and_its_events() {
        let mut cast = Cast::default();
        let mut lines = |at, channel, kind: &str, data: &[u8]| {
            let frame = RecordingFrame { at, channel, kind: kind.to_owned(), data: String::new() };
            cast.lines(&frame, data).iter().map(Value::to_string).collect::<Vec<_>>().join("|")
        };
        assert_eq!(lines(0, 0, "facts", br#"{"user":"ann","login":"root","target":"prod3","started":7}"#), "");
        assert_eq!(lines(1, 1, "terminal", b"100x30 xterm"), "");
        assert_eq!(lines(2, 1, "runs", b"ls"), "");
        let first = lines(1500, 1, "output", b"h\xc3");
        let (head, event) = first.split_once('|').unwrap();
        let head: Value = serde_json::from_str(head).unwrap();
        assert_eq!(
            (&head["version"], &head["command"], &head["title"]),
            (&json!(3), &json!("ls"), &json!("ann as root@prod3"))
        );
        assert_eq!(event, "[1.5,\"o\",\"h\"]");
        assert_eq!(lines(1600, 2, "output", b"another"), "");
        assert_eq!(lines(1750, 1, "output", b"\xa9"), "[0.25,\"o\",\"\u{e9}\"]");
    }
}
