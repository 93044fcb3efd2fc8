//! MySQL itself, not its sister: its server behind the gate, and its own client before it.

use anyhow::Result;
use tapgate_lab::{MySql, Process, Ran, mysql_program};

use super::my_scene::{Pass, SOON, Scene};
use crate::world::{tapgate, text, until};

const SETUP: &str = "
    create database shop; create database other;
    create user app@'%' require subject '/CN=app';
    create user report@'%' identified by 'geheim' require ssl;
    grant all on shop.* to app@'%'; grant all on other.* to app@'%'; grant process on *.* to app@'%';
    grant select on shop.* to report@'%';
    create table shop.t (id int primary key auto_increment, name varchar(40), big longblob);
    insert into shop.t (name) values ('one'), ('two'), ('three')";

fn scene(options: &str) -> Result<(Scene, MySql)> {
    let scene = Scene::new(options)?;
    let authority =
        tapgate(&["ca", "--config", &scene.world.config.display().to_string(), "--databases"])?.success()?;
    let server = MySql::start(&scene.world.lab, "modern", &authority.stdout, SETUP)?;
    let file = scene.world.lab.write("report.pw", "geheim\n")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let auth = format!("  auth:\n    password_files: {{ report: \"{}\" }}\n", file.display());
    scene.world.put(&server.db_yaml("dev", &auth))?;
    Ok((scene, server))
}

/// MySQL's own client with this text of statements.
fn mysql(scene: &Scene, pass: &Pass, user: &str, words: &[&str]) -> Result<Process> {
    let mut command = mysql_program("bin/mysql")?;
    command.args([
        "--no-defaults",
        "--protocol=tcp",
        "--host=localhost",
        "--batch",
        "--skip-column-names",
        "--unbuffered",
    ]);
    command.arg(format!("--port={}", scene.port)).arg(format!("--user={user}@modern"));
    command.arg("--ssl-mode=VERIFY_IDENTITY").arg(format!("--ssl-ca={}", scene.gate_ca.display()));
    command.arg(format!("--ssl-cert={}", pass.certificate.display())).arg(format!("--ssl-key={}", pass.key.display()));
    Process::start("mysql", command.args(words))
}

fn run(scene: &Scene, pass: &Pass, user: &str, text: &str) -> Result<Ran> {
    mysql(scene, pass, user, &["shop", "-e", text])?.finish(SOON)
}

#[test]
fn its_own_client_and_mariadbs_work_with_it() -> Result<()> {
    let (scene, _server) = scene("")?;
    let pass = scene.login_pass();
    let mark = scene.world.mark();
    let ran =
        run(&scene, &pass, "app", "select name from t order by id; select current_user(), database()")?.success()?;
    assert_eq!(ran.stdout, "one\ntwo\nthree\napp@%\tshop\n");
    let version = run(&scene, &pass, "app", "select version()")?.success()?.stdout;
    assert!(version.split('.').next().and_then(|major| major.parse().ok()) >= Some(8), "{version}");
    let read = scene.world.await_record(mark, "db.session.query", |record| record["rows"] == 3)?;
    assert_eq!((text(&read, "text"), text(&read, "outcome")), ("select name from t order by id", "done"), "{read}");
    // caching_sha2_password: in full at first, and by what the server has remembered after that.
    for _ in 0..2 {
        assert_eq!(run(&scene, &pass, "report", "select current_user()")?.success()?.stdout, "report@%\n");
    }
    let other = scene.run_as(&pass, "app@modern", &["shop", "-e", "select 'from mariadb'"])?.success()?;
    assert_eq!(other.stdout, "from mariadb\n");
    let script = "
cur = db.cursor()
cur.executemany('insert into t (name) values (%s)', [(str(n),) for n in range(100)]); db.commit()
big = bytes(range(256)) * (18 * 4096)
cur.execute('insert into t (name, big) values (%s, %s)', ('big', big))
cur.execute('select big from t where name = %s', ('big',)); assert cur.fetchone()[0] == big
try: cur.execute('select nothing'); raise SystemExit('no error')
except pymysql.Error as e: assert e.args[0] == 1054, e
cur.execute('select 1'); print(cur.fetchone()[0])
";
    let ran = scene.python(&pass, "user='app@modern'", script)?.success()?;
    assert_eq!(ran.stdout, "1\n", "{ran}");
    let slow = mysql(&scene, &pass, "app", &["shop", "-e", "prepare s from 'select sleep(600)'; execute s"])?;
    let busy = "select count(*) from information_schema.processlist where state = 'User sleep'";
    until("the query to run", SOON, || Ok(run(&scene, &pass, "app", busy)?.success()?.stdout == "1\n"))?;
    slow.signal(nix::sys::signal::Signal::SIGINT);
    until("the query to be killed", SOON, || Ok(run(&scene, &pass, "app", busy)?.success()?.stdout == "0\n"))?;
    Ok(())
}

#[test]
fn its_words_are_refused_and_ended_like_its_sisters() -> Result<()> {
    let (scene, _server) = scene("db_statements: { read_only: true }")?;
    let pass = scene.login_pass();
    let refused = run(&scene, &pass, "app", "insert into t (name) values ('x')")?.failure(1)?;
    assert!(refused.stderr.contains("ERROR 1142"), "{refused}");
    let file = scene.world.lab.write("load.csv", "name\n")?;
    let load = format!("load data local infile '{}' into table t (name)", file.display());
    mysql(&scene, &pass, "app", &["--local-infile=1", "shop", "-e", &load])?.finish(SOON)?.failure(1)?;
    let other = run(&scene, &pass, "root", "select 1")?.failure(1)?;
    assert!(other.stderr.contains("ERROR 1045 (28000)"), "{other}");
    let busy = mysql(&scene, &pass, "app", &["shop", "-e", "select 'up'; select sleep(600)"])?;
    busy.wait_for("up")?;
    scene.world.olga.tapctl(["lock", "--user=jerry", "--message=laptop lost", "--ttl=1h"])?.success()?;
    busy.wait_for_error("this session was ended: access is locked: laptop lost")?;
    Ok(())
}
