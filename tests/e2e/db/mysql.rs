//! MySQL and MariaDB with stock clients: what passes, and that it passes whole.

use anyhow::Result;
use tapgate_lab::program;

use super::my_scene::{SOON, Scene};
use crate::world::text;

#[test]
fn the_stock_client_logs_in_by_certificate_alone() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let mark = scene.world.mark();
    let ran = scene.run(&pass, "select name from t order by id; select current_user(), database()")?.success()?;
    assert_eq!(ran.stdout, "one\ntwo\nthree\napp@%\tshop\n");
    // Whatever password is typed, nobody looks at it.
    scene.run_as(&pass, "app@shopdb", &["shop", "--password=whatever", "-e", "select 1"])?.success()?;

    let start = scene.world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "login"), text(&start, "protocol")), ("app/shop", "mysql"), "{start}");
    let read = scene.world.await_record(mark, "db.session.query", |record| record["rows"] == 3)?;
    assert_eq!(text(&read, "text"), "select name from t order by id", "{read}");
    assert_eq!(
        (text(&read, "outcome"), &read["tables"][0], &read["classes"][0]),
        ("done", &"t".into(), &"read".into())
    );
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert_eq!(text(&end, "reason"), "closed by the client", "{end}");
    Ok(())
}

#[test]
fn prepared_statements_cursors_and_several_results_pass() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let sql = "delimiter //\ncreate procedure two() begin select 1; select 2 union select 3; end//\ndelimiter ;\n\
               call two(); prepare s from 'select name from t where id = ?'; set @id = 2; execute s using @id;\n";
    let mut client = scene.start_mariadb(&pass, "app@shopdb", &["shop"])?;
    client.write(sql.as_bytes())?;
    assert_eq!(client.finish(SOON)?.success()?.stdout, "1\n2\n3\ntwo\n");

    // The same in the binary protocol: prepared, run twice, fetched by a cursor, closed, reset.
    let script = "
from pymysql.constants import COMMAND, CLIENT
def packet(): return db._read_packet()
db._execute_command(COMMAND.COM_STMT_PREPARE, 'select id, name from t where id >= ?')
head = packet().get_all_data(); sid, cols, params = struct.unpack('<xIHH', head[:9])
assert (cols, params) == (2, 1), head
eof = not (db.client_flag & CLIENT.DEPRECATE_EOF)
for n in range(params + eof + cols + eof): packet()
def run(flags, least):
    body = struct.pack('<IBI', sid, flags, 1) + b'\\0\\1' + struct.pack('<Hq', 8, least)
    db._execute_command(COMMAND.COM_STMT_EXECUTE, body)
    n = packet().get_all_data()[0]
    for _ in range(n): packet()
    if eof: packet()
def rows():
    count = 0
    while True:
        data = packet().get_all_data()
        if data[0] == 0xfe and len(data) < 9: return count
        count += 1
run(0, 2); assert rows() == 2
run(0, 1); assert rows() == 3
run(1, 1)
db._execute_command(COMMAND.COM_STMT_FETCH, struct.pack('<II', sid, 2)); assert rows() == 2
db._execute_command(COMMAND.COM_STMT_FETCH, struct.pack('<II', sid, 9)); assert rows() == 1
db._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack('<I', sid))
db._execute_command(COMMAND.COM_STMT_RESET, struct.pack('<I', sid))
try: packet(); raise SystemExit('a closed statement was reset')
except pymysql.Error as e: assert e.args[0] == 1243, e
db.ping(reconnect=False)
cur = db.cursor(); cur.execute('select count(*) from t'); assert cur.fetchone() == (3,)
print('whole')
";
    let mark = scene.world.mark();
    let ran = scene.python(&pass, "", script)?.success()?;
    assert_eq!(ran.stdout, "whole\n", "{ran}");
    let run = scene.world.await_record(mark, "db.session.query", |record| record["rows"] == 2)?;
    assert_eq!(text(&run, "text"), "select id, name from t where id >= ?", "{run}");
    scene.world.await_record(mark, "db.session.query", |record| text(record, "outcome") == "prepared")?;
    Ok(())
}

#[test]
fn packets_over_sixteen_megabytes_pass_both_ways() -> Result<()> {
    let scene = Scene::new("")?;
    let script = "
import hashlib
big = bytes(range(256)) * (20 * 4096)
assert len(big) == 20 * 1024 * 1024
cur = db.cursor()
cur.execute('insert into t (name, big) values (%s, %s)', ('big', big))
cur.execute('select big, length(big) from t where name = %s', ('big',))
back, length = cur.fetchone()
assert length == len(big) and back == big, (length, len(back))
exact = b'x' * (0xffffff - 13)
cur.execute(b\"select length('\" .decode() + exact[:0xffffff - 20].decode() + \"')\")
cur.fetchall()
print('whole')
";
    let ran = scene.python(&scene.login_pass(), "max_allowed_packet=64*1024*1024", script)?.success()?;
    assert_eq!(ran.stdout, "whole\n", "{ran}");
    Ok(())
}

#[test]
fn files_of_the_client_are_loaded_where_the_role_says_so_and_nowhere_else() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let file = scene.world.lab.write("load.csv", &"name\n".repeat(100_000))?;
    let load = format!("load data local infile '{}' into table t (name); select count(*) from t", file.display());
    let more = ["shop", "--local-infile=1", "-e", &load];
    let refused = scene.run_as(&pass, "app@shopdb", &more)?.failure(1)?;
    assert!(refused.stderr.contains("ERROR 4166") || refused.stderr.contains("not allowed"), "{refused}");
    assert_eq!(scene.db.sql("select count(*) from shop.t")?, "3");

    scene.put_role("db_local_infile: true")?;
    let loaded = scene.run_as(&pass, "app@shopdb", &more)?.success()?;
    assert_eq!(loaded.stdout, "100003\n");
    Ok(())
}

#[test]
fn ctrl_c_kills_the_query_and_nobody_elses() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let mut client = scene.start_mariadb(&pass, "app@shopdb", &["shop", "--sigint-ignore=0", "--force"])?;
    client.write(b"select 'up';\nselect sleep(600);\n")?;
    client.wait_for("up")?;
    let busy = || scene.db.sql("select count(*) from information_schema.processlist where info like 'select sleep%'");
    crate::world::until("the query to run", SOON, || Ok(busy()? == "1"))?;
    client.signal(nix::sys::signal::Signal::SIGINT);
    crate::world::until("the query to be killed", SOON, || Ok(busy()? == "0"))?;
    client.write(b"select 'still', 'here';\n")?;
    drop(client);

    // A number of the gate's that is nobody's, or not ours, is unknown.
    let script = "
cur = db.cursor()
own = db.thread_id()
assert own >= 1 << 30, own
try: cur.execute('KILL QUERY %d' % (own + 1)); raise SystemExit('killed a stranger')
except pymysql.Error as e: assert e.args[0] == 1094, e
other = connect()
cur.execute('KILL %d' % other.thread_id())
try: other.cursor().execute('select 1'); raise SystemExit('it lives')
except pymysql.Error as e: print(e.args[0])
report = connect(user='report@shopdb')
";
    let ran = scene.python(&pass, "", script)?;
    assert!(ran.stdout.contains("1927") || ran.stdout.contains("2013"), "{ran}");
    Ok(())
}

#[test]
fn the_user_and_the_database_of_a_session_stay() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let script = "
from pymysql.constants import COMMAND
db._execute_command(COMMAND.COM_CHANGE_USER, b'root\\0\\0\\0')
try: db._read_packet(); raise SystemExit('changed the user')
except pymysql.Error as e: assert e.args[0] == 1045 and 'belongs to one database user' in e.args[1], e
def refused(what):
    try: what(); raise SystemExit('changed the database')
    except pymysql.Error as e: assert e.args[0] == 1044, e
cur = db.cursor()
refused(lambda: db.select_db('other'))
refused(lambda: cur.execute('use other'))
refused(lambda: cur.execute('/*!50000 use other */'))
db.select_db('shop')
db._execute_command(0x1f, b'')
assert db._read_packet().is_ok_packet()
free = connect(database=None)
free.select_db('other')
refused(lambda: free.select_db('secret'))
refused(lambda: free.cursor().execute('select 1; use secret') )
db._execute_command(0x05, b'made')
try: db._read_packet(); raise SystemExit('made a database')
except pymysql.Error as e: assert e.args[0] == 1047, e
print('stays')
";
    let ran = scene.python(&pass, "", script)?.success()?;
    assert_eq!(ran.stdout, "stays\n", "{ran}");
    Ok(())
}

#[test]
fn the_target_is_entered_with_a_password_where_the_resource_names_one() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let file = |name: &str, text: &str| {
        let path = scene.world.lab.write(name, text)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok::<_, anyhow::Error>(path.display().to_string())
    };
    let (right, curved) = (file("report.pw", "geheim\n")?, file("ed.pw", "krumm")?);
    scene.put_db(&format!("  auth:\n    password_files: {{ report: \"{right}\", ed: \"{curved}\" }}\n"))?;
    for user in ["report", "ed"] {
        let ran =
            scene.run_as(&pass, &format!("{user}@shopdb"), &["shop", "-e", "select current_user()"])?.success()?;
        assert_eq!(ran.stdout, format!("{user}@%\n"));
    }
    let mark = scene.world.mark();
    let wrong = file("report.pw", "falsch\n")?;
    assert_eq!(wrong, right);
    let refused = scene.run_as(&pass, "report@shopdb", &["shop", "-e", "select 1"])?.failure(1)?;
    assert!(
        refused.stderr.contains("ERROR 1429") && refused.stderr.contains("it refused the login: 1045"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("falsch"), "{refused}");
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").contains("refused the login"), "{end}");
    Ok(())
}

#[test]
fn connector_j_works() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let source = format!(
        "import java.sql.*;\npublic class Probe {{ public static void main(String[] a) throws Exception {{\n\
         String url = \"jdbc:mariadb://localhost:{}/shop?user=app@shopdb&useSsl=true&serverSslCert={}&useServerPrepStmts=true\
         &keyStore={}&keyStorePassword=probe1\";\n\
         try (Connection c = DriverManager.getConnection(url)) {{\n\
         PreparedStatement p = c.prepareStatement(\"select name from t where id = ?\");\n\
         for (int i = 1; i <= 3; i++) {{ p.setInt(1, i); ResultSet r = p.executeQuery(); r.next(); System.out.println(r.getString(1)); }}\n\
         }} }} }}\n",
        scene.port,
        scene.gate_ca.display(),
        scene.world.lab.path().join("pass.p12").display()
    );
    let source = scene.world.lab.write("Probe.java", &source)?;
    let store = scene.world.lab.path().join("pass.p12").display().to_string();
    let words = ["pkcs12", "-export", "-passout", "pass:probe1", "-out", &store, "-name", "probe", "-inkey"];
    let mut openssl = std::process::Command::new(program("openssl", "openssl")?);
    openssl.args(words).arg(&pass.key).arg("-in").arg(&pass.certificate);
    tapgate_lab::Process::start("openssl", &mut openssl)?.finish(SOON)?.success()?;
    let java = program("java", "openjdk-17-jdk-headless")?;
    let words = ["-cp", "/usr/share/java/mariadb-java-client.jar", &source.display().to_string()].map(str::to_owned);
    let ran = scene.world.jerry.start(&java, words)?.finish(SOON)?.success()?;
    assert_eq!(ran.stdout, "one\ntwo\nthree\n", "{ran}");
    Ok(())
}
