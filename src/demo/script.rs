//! The demo's story, played without a person: each step, what was said, and what the gate decided.

use std::time::Duration;

use anyhow::{Result, bail};

use super::narrate::Narrator;
use super::setup::Demo;
use super::tools::{Said, User, write_private};

/// How long the story waits for the log to tell a step's outcome.
const NEWS_MAX: Duration = Duration::from_secs(5);

/// What a step must come to.
struct Expect<'a> {
    code: i32,
    /// A text that must be in what is said, on either stream.
    says: &'a str,
    /// A text that must not.
    never: &'a str,
    /// An event that must be in the log afterwards.
    event: &'a str,
}

struct Story<'a> {
    narrator: Narrator<'a>,
    steps: usize,
}

impl Story<'_> {
    async fn step(&mut self, user: &User, title: &str, line: &[&str], expect: &Expect<'_>) -> Result<Said> {
        self.steps += 1;
        println!();
        println!("# {}. {title}", self.steps);
        let shown: Vec<String> = line.iter().map(|word| quote(word)).collect();
        println!("$ {}", shown.join(" "));
        let (program, arguments) = line.split_first().map_or(("", &[][..]), |(p, a)| (*p, a));
        let said = user.run(program, arguments).await?;
        for out in said.stderr.lines().chain(said.stdout.lines()) {
            println!("{out}");
        }
        println!("(exit status {})", said.code);
        let news = self.news(expect.event).await?;
        for decision in &news {
            println!("    gate: {decision}");
        }
        self.judge(&said, &news, expect)?;
        Ok(said)
    }

    /// The log is written behind the session's back, so its end may come a moment later.
    async fn news(&mut self, event: &str) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let until = tokio::time::Instant::now() + NEWS_MAX;
        loop {
            all.extend(self.narrator.news()?);
            let told = event.is_empty() || all.iter().any(|line| line.starts_with(event));
            if told || tokio::time::Instant::now() > until {
                return Ok(all);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn judge(&self, said: &Said, news: &[String], expect: &Expect<'_>) -> Result<()> {
        let text = format!("{}{}", said.stdout, said.stderr);
        let step = self.steps;
        if said.code != expect.code {
            bail!("step {step} ended with {} instead of {}", said.code, expect.code);
        }
        if !text.contains(expect.says) {
            bail!("step {step} did not say {:?}", expect.says);
        }
        if !expect.never.is_empty() && text.contains(expect.never) {
            bail!("step {step} said {:?}", expect.never);
        }
        if !expect.event.is_empty() && !news.iter().any(|line| line.starts_with(expect.event)) {
            bail!("step {step} left no {} in the audit log", expect.event);
        }
        Ok(())
    }
}

fn quote(word: &str) -> String {
    if word.contains([' ', '\'']) { format!("'{word}'") } else { word.to_owned() }
}

const ASKED: &str = "MFA is required to access Node \"prod3\"";

/// Plays the whole story; an error names the step that went another way.
pub(super) async fn play(demo: &Demo) -> Result<()> {
    let mut story = Story { narrator: Narrator::new(&demo.audit_log)?, steps: 0 };
    let good = |says, never, event| Expect { code: 0, says, never, event };
    let jerry = &demo.jerry;
    let login = ["tap", "login", "--gate", demo.gate.as_str(), "--user", "jerry"];
    story.step(jerry, "jerry logs in: a password and a tap", &login, &good("", "", "auth.login")).await?;
    story.step(jerry, "What may he open?", &["tap", "ls"], &good("prod3", "", "")).await?;
    let dev = ["tap", "ssh", "jerry@dev1", "echo hello from dev1"];
    story.step(jerry, "Development needs no tap", &dev, &good("hello from dev1", ASKED, "session.start")).await?;
    let prod = ["tap", "ssh", "jerry@prod3", "echo hello from prod3"];
    story.step(jerry, "Production asks for one", &prod, &good("hello from prod3", "", "session.start")).await?;
    let again = ["tap", "ssh", "jerry@prod3", "exit 7"];
    let seven = Expect { code: 7, says: "", never: ASKED, event: "session.start" };
    story.step(jerry, "Inside the five minutes nothing is asked; the status comes through", &again, &seven).await?;
    let alone = ["tap", "ssh", "--no-agent", "jerry@prod3", "true"];
    story
        .step(jerry, "Without the agent every session is asked for", &alone, &good(ASKED, "", "session.start"))
        .await?;
    database(demo, &mut story).await?;
    thief(demo, &mut story).await?;
    administrator(demo, &mut story).await?;
    println!();
    println!("All {} steps went as they should.", story.steps);
    Ok(())
}

/// jerry opens the database, where this machine has the programs for one.
async fn database(demo: &Demo, story: &mut Story<'_>) -> Result<()> {
    if let Err(why) = &demo.database {
        println!();
        println!("# No database in this demo: {why}");
        return Ok(());
    }
    let asked = "MFA is required to access Database \"orders\"";
    let good = |says, never| Expect { code: 0, says, never, event: "session.start" };
    let connect = ["tap", "db", "connect", "orders", "--", "-c", "select 1"];
    story.step(&demo.jerry, "A database in production: a tap, and then psql", &connect, &good(asked, "")).await?;
    let exec = ["tap", "db", "connect", "orders", "--", "-c", "select current_user"];
    story.step(&demo.jerry, "Inside its window nothing is asked", &exec, &good("(1 row)", asked)).await?;
    Ok(())
}

/// A copy of jerry's disk opens what needs no tap, and nothing else.
async fn thief(demo: &Demo, story: &mut Story<'_>) -> Result<()> {
    let thief = demo.jerry.thief(&demo.dir)?;
    let opens = Expect { code: 0, says: "stolen", never: "", event: "session.start" };
    let dev = ["tap", "ssh", "--no-agent", "jerry@dev1", "echo stolen"];
    story.step(&thief, "A thief copies jerry's disk: development opens", &dev, &opens).await?;
    let shut = Expect { code: 1, says: ASKED, never: "stolen", event: "" };
    let prod = ["tap", "ssh", "--no-agent", "jerry@prod3", "echo stolen"];
    story.step(&thief, "but production asks for a tap that the thief can't make", &prod, &shut).await?;
    Ok(())
}

/// olga administers, each change with a tap over its body, and locks jerry out.
async fn administrator(demo: &Demo, story: &mut Story<'_>) -> Result<()> {
    let good = |says, event| Expect { code: 0, says, never: "", event };
    let olga = &demo.olga;
    story.step(olga, "olga looks at the gate", &["tapctl", "status"], &good("CA pin", "")).await?;
    story.step(olga, "and at the roles", &["tapctl", "get", "roles"], &good("access-prod", "")).await?;
    let explain = ["tapctl", "explain", "jerry", "prod3"];
    story.step(olga, "Why is jerry asked on prod3?", &explain, &good("after a tap", "")).await?;
    let file = demo.dir.join("role.yaml");
    write_private(&file, "kind: role\nversion: v7\nmetadata:\n  name: auditor\nspec:\n  allow: {}\n")?;
    let file = file.display().to_string();
    let create = ["tapctl", "create", "-f", file.as_str()];
    story
        .step(olga, "A new role: the tap signs the very text", &create, &good("has been created", "admin.changed"))
        .await?;
    println!();
    println!("# jerry has a session open: tap ssh jerry@dev1 'echo in; sleep 60'");
    let busy = demo.jerry.run("tap", &["ssh", "jerry@dev1", "echo in; sleep 60"]);
    let locking = async {
        story.news("session.start").await?;
        let lock = ["tapctl", "lock", "--user=jerry", "--message=lost laptop", "--ttl=1h"];
        story.step(olga, "jerry's laptop is lost: a lock", &lock, &good("", "session.end")).await
    };
    let (cut, locked) = tokio::join!(busy, locking);
    locked?;
    println!("jerry's open session said:");
    let said = cut?.stderr;
    println!("{}", said.trim_end());
    if !said.contains("lost laptop") {
        bail!("the open session was not cut by the lock");
    }
    let shut = Expect { code: 1, says: "lost laptop", never: "hello", event: "session.denied" };
    let dev = ["tap", "ssh", "jerry@dev1", "echo hello"];
    story.step(&demo.jerry, "and nothing opens any more", &dev, &shut).await?;
    Ok(())
}
