//! Drivers of Rust, which speak to `tap proxy db`: tokio-postgres and `mysql_async`, each with all that it can do.

use std::fmt::Write as _;
use std::future::ready;
use std::io::Cursor;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use futures::{SinkExt as _, TryStreamExt as _};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, TxOpts};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

use super::scene::{SOON, Scene};
use super::{client_mysql, client_proxy, my_scene};
use crate::world::text;

/// One thread for the driver's own task, beside the test's.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

#[test]
fn tokio_postgres() -> Result<()> {
    let scene = Scene::new("")?;
    let (_process, told) = client_proxy::proxy(&scene, &["--db-user", "app", "--db-name", "shop"])?;
    let folder = Path::new(text(&told, "socket")).parent().context("a socket lies in a folder")?;
    let mut config = Config::new();
    config.host_path(folder).port(5432).user("app").dbname("shop");
    runtime()?.block_on(async {
        let (mut client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        client.batch_execute("create temp table p (n int, what text)").await?;
        prepared(&client).await?;
        copied(&client).await?;
        in_a_transaction(&mut client).await?;
        cancelled(&client, &scene).await?;
        drop(client);
        Ok(tokio::time::timeout(SOON, driver).await???)
    })
}

/// Two hundred at once over one connection, then one at a time.
async fn prepared(client: &Client) -> Result<()> {
    let insert = client.prepare("insert into p values ($1, $2)").await?;
    let insert = &insert;
    let rows = (0..200_i32).map(|n| async move { client.execute(insert, &[&n, &format!("row {n}")]).await });
    assert_eq!(try_join_all(rows).await?.into_iter().sum::<u64>(), 200);
    let select = client.prepare_typed("select what from p where n = $1", &[Type::INT4]).await?;
    for n in [0, 7, 199] {
        assert_eq!(client.query_one(&select, &[&n]).await?.get::<_, String>(0), format!("row {n}"));
    }
    // A statement that is wrong is refused, and the connection goes on.
    let wrong = client.prepare("select nonsense").await.err().context("nonsense was prepared")?;
    assert_eq!(wrong.code(), Some(&SqlState::UNDEFINED_COLUMN), "{wrong}");
    Ok(())
}

/// Fifty thousand rows in, and all of them out.
async fn copied(client: &Client) -> Result<()> {
    let mut sink = pin!(client.copy_in("copy p from stdin").await?);
    for part in 0..50 {
        let mut rows = String::new();
        for n in 0..1000 {
            writeln!(rows, "{}\tcopied", 1000 + part * 1000 + n)?;
        }
        sink.send(Cursor::new(rows.into_bytes())).await?;
    }
    assert_eq!(sink.finish().await?, 50_000);
    let out = client.copy_out("copy p to stdout").await?;
    let lines = |part: &[u8]| part.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(out.try_fold(0, |sum, part| ready(Ok(sum + lines(&part)))).await?, 50_200);
    // One that its client gives up leaves nothing behind.
    let mut given_up = pin!(client.copy_in("copy p from stdin").await?);
    given_up.send(Cursor::new(b"1\tgiven up\n".to_vec())).await?;
    Ok(())
}

async fn in_a_transaction(client: &mut Client) -> Result<()> {
    let transaction = client.transaction().await?;
    let portal = transaction.bind("select n from p order by n", &[]).await?;
    for first in [0, 100] {
        let rows = transaction.query_portal(&portal, 100).await?;
        assert_eq!((rows.len(), rows.first().map(|row| row.get::<_, i32>(0))), (100, Some(first)));
    }
    transaction.execute("delete from p", &[]).await?;
    transaction.rollback().await?;
    assert_eq!(client.query_one("select count(*) from p", &[]).await?.get::<_, i64>(0), 50_200);
    Ok(())
}

async fn cancelled(client: &Client, scene: &Scene) -> Result<()> {
    let (cancel, asleep) = (client.cancel_token(), "query = 'select pg_sleep(600)' and state = 'active'");
    let cancelling = async {
        while scene.orders.sql(&format!("select count(*) from pg_stat_activity where {asleep}"))? != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(cancel.cancel_query(NoTls).await?)
    };
    let (slept, cancelled) = tokio::join!(client.batch_execute("select pg_sleep(600)"), cancelling);
    cancelled?;
    let ended = slept.err().context("it slept to its end")?;
    assert_eq!(ended.code(), Some(&SqlState::QUERY_CANCELED), "{ended}");
    assert_eq!(client.query_one("select 41 + 1", &[]).await?.get::<_, i32>(0), 42);
    Ok(())
}

#[test]
fn mysql_async() -> Result<()> {
    let scene = my_scene::Scene::new("require_session_mfa: true")?;
    let (_process, told) = client_mysql::proxy(&scene, &["--db-name", "shop", "--port", "0"])?;
    let (_, port) = text(&told, "address").rsplit_once(':').context("an address has a port")?;
    let own = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port.parse()?).prefer_socket(false);
    let own = own.user(Some("app")).pass(Some(text(&told, "password"))).db_name(Some("shop"));
    runtime()?.block_on(async {
        let mut db = Conn::new(own).await?;
        by_statements(&mut db).await?;
        several_results(&mut db).await?;
        let mut transaction = db.start_transaction(TxOpts::default()).await?;
        transaction.query_drop("delete from t").await?;
        transaction.rollback().await?;
        assert_eq!(db.query_first::<i64, _>("select count(*) from t").await?, Some(104));
        // What was said of the session is forgotten, and the connection goes on.
        db.query_drop("set @mine = 7").await?;
        assert!(db.reset().await?, "the session could not be reset");
        assert_eq!(db.query_first::<Option<i64>, _>("select @mine").await?, Some(None));
        Ok(db.disconnect().await?)
    })
}

async fn by_statements(db: &mut Conn) -> Result<()> {
    let select = db.prep("select name from t where id = ?").await?;
    for (id, name) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(db.exec_first::<String, _, _>(&select, (id,)).await?.as_deref(), Some(name));
    }
    db.close(select).await?;
    db.exec_batch("insert into t (name) values (?)", (0..100).map(|n| (format!("row {n}"),))).await?;
    let values = (i64::MIN, 1.5, vec![0_u8, 255, b'\n']);
    let found: Option<(i64, f64, Vec<u8>, Option<i32>)> = db.exec_first("select ?, ?, ?, null", values.clone()).await?;
    assert_eq!(found, Some((values.0, values.1, values.2, None)));
    let wrong = db.prep("select nonsense").await.err().context("nonsense was prepared")?;
    assert!(wrong.to_string().contains("1054"), "{wrong}");
    Ok(())
}

async fn several_results(db: &mut Conn) -> Result<()> {
    let text = "select 1; select 2, 'three'; insert into t (name) values ('x'); select count(*) from t";
    let mut results = db.query_iter(text).await?;
    assert_eq!(results.collect::<i32>().await?, [1]);
    assert_eq!(results.collect::<(i32, String)>().await?, [(2, "three".to_owned())]);
    assert_eq!(results.collect::<i32>().await?, [0; 0]);
    assert_eq!(results.collect::<i64>().await?, [104]);
    results.drop_result().await?;
    // The rest of a text that fails in its middle is not run.
    let mut results = db.query_iter("select 1; select nonsense; delete from t").await?;
    assert_eq!(results.collect::<i32>().await?, [1]);
    assert!(results.collect::<i32>().await.is_err());
    Ok(())
}
