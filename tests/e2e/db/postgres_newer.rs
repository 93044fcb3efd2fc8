//! A PostgreSQL newer than the system's, with a client of its protocol's newest version.

use anyhow::Result;
use tapgate_lab::python_program;

use super::scene::{SOON, Scene};
use crate::world::text;

#[test]
fn a_newer_server_is_entered_by_certificate_and_by_password() -> Result<()> {
    let scene = Scene::with_server("", true)?;
    let file = scene.world.lab.write("report.pw", "geheim\n")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    scene.put_db(&format!("  auth:\n    password_files:\n      report: {}\n", file.display()))?;
    let pass = scene.tap("app/shop")?;
    let ran = scene.psql(Some(&pass), "", "show server_version")?.success()?;
    let major = ran.stdout.split('.').next().and_then(|major| major.trim().parse().ok());
    assert!(major >= Some(18), "{ran}");
    let who = "select current_user || ' ' || client_dn from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(scene.psql(Some(&pass), "", who)?.success()?.stdout.trim(), "app /CN=app");
    let report = scene.tap("report/shop")?;
    let ran = scene.psql(Some(&report), "user=report@orders", "select current_user")?.success()?;
    assert_eq!(ran.stdout, "report\n");

    // libpq of 18 asks for TLS at once, and for protocol 3.2 with its long keys for cancelling.
    let script = format!(
        "import psycopg, threading\n\
         info = \"{}\"\n\
         assert psycopg.pq.version() >= 180000, psycopg.pq.version()\n\
         db = psycopg.connect(info + ' sslnegotiation=direct max_protocol_version=latest', autocommit=True)\n\
         print(db.execute('select count(*) from generate_series(1, 1000)').fetchone()[0])\n\
         other = psycopg.connect(info, autocommit=True)\n\
         def cancel():\n    \
             query = \"select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(600)'\"\n    \
             while not other.execute(query).fetchone(): pass\n    \
             db.cancel_safe(timeout=60)\n\
         thread = threading.Thread(target=cancel); thread.start()\n\
         try: db.execute('select pg_sleep(600)')\n\
         except psycopg.errors.QueryCanceled: print('cancelled')\n\
         thread.join()\n",
        scene.conninfo(Some(&pass), "")
    );
    let file = scene.world.lab.write("newer.py", &script)?;
    let ran = scene.world.jerry.start(&python_program("python")?, [file])?.finish(SOON)?.success()?;
    assert_eq!(ran.stdout, "1000\ncancelled\n", "{ran}");
    let mark = scene.world.mark();
    scene.pgbench(&pass, &["-i", "-q", "-s", "1"])?.success()?;
    let ran = scene.pgbench(&pass, &["-n", "-M", "prepared", "-c", "4", "-t", "20"])?.success()?;
    assert!(ran.stdout.contains("processed: 80/80"), "{ran}");
    scene.world.await_record(mark, "db.session.query", |record| text(record, "outcome") == "done")?;
    Ok(())
}
