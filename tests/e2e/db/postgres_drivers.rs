//! Drivers of other languages, each in the way that it likes best: psycopg 3, asyncpg, pgjdbc.

use anyhow::Result;
use tapgate_lab::{Process, program, python_program};

use super::scene::{SOON, Scene};

fn python(scene: &Scene, text: &str) -> Result<()> {
    let file = scene.world.lab.write("driver.py", text)?;
    let ran = scene.world.jerry.start(&python_program("python")?, [file])?.finish(SOON)?.success()?;
    assert_eq!(ran.stdout, "whole\n", "{ran}");
    Ok(())
}

#[test]
fn psycopg_3() -> Result<()> {
    let scene = Scene::new("")?;
    let script = format!(
        "info = \"{}\"\n{}",
        scene.conninfo(Some(&scene.tap("app/shop")?), ""),
        r#"
import psycopg
with psycopg.connect(info) as db:
    db.execute("create temp table p (n int, what text)")
    with db.cursor() as c:
        c.executemany("insert into p values (%s, %s)", [(n, str(n)) for n in range(200)])
        for n in range(20):
            c.execute("select count(*) from p where n < %s", (n,), prepare=True)
            assert c.fetchone() == (n,)
        with c.copy("copy p from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(5000): copy.write_row((n, "x" * 50))
        with c.copy("copy p to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 5200
    with db.pipeline():
        answers = [db.execute("select %s::int", (n,)) for n in range(50)]
    assert [a.fetchone()[0] for a in answers] == list(range(50))
    with db.cursor(name="c") as c:
        c.itersize = 100
        c.execute("select generate_series(1, 3000)")
        assert sum(row[0] for row in c) == 3000 * 3001 // 2
    try:
        with db.transaction(): db.execute("select nonsense")
    except psycopg.errors.UndefinedColumn: pass
    assert db.execute("select array[1,2], to_jsonb(row(1)), null").fetchone() == ([1, 2], {"f1": 1}, None)
with psycopg.connect(info, autocommit=True) as db:
    db.execute("listen news"); db.execute("notify news, 'hello'")
    assert next(db.notifies()).payload == "hello"
print("whole")
"#
    );
    python(&scene, &script)
}

#[test]
fn asyncpg() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let script = format!(
        "import asyncio, asyncpg, ssl\n\
         tls = ssl.create_default_context(cafile='{}')\n\
         tls.load_cert_chain('{}', '{}')\n\
         port = {}\n{}",
        scene.gate_ca.display(),
        pass.certificate.display(),
        pass.key.display(),
        scene.world.gate().address().port(),
        r#"
async def connect():
    return await asyncpg.connect(host="localhost", port=port, user="app@orders", database="shop", ssl=tls)

async def main():
    db = await connect()
    await db.execute("create temp table p (n int, what text, tags text[])")
    assert await db.copy_records_to_table("p", records=[(n, "x" * 20, ["a", "b"]) for n in range(5000)]) == "COPY 5000"
    statement = await db.prepare("select n, tags from p where n = $1")
    for n in range(50):
        assert tuple(await statement.fetchrow(n)) == (n, ["a", "b"])
    async with db.transaction():
        count = 0
        async for _ in db.cursor("select * from p", prefetch=100): count += 1
        assert count == 5000
    await db.executemany("update p set what = $2 where n = $1", [(n, "y") for n in range(100)])
    assert await db.fetchval("select count(*) from p where what = 'y'") == 100
    try: await db.execute("select pg_sleep(600)", timeout=1); raise SystemExit("not cancelled")
    except asyncio.TimeoutError: pass
    assert await db.fetchval("select 1") == 1
    heard = asyncio.Queue()
    await db.add_listener("news", lambda *said: heard.put_nowait(said[3]))
    await db.execute("notify news, 'hello'")
    assert await asyncio.wait_for(heard.get(), 60) == "hello"
    many = await asyncio.gather(*(connect() for _ in range(10)))
    assert await asyncio.gather(*(one.fetchval("select $1::int", n) for n, one in enumerate(many))) == list(range(10))
    for one in [db, *many]: await one.close()
    print("whole")

asyncio.run(main())
"#
    );
    python(&scene, &script)
}

#[test]
fn pgjdbc() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let store = scene.world.lab.path().join("pass.p12");
    let mut openssl = std::process::Command::new(program("openssl", "openssl")?);
    openssl.args(["pkcs12", "-export", "-passout", "pass:probe1", "-name", "user", "-out"]).arg(&store);
    openssl.arg("-inkey").arg(&pass.key).arg("-in").arg(&pass.certificate);
    Process::start("openssl", &mut openssl)?.finish(SOON)?.success()?;
    let url = format!(
        "jdbc:postgresql://localhost:{}/shop?user=app@orders&sslmode=verify-full&sslrootcert={}&sslkey={}\
         &sslpassword=probe1&prepareThreshold=2",
        scene.world.gate().address().port(),
        scene.gate_ca.display(),
        store.display()
    );
    let source = r#"
import java.sql.*; import java.io.*; import org.postgresql.*;
public class Driver { public static void main(String[] a) throws Exception {
  try (Connection c = DriverManager.getConnection(a[0])) {
    Statement s = c.createStatement();
    s.execute("create temp table p (n int, what text)");
    PreparedStatement insert = c.prepareStatement("insert into p values (?, ?)");
    for (int i = 0; i < 500; i++) { insert.setInt(1, i); insert.setString(2, "x" + i); insert.addBatch(); }
    if (insert.executeBatch().length != 500) throw new Exception("batch");
    PreparedStatement select = c.prepareStatement("select what from p where n = ?");
    for (int i = 0; i < 10; i++) { select.setInt(1, i); ResultSet r = select.executeQuery(); r.next();
      if (!r.getString(1).equals("x" + i)) throw new Exception("select"); }
    var copy = c.unwrap(PGConnection.class).getCopyAPI();
    if (copy.copyIn("copy p from stdin", new StringReader("7\tseven\n".repeat(1000))) != 1000) throw new Exception("in");
    StringWriter out = new StringWriter();
    if (copy.copyOut("copy p to stdout", out) != 1500) throw new Exception("out");
    c.setAutoCommit(false); s.setFetchSize(100);
    ResultSet r = s.executeQuery("select n from p"); int n = 0; while (r.next()) n++;
    if (n != 1500) throw new Exception("portal"); c.commit(); c.setAutoCommit(true);
    if (!c.getMetaData().getTables(null, null, "pg_class", null).next()) throw new Exception("metadata");
    s.setQueryTimeout(1);
    try { s.execute("select pg_sleep(600)"); throw new Exception("not cancelled"); }
    catch (SQLException e) { if (!"57014".equals(e.getSQLState())) throw e; }
    System.out.println("whole");
  } } }
"#;
    let source = scene.world.lab.write("Driver.java", source)?.display().to_string();
    let words = ["-cp", "/usr/share/java/postgresql.jar", &source, &url];
    let java = program("java", "openjdk-17-jdk-headless")?;
    let ran = scene.world.jerry.start(&java, words)?.finish(SOON)?.success()?;
    assert_eq!(ran.stdout, "whole\n", "{ran}");
    Ok(())
}
