//! What a load is refused for before it begins, with what to do about it.

use anyhow::Result;

use super::scene::bench;
use crate::world::World;

#[test]
fn what_cannot_be_is_told_before_the_load_begins() -> Result<()> {
    let mut world = World::new()?;
    let mark = world.mark();
    let usual = ["--protocol", "ssh", "--login", world.login.as_str(), "--duration", "1s"];
    let refused = |client: &tapgate_lab::Client, more: &[&str]| -> Result<String> {
        let ran = bench(client, &[&usual[..], more].concat())?.failure(1)?;
        assert!(ran.stdout.is_empty() && ran.stderr.contains("ERROR: "), "{ran}");
        Ok(ran.stderr)
    };
    let jerry = &world.jerry;
    for (words, parts) in [
        (&["--targets", "nowhere"][..], ["there is no node \"nowhere\"", "see tap ls"]),
        (&["--targets", "dev1,no where"], ["no where", "is no target"]),
        (&["--targets", "dev1", "--rate", "0"], ["'0' for '--rate", "greater than 0"]),
        (&["--targets", "dev1", "--rate", "0.1"], ["no session is due", "raise --rate"]),
        (&["--targets", "dev1", "--metrics", "http://127.0.0.1:1/metrics"], ["cannot be read", "admin_listen"]),
        (&["--targets", "dev1", "--metrics", "dev1"], ["not where a gate's metrics are", "HOST:PORT/metrics"]),
        (&[], ["--targets", "required"]),
    ] {
        let said = refused(jerry, words)?;
        assert!(parts.iter().all(|part| said.contains(part)), "{words:?}: {said}");
    }
    let other = bench(jerry, &["--protocol", "ssh", "--login", "mallory", "--targets", "dev1"])?.failure(1)?;
    assert!(other.stderr.contains("not yours to open as mallory (allowed: "), "{other}");
    let direct = bench(jerry, &["--protocol", "postgres", "--direct", "--targets", "orders"])?.failure(1)?;
    assert!(direct.stderr.contains("pass --login"), "{direct}");

    let without = jerry.clone().without_key();
    let said = refused(&without, &["--targets", "prod3"])?;
    assert!(said.contains("a tap is due for Node \"prod3\"") && said.contains("--software-key PATH"), "{said}");
    // Where no tap is due nobody needs a key.
    bench(&without, &[&usual[..], &["--targets", "dev1", "--rate", "2"]].concat())?.success()?;
    let starts =
        world.records().iter().skip(mark).filter(|record| crate::world::event(record) == "session.start").count();
    assert_eq!(starts, 2);

    world.stop()?;
    let said = bench(&world.jerry, &["--protocol", "ssh", "--targets", "dev1"])?.failure(1)?.stderr;
    assert!(said.contains("cannot be reached") && said.contains("does it run?"), "{said}");
    let nobody = world.jerry.clone().with("TAP_HOME", world.lab.path().join("nobody"));
    let said = bench(&nobody, &["--protocol", "ssh", "--targets", "dev1"])?.failure(1)?.stderr;
    assert!(said.contains("ERROR: no gate is chosen") || said.contains("log"), "{said}");
    world.start()?;
    Ok(())
}

#[test]
fn help_has_examples() -> Result<()> {
    let world = World::new()?;
    for word in ["--help", "-h"] {
        let ran = bench(&world.jerry, &[word])?.success()?;
        assert!(ran.stdout.contains("Usage: tapgate bench") && ran.stdout.contains("--tap-each"), "{ran}");
        assert!(ran.stdout.contains("Examples:\n  tapgate bench --protocol ssh"), "{ran}");
    }
    Ok(())
}
