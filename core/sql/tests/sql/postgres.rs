//! PostgreSQL's statements.

use tapgate_sql::Dialect::PostgreSql;

use crate::help::{classified, table, tables};

#[test]
fn reading_and_writing() {
    table(
        PostgreSql,
        "
        read | SELECT 1
        read | select a, count(*) from t join u using (id) where x > 3 group by a having count(*) > 1 order by 2 limit 5
        read | (SELECT 1) UNION ALL (SELECT 2)
        read | VALUES (1, 'a'), (2, 'b')
        read | TABLE t
        read | WITH x AS (SELECT 1) SELECT * FROM x
        read | SELECT * FROM t WHERE created > now() - interval '7 days'
        read | SELECT * FROM t FOR UPDATE SKIP LOCKED
        read | SELECT update, \"delete\" FROM t WHERE id = $1
        read | SELECT * FROM t WHERE a::text LIKE '%x%' AND data->>'k' = 'v' AND tags @> ARRAY['a']
        read | SHOW search_path
        read | FETCH 100 FROM c
        read | MOVE FORWARD 10 IN c
        read | CLOSE c
        read | DECLARE c BINARY CURSOR WITH HOLD FOR SELECT * FROM t
        read | COPY t TO STDOUT
        read | COPY (SELECT * FROM t WHERE a = 1) TO STDOUT WITH (FORMAT csv)
        read | EXPLAIN SELECT 1
        read | EXPLAIN DELETE FROM t
        read | EXPLAIN (VERBOSE, FORMAT json) UPDATE t SET a = 1
        read | EXPLAIN ANALYZE SELECT 1
        write | INSERT INTO t (a) VALUES (1) RETURNING id
        write | INSERT INTO t SELECT * FROM u
        write | INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b
        write | UPDATE t SET a = 1 WHERE id = 7
        write | UPDATE t SET a = u.a FROM u WHERE u.id = t.id
        write | DELETE FROM t WHERE id = $1
        write | DELETE FROM t USING u WHERE t.id = u.id
        write | MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (u.id)
        write | COPY t (a, b) FROM STDIN WITH (FORMAT csv)
        write read | WITH d AS (DELETE FROM t WHERE id = 1 RETURNING *) SELECT * FROM d
        write read | WITH d AS (DELETE FROM t WHERE id = 1 RETURNING *) INSERT INTO log SELECT * FROM d
        write read | SELECT nextval('ids')
        write read | EXPLAIN ANALYZE UPDATE t SET a = 1 WHERE id = 2
        write read | EXPLAIN (ANALYZE, BUFFERS) INSERT INTO t VALUES (1)
        write | NOTIFY jobs, 'x'
        write | ANALYZE t
        write | VACUUM t
        write | REFRESH MATERIALIZED VIEW CONCURRENTLY v
        write | LOCK TABLE t IN ACCESS EXCLUSIVE MODE
        ",
    );
}

#[test]
fn transactions_and_the_session() {
    table(
        PostgreSql,
        "
        transaction | BEGIN
        transaction | BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, DEFERRABLE
        transaction | START TRANSACTION
        transaction | COMMIT
        transaction | END
        transaction | ABORT
        transaction | ROLLBACK TO SAVEPOINT s
        transaction | SAVEPOINT s
        transaction | RELEASE SAVEPOINT s
        transaction | PREPARE TRANSACTION 'x'
        transaction | COMMIT PREPARED 'x'
        transaction | SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
        transaction | SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
        transaction | SET CONSTRAINTS ALL DEFERRED
        transaction | LOCK TABLE t IN SHARE MODE
        session | SET search_path TO a, b
        session | SET LOCAL statement_timeout = '5s'
        session | SET TIME ZONE 'UTC'
        session | SET client_encoding TO 'UTF8'
        session | SET standard_conforming_strings = on
        session | RESET ALL
        session | DISCARD ALL
        session | LISTEN jobs
        session | UNLISTEN *
        session | DEALLOCATE p
        session read | SELECT set_config('search_path', '', false)
        session read | PREPARE p (int) AS SELECT * FROM t WHERE id = $1
        session write | PREPARE p AS DELETE FROM t WHERE id = $1
        ",
    );
}

#[test]
fn what_is_dangerous() {
    table(
        PostgreSql,
        "
        write unbounded | DELETE FROM t
        write unbounded | UPDATE t SET a = 1
        write unbounded | DELETE FROM t WHERE true
        write unbounded | DELETE FROM t WHERE 1 = 1
        write unbounded | TRUNCATE t CASCADE
        write unbounded read | WITH x AS (DELETE FROM t) SELECT 1
        write unbounded read | EXPLAIN ANALYZE DELETE FROM t
        write unbounded read | EXPLAIN (ANALYZE) DELETE FROM t
        write unbounded read | EXPLAIN (ANALYZE false) DELETE FROM t
        write unbounded read | EXPLAIN ANALYZE (WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d)
        write unbounded session | PREPARE p AS UPDATE t SET a = $1
        write unbounded read | COPY (DELETE FROM t RETURNING *) TO STDOUT
        write unbounded | MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE
        read write ddl | SELECT * INTO copy FROM t
        read write ddl | SELECT 1 AS insert INTO copy
        read write ddl | WITH x AS (SELECT 1) SELECT * INTO copy FROM x
        ddl | CREATE TABLE t (id int primary key, function text)
        ddl | CREATE TABLE t AS SELECT 1
        ddl | CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)
        ddl | CREATE OR REPLACE VIEW v AS SELECT 1
        ddl | ALTER TABLE t DISABLE TRIGGER ALL
        ddl | DROP SCHEMA s CASCADE
        ddl | DROP FUNCTION f(int)
        ddl | COMMENT ON TABLE t IS 'x'
        ddl | REINDEX TABLE t
        ddl | CLUSTER t
        ",
    );
}

#[test]
fn rights_code_and_the_server() {
    table(
        PostgreSql,
        "
        grant | GRANT ALL ON t TO jerry
        grant | REVOKE SELECT ON t FROM jerry
        grant | CREATE USER jerry PASSWORD 'x'
        grant | CREATE ROLE jerry SUPERUSER
        grant | ALTER ROLE jerry SUPERUSER
        grant | DROP USER jerry
        grant | ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public
        grant | CREATE POLICY p ON t USING (true)
        grant | SET ROLE admin
        grant | SET LOCAL role = 'admin'
        grant | SET SESSION AUTHORIZATION admin
        grant | SET \"role\" TO admin
        grant | RESET ROLE
        grant | RESET SESSION AUTHORIZATION
        grant read | SELECT set_config('role', 'admin', false)
        grant read | SELECT pg_catalog.\"set_config\"('ROLE', 'admin', false)
        grant | REASSIGN OWNED BY a TO b
        grant write | UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = 'jerry'
        program | DO $$ BEGIN DELETE FROM t; END $$
        program | DO LANGUAGE plpgsql 'BEGIN END'
        program | CALL p(1)
        program | LOAD 'lib'
        program ddl | CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'
        program ddl | CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS $$ select 1; $$
        program ddl | CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()
        program ddl | CREATE EXTENSION dblink
        program write | COPY t FROM PROGRAM 'curl x'
        program read | COPY t TO PROGRAM 'sh'
        program write | COPY t FROM '/etc/passwd'
        program read | COPY (SELECT 1) TO '/tmp/x'
        program read | SELECT pg_read_file('/etc/passwd')
        program read | SELECT \"pg_read_file\"/* */('/etc/passwd')
        program read | SELECT pg_catalog . pg_ls_dir ('.')
        program read | SELECT lo_import('/etc/passwd')
        program read | SELECT * FROM dblink('host=x', 'delete from t') AS d(a int)
        program read | SELECT query_to_xml('delete from t', true, false, '')
        admin read | SELECT pg_terminate_backend(7)
        admin read | SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        admin read | SELECT pg_reload_conf()
        admin ddl | ALTER SYSTEM SET work_mem = '1GB'
        admin write | VACUUM FULL t
        admin write | VACUUM (FULL, ANALYZE) t
        admin | CHECKPOINT
        admin | SET session_replication_role = replica
        ",
    );
}

#[test]
fn what_cannot_be_told() {
    table(
        PostgreSql,
        r"
        unparsed | EXECUTE p(1)
        unparsed | FROBNICATE t
        unparsed | (FROBNICATE)
        unparsed read | SELECT FROM WHERE (
        unparsed write | UPDATE
        unparsed | 'x'
        unparsed | SELECT 'abc
        unparsed | SELECT $a$ abc $b$
        unparsed | SELECT /* /* */ 1
        unparsed | SELECT 'a\'; DELETE FROM t; --'
        unparsed | SET standard_conforming_strings = off
        unparsed | SET client_encoding TO 'SJIS'
        unparsed | SET NAMES 'gbk'
        unparsed read | SELECT set_config('ro' || 'le', 'admin', false)
        unparsed | SELECT U&'\0041'
        unparsed | SELECT 1FROM t
        ",
    );
    assert_eq!(classified(PostgreSql, "SELECT 1;\0 DELETE FROM t").statements, 0, "a zero byte");
}

#[test]
fn comments_quotes_and_many_statements() {
    table(
        PostgreSql,
        r"
        read | SELECT 1; SELECT 2;
        | /* nothing */ ; -- at all
        read | /* a /* nested */ DELETE FROM t; */ SELECT 1
        read write unbounded | SELECT 1; DELETE FROM t
        read write unbounded | SELECT 1 /* ; */; DELETE FROM t -- WHERE id = 1
        read | SELECT 'DELETE FROM t; ' || $$ DROP TABLE t; $$ || $x$ $$; $x$
        read | SELECT E'it\'s; DELETE FROM t'
        read write unbounded | SELECT E'\\'; DELETE FROM t
        read write unbounded | SELECT 'C:\\'; DELETE FROM t
        read | SELECT 'it''s; DELETE FROM t'
        read | SELECT B'101', X'1F', N'a', 1.5e-3, 0x1F, 1_000
        transaction write | BEGIN; INSERT INTO t VALUES (1); COMMIT
        read | SELECT * FROM t WHERE a = $1 AND b IN ($2, $3) AND c #> '{a}' IS NOT NULL
        ",
    );
    let found = classified(PostgreSql, "SELECT 1; SELECT 2;; SELECT 3");
    assert_eq!((found.statements, found.parsed), (3, true));
}

#[test]
fn tables_are_named() {
    assert_eq!(tables(PostgreSql, "SELECT * FROM Orders o JOIN shop.\"Items\" ON true"), "orders shop.Items");
    assert_eq!(
        tables(PostgreSql, "WITH d AS (DELETE FROM t WHERE a = 1 RETURNING *) INSERT INTO log SELECT * FROM d"),
        "log t"
    );
    assert_eq!(tables(PostgreSql, "UPDATE t SET a = (SELECT max(a) FROM u) WHERE id = 1"), "t u");
}
