//! Many connections at once.

use anyhow::Result;
use tapgate_lab::program;

use super::my_scene::{SOON, Scene};

#[test]
fn two_hundred_connections_at_once_under_one_tap() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true")?;
    let pass = scene.tap("app/shop")?;
    let script = "
import threading
gate = threading.Barrier(200)
wrong = []
def one(n):
    for attempt in range(50):
        try: c = connect(); break
        except pymysql.err.OperationalError: pass
    else: wrong.append(n); gate.abort(); return
    gate.wait(150)
    cur = c.cursor(); cur.execute('select %s', (n,))
    if cur.fetchone() != (n,): wrong.append(n)
threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
[t.start() for t in threads]; [t.join() for t in threads]
print(wrong)
";
    let ran = scene.python(&pass, "", script)?.success()?;
    assert_eq!(ran.stdout, "[]\n", "{ran}");
    Ok(())
}

#[test]
fn mariadb_slap_runs_through() -> Result<()> {
    let scene = Scene::new("")?;
    let words = scene.words(Some(&scene.login_pass()), "app@shopdb");
    let more = ["--create-schema=shop", "--query=select name from t where id = 2", "--concurrency=8", "--iterations=2"];
    let more = more.into_iter().chain(["--number-of-queries=400"]).map(str::to_owned);
    let slap = program("mariadb-slap", "mariadb-client")?;
    let ran = scene.world.jerry.start(&slap, words.into_iter().chain(more))?.finish(SOON)?.success()?;
    assert!(ran.stdout.contains("Number of clients running queries: 8"), "{ran}");
    Ok(())
}
