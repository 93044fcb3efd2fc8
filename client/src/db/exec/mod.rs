//! `tap db exec`: one statement in many databases, by one tap that names exactly those.

mod report;
mod run;

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use tapgate_model::{LoginName, TargetName};

use self::report::{Outcome, Report};
use self::run::{Job, Plan};
use super::find::{Database, all};
use super::program::Program;
use super::select::{Selection, named};
use crate::cli::{Context, Format, output};
use crate::error::{Act as _, Failure, Result};
use crate::limits::{DB_EXEC_CONNECTIONS, DB_EXEC_MAX};
use crate::proxy::ways::Ways;

/// What to run, and where.
#[derive(Debug, clap::Args)]
pub struct Exec {
    /// The statement, as psql -c or mariadb -e take it
    #[arg(value_name = "STATEMENT")]
    pub statement: String,
    /// By label and word
    #[command(flatten)]
    pub selection: Selection,
    /// These databases, in this order
    #[arg(long, value_name = "DBS", value_delimiter = ',', conflicts_with_all = ["labels", "search"])]
    pub dbs: Vec<TargetName>,
    /// The database user; may be left out where your roles allow one alone
    #[arg(long, value_name = "USER")]
    pub db_user: Option<LoginName>,
    /// The name of the database within each server
    #[arg(long, value_name = "NAME")]
    pub db_name: Option<String>,
    /// Write what each database says to a file of its own in this folder, and the summary to summary.json
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// How many databases are reached at once
    #[arg(long, value_name = "COUNT", default_value_t = DB_EXEC_CONNECTIONS, value_parser = clap::value_parser!(u8).range(1..))]
    pub max_connections: u8,
    /// Do not ask whether to proceed
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// Runs the statement everywhere; 1 where it failed anywhere.
pub async fn run(context: Context, exec: Exec) -> Result<u8> {
    context.user()?;
    if exec.dbs.is_empty() && exec.selection.is_empty() {
        return Err(Failure::new("no databases are named").advise("pass --dbs, --labels or --search"));
    }
    let quiet = context.format() != Format::Text;
    let say = |text: &str| if quiet { Ok(()) } else { output::write(text) };
    say("Searching databases ...\n")?;
    let listed = all(&context).await?;
    let chosen = if exec.dbs.is_empty() { exec.selection.of(listed) } else { named(&listed, &exec.dbs)? };
    if chosen.is_empty() {
        return Err(Failure::new("no databases are found").advise("see tap db ls"));
    }
    if chosen.len() > DB_EXEC_MAX {
        return Err(Failure::new(format!("{} databases are too many for one tap", chosen.len()))
            .advise(format!("choose at most {DB_EXEC_MAX} at once")));
    }
    let jobs = jobs(&chosen, &exec)?;
    say(&format!("Found {} database(s):\n\n{}\n", chosen.len(), table(&chosen)))?;
    if !exec.yes && !proceed(chosen.len(), quiet)? {
        return Err(Failure::new("nothing was run"));
    }
    if let Some(folder) = &exec.output_dir {
        std::fs::create_dir_all(folder).act(|| format!("{} cannot be made", folder.display()))?;
    }
    let format = context.format();
    let ways = Ways::new(Arc::new(context), jobs.iter().map(|job| job.goal.clone()));
    let plan = Plan { statement: exec.statement, folder: exec.output_dir, at_once: exec.max_connections.into(), quiet };
    let outcomes = plan.run(Arc::new(ways), jobs).await?;
    finish(&plan, outcomes, format)
}

/// The jobs, with everything looked at that could fail before the tap.
fn jobs(databases: &[Database], exec: &Exec) -> Result<Vec<Job>> {
    let job = |database: &Database| {
        let user = database.user(exec.db_user.as_ref(), "--db-user")?;
        let name = exec.db_name.clone();
        Ok(Job {
            goal: database.goal(&user, name.as_deref())?,
            program: Program::find(database.protocol)?,
            database: database.clone(),
            user,
            name,
        })
    };
    databases.iter().map(job).collect()
}

/// The summary on the terminal and in its file; what the command ends with.
fn finish(plan: &Plan, outcomes: Vec<Outcome>, format: Format) -> Result<u8> {
    let report = Report::new(&plan.statement, outcomes);
    let saved = match &plan.folder {
        None => String::new(),
        Some(folder) => {
            let path = folder.join("summary.json");
            let text = serde_json::to_string_pretty(&report).act(|| "the summary cannot be written".to_owned())?;
            std::fs::write(&path, text + "\n").act(|| format!("{} cannot be written", path.display()))?;
            format!("Summary is saved at \"{}\".\n", path.display())
        }
    };
    let code = u8::from(report.failed > 0);
    let text = |report: &Report| format!("\nSummary: {} of {} succeeded.\n{saved}", report.succeeded, report.total);
    output::show(format, &report, text)?;
    Ok(code)
}

/// Asks whether to go on; nothing, and the end of input, is no.
fn proceed(count: usize, quiet: bool) -> Result<bool> {
    let question = format!("Do you want to proceed with {count} database(s)? [y/N]: ");
    if quiet {
        eprint!("{question}");
    } else {
        output::write(&question)?;
    }
    std::io::stderr().flush().ok();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).act(|| "standard input cannot be read".to_owned())?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The databases under their headings.
pub fn table(databases: &[Database]) -> String {
    let row = |database: &Database| {
        let description = database.description.clone();
        [database.name.to_string(), description, database.protocol.as_str().to_owned(), database.labels_text()]
    };
    let rows: Vec<_> = databases.iter().map(|database| row(database).to_vec()).collect();
    output::headed(&["Name", "Description", "Protocol", "Labels"], &rows)
}

#[cfg(test)]
mod tests {
    use super::super::find::{Protocol, tests::database};
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_guide() {
        let found = ["prod-mysql-instance-1", "prod-mysql-instance-2"]
            .map(|name| database(name, Protocol::Mysql, &["teleport-user"]));
        let expect = "Name                  Description Protocol Labels\n\
                      --------------------- ----------- -------- --------\n\
                      prod-mysql-instance-1             mysql    env=prod\n\
                      prod-mysql-instance-2             mysql    env=prod\n";
        assert_eq!(table(&found), expect);
    }
}
