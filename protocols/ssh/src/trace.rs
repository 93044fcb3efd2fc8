//! What a recording is told of a session channel: its terminal, what runs there, and what that puts out. What is typed
//! is not recorded: it may be a password, and where it is none the terminal shows it.

use tapgate_audit::Taped;

use crate::limits::PLAIN_OUTPUT_MAX;
use crate::rules;
use crate::wire::Fields;

/// A channel that is recorded.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Its number in the recording.
    number: u32,
    terminal: bool,
    runs: bool,
    /// How much of its output is still recorded, where it has no terminal.
    left: usize,
    skipped: u64,
}

impl Trace {
    /// The channel of this number.
    pub(crate) const fn new(number: u32) -> Self {
        Self { number, terminal: false, runs: false, left: PLAIN_OUTPUT_MAX, skipped: 0 }
    }

    /// The client has asked for this, and it was passed on.
    pub(crate) fn asked(&mut self, name: &str, body: &[u8], tell: &mut impl FnMut(u32, Taped<'_>)) {
        let mut fields = Fields::new(body);
        match name {
            "pty-req" => {
                let kind = fields.lossy().unwrap_or_default();
                if let (Ok(cols), Ok(rows)) = (fields.u32(), fields.u32()) {
                    self.terminal = true;
                    // It stands in one line with the size.
                    let plain = |c: char| c.is_ascii_graphic();
                    let name: String = kind.chars().filter(|c| plain(*c)).take(64).collect();
                    tell(self.number, Taped::Terminal { cols, rows, name: &name });
                }
            }
            "window-change" => {
                if let (Ok(cols), Ok(rows)) = (fields.u32(), fields.u32()) {
                    tell(self.number, Taped::Resize { cols, rows });
                }
            }
            "shell" | "exec" => {
                // A file that is copied is told by its name, not by what is in it.
                self.runs = !rules::is_file_copy(name, body);
                tell(self.number, Taped::Runs(crate::wire::only_string(body).unwrap_or_default()));
            }
            _ => {}
        }
    }

    /// The target said this of what ran.
    pub(crate) fn told(&mut self, name: &str, body: &[u8], tell: &mut impl FnMut(u32, Taped<'_>)) {
        if name == "exit-status"
            && let Ok(status) = Fields::new(body).u32()
        {
            self.settle(tell);
            tell(self.number, Taped::Exit(status));
        }
    }

    /// It put this out, as errors or not.
    pub(crate) fn output(&mut self, bytes: &[u8], errors: bool, tell: &mut impl FnMut(u32, Taped<'_>)) {
        if !self.runs {
            return;
        }
        let kept = if self.terminal { bytes.len() } else { bytes.len().min(self.left) };
        let (kept, rest) = bytes.split_at(kept);
        if !self.terminal {
            self.left -= kept.len();
            self.skipped += u64::try_from(rest.len()).unwrap_or(u64::MAX);
        }
        if !kept.is_empty() {
            tell(self.number, if errors { Taped::Errors(kept) } else { Taped::Output(kept) });
        }
    }

    /// Says how much is not recorded, if anything.
    pub(crate) fn settle(&mut self, tell: &mut impl FnMut(u32, Taped<'_>)) {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            tell(self.number, Taped::Skipped(skipped));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// What a recording is told of these requests and outputs.
    fn told(act: impl FnOnce(&mut Trace, &mut dyn FnMut(u32, Taped<'_>))) -> Vec<String> {
        let mut all = Vec::new();
        let mut trace = Trace::new(7);
        act(&mut trace, &mut |channel, what| all.push(format!("{channel} {what:?}")));
        all
    }

    #[test]
    fn a_terminal_is_told_whole() {
        let all = told(|trace, mut tell| {
            let pty = [string("xterm\u{1b}"), numbers(&[100, 30, 0, 0]), string("")].concat();
            trace.asked("pty-req", &pty, &mut tell);
            trace.asked("env", &[string("LANG"), string("C")].concat(), &mut tell);
            trace.output(b"nothing runs yet", false, &mut tell);
            trace.asked("shell", b"", &mut tell);
            trace.output(&vec![b'x'; PLAIN_OUTPUT_MAX + 1], false, &mut |_, what| {
                assert!(matches!(what, Taped::Output(bytes) if bytes.len() > PLAIN_OUTPUT_MAX));
            });
            trace.asked("window-change", &numbers(&[80, 24, 0, 0]), &mut tell);
            trace.told("exit-status", &numbers(&[3]), &mut tell);
            trace.asked("window-change", b"?", &mut tell);
        });
        let due = [
            "Terminal { cols: 100, rows: 30, name: \"xterm\" }",
            "Runs([])",
            "Resize { cols: 80, rows: 24 }",
            "Exit(3)",
        ];
        assert_eq!(all, due.map(|what| format!("7 {what}")));
    }

    #[test]
    fn without_a_terminal_only_the_beginning_is_told() {
        let all = told(|trace, mut tell| {
            trace.asked("exec", &string("cat"), &mut tell);
            trace.output(b"e", true, &mut tell);
            trace.output(&vec![b'x'; PLAIN_OUTPUT_MAX], false, &mut |_, what| {
                assert!(matches!(what, Taped::Output(bytes) if bytes.len() == PLAIN_OUTPUT_MAX - 1));
            });
            trace.output(b"yz", false, &mut tell);
            trace.told("exit-status", &numbers(&[0]), &mut tell);
        });
        assert_eq!(all, ["7 Runs([99, 97, 116])", "7 Errors([101])", "7 Skipped(3)", "7 Exit(0)"]);
    }

    #[test]
    fn what_a_copied_file_holds_is_not_told() {
        let all = told(|trace, mut tell| {
            trace.asked("exec", &string("scp -t /tmp"), &mut tell);
            trace.output(b"secret", false, &mut tell);
        });
        assert_eq!(all.len(), 1);
    }
}
