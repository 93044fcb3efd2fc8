//! What a session carries: exit statuses, streams, terminals.

use anyhow::Result;

use crate::world::World;

#[test]
fn an_exec_passes_its_exit_status_and_keeps_the_streams_apart() -> Result<()> {
    let world = World::new()?;
    let ran = world.ssh("dev1", &["echo out; echo err >&2; exit 7"])?.failure(7)?;
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    Ok(())
}
