//! The jobs of a `tap db exec`: a bounded number at once, each with its own socket, client and output.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tapgate_model::LoginName;
use tokio::task::JoinSet;

use super::report::Outcome;
use crate::ceremony::Goal;
use crate::child;
use crate::cli::output;
use crate::db::connect::{folder, socket};
use crate::db::find::Database;
use crate::db::front::Front;
use crate::db::program::{Aim, Program};
use crate::error::{Act as _, Failure, Result, printable};
use crate::proxy::ways::Ways;

/// One database's part.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) goal: Goal,
    pub(super) program: Program,
    pub(super) database: Database,
    pub(super) user: LoginName,
    pub(super) name: Option<String>,
}

/// What all parts share.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) statement: String,
    pub(super) folder: Option<PathBuf>,
    pub(super) at_once: usize,
    pub(super) quiet: bool,
}

/// Where a client's output goes: to its file, or to one without a name that is shown at the end.
struct Sink {
    file: File,
    path: Option<PathBuf>,
}

impl Plan {
    /// Runs every job; what came of each, in their order. A failing one does not stop the others.
    pub(super) async fn run(&self, ways: Arc<Ways>, jobs: Vec<Job>) -> Result<Vec<Outcome>> {
        let total = jobs.len();
        let (mut running, mut outcomes) = (JoinSet::new(), Vec::with_capacity(total));
        for (at, job) in jobs.into_iter().enumerate() {
            while running.len() >= self.at_once {
                self.collect(&mut running, &mut outcomes, total).await?;
            }
            self.announce(&job)?;
            // Asked for once, behind the first line, before anything starts.
            ways.prepare().await?;
            let (plan, ways) = (self.clone(), Arc::clone(&ways));
            running.spawn(async move { (at, plan.job(ways, job).await) });
        }
        while !running.is_empty() {
            self.collect(&mut running, &mut outcomes, total).await?;
        }
        outcomes.sort_by_key(|(at, _)| *at);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    fn announce(&self, job: &Job) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        let to =
            self.path(job).map_or_else(String::new, |path| format!(" Output will be saved at \"{}\".", path.display()));
        output::write(&format!("Executing command for \"{}\".{to}\n", job.database.name))
    }

    fn path(&self, job: &Job) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{}.output", job.database.name)))
    }

    /// Waits for one of those that run, and tells how it went.
    async fn collect(
        &self,
        running: &mut JoinSet<(usize, (Outcome, Option<Sink>))>,
        outcomes: &mut Vec<(usize, Outcome)>,
        total: usize,
    ) -> Result<()> {
        let act = || "the databases cannot be waited for".to_owned();
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            stopped = tokio::signal::ctrl_c() => {
                stopped.act(act)?;
                return Err(Failure::new(format!("interrupted after {} of {total} databases", outcomes.len())));
            }
        };
        let Some(ended) = ended else { return Ok(()) };
        let (at, (outcome, sink)) = ended.act(act)?;
        if let Some(sink) = sink.filter(|sink| sink.path.is_none() && !self.quiet) {
            output::write(&format!("\n{}:\n{}", outcome.name, sink.text()?))?;
        }
        if let Some(error) = &outcome.error {
            eprintln!("WARNING: \"{}\" failed: {}", outcome.name, printable(error));
        }
        outcomes.push((at, outcome));
        if std::io::stderr().is_terminal() && total > 1 {
            eprintln!("{} of {total} done", outcomes.len());
        }
        Ok(())
    }

    async fn job(&self, ways: Arc<Ways>, job: Job) -> (Outcome, Option<Sink>) {
        let (since, path) = (Instant::now(), self.path(&job));
        let mut outcome = Outcome {
            name: job.database.name.clone(),
            protocol: job.database.protocol,
            labels: job.database.labels.clone(),
            db_user: job.user.clone(),
            db_name: job.name.clone(),
            output: path.as_ref().map(|path| path.display().to_string()),
            success: false,
            exit_code: None,
            error: None,
            milliseconds: 0,
        };
        let ran = async {
            let sink = Sink::open(path)?;
            let code = self.client(ways, &job, &sink).await?;
            Ok::<_, Failure>((code, sink))
        };
        let sink = match ran.await {
            Ok((code, sink)) => {
                outcome.exit_code = Some(code);
                outcome.success = code == 0;
                outcome.error = (code != 0).then(|| sink.failure(&job.program, code));
                Some(sink)
            }
            Err(failure) => {
                outcome.error = Some(failure.to_string());
                None
            }
        };
        outcome.milliseconds = since.elapsed().as_millis();
        (outcome, sink)
    }

    /// Runs the database's client at a socket of its own; its exit status.
    async fn client(&self, ways: Arc<Ways>, job: &Job, sink: &Sink) -> Result<u8> {
        let folder = folder(&ways.context().home)?;
        let (listener, path) = socket(folder.path(), job.database.protocol.socket_name()).await?;
        let front = Front::shared(ways, job.database.clone(), job.user.clone(), job.name.clone());
        let aim = Aim { socket: &path, user: &job.user, database: job.name.as_deref() };
        let act = || format!("{} cannot be started", job.program.name());
        let (out, err) = (sink.file.try_clone().act(act)?, sink.file.try_clone().act(act)?);
        let child = job.program.statement(&aim, &self.statement).stdout(out).stderr(err).spawn().act(act)?;
        tokio::select! {
            code = child::wait(child) => code,
            failed = Arc::new(front).serve(&listener) => failed.map(|()| 1),
        }
    }
}

impl Sink {
    fn open(path: Option<PathBuf>) -> Result<Self> {
        let file = match &path {
            None => tempfile::tempfile().act(|| "a temporary file cannot be made".to_owned())?,
            Some(path) => {
                // What a database says may be nobody else's.
                let mut options = File::options();
                let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
                options.open(path).act(|| format!("{} cannot be written", path.display()))?
            }
        };
        Ok(Self { file, path })
    }

    /// All of it.
    fn text(&self) -> Result<String> {
        let act = || "the output cannot be read".to_owned();
        let (mut file, mut bytes) = (&self.file, Vec::new());
        file.flush().and_then(|()| file.rewind()).and_then(|()| file.read_to_end(&mut bytes)).act(act)?;
        Ok(printable(&String::from_utf8_lossy(&bytes)))
    }

    /// Why a client ended badly: the last line that it has said.
    fn failure(&self, program: &Program, code: u8) -> String {
        let text = self.text().unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("{} ended with {code}: {}", program.name(), last.trim())
    }
}
