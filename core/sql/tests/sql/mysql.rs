//! MySQL's and MariaDB's statements.

use tapgate_sql::Dialect::MySql;

use crate::help::{table, tables};

#[test]
fn reading_and_writing() {
    table(
        MySql,
        r#"
        read | SELECT 1
        read | SELECT "a", 'b', `c` FROM `t` WHERE x = ? LIMIT 1, 2
        read | SELECT @@version_comment LIMIT 1
        read | SELECT * FROM t WHERE name = 'O\'Brien; DELETE FROM t'
        read | SELECT /*+ MAX_EXECUTION_TIME(10) */ * FROM t
        read | SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`
        read | SELECT 1 -- ; DELETE FROM t
        read | SELECT 1 # ; DELETE FROM t
        read | SELECT 2fa.code FROM 2fa
        read | SHOW FULL COLUMNS FROM t
        read | SHOW CREATE TABLE t
        read | DESCRIBE t
        read | DESC t
        read | EXPLAIN DELETE FROM t
        read | EXPLAIN FORMAT=JSON SELECT 1
        read | EXPLAIN FOR CONNECTION 5
        read | HANDLER t READ FIRST
        read | CHECKSUM TABLE t
        read | DO SLEEP(1)
        read | TABLE t
        read | ANALYZE SELECT 1
        write | INSERT INTO t VALUES (1, 'a'), (2, 'b')
        write | INSERT IGNORE INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2
        write | INSERT INTO t SET a = 1
        write | REPLACE INTO t VALUES (1)
        write | UPDATE t SET a = 1 WHERE id = 2 LIMIT 1
        write | UPDATE t JOIN u ON t.id = u.id SET t.a = u.a WHERE u.b = 1
        write | DELETE FROM t WHERE id = 1
        write | DELETE a FROM t a JOIN u ON a.id = u.id WHERE u.b = 1
        write | ANALYZE TABLE t
        write read | EXPLAIN ANALYZE UPDATE t SET a = 1 WHERE id = 2
        write | LOCK TABLES t WRITE
        session read | SELECT a INTO @x FROM t
        "#,
    );
}

#[test]
fn transactions_and_the_session() {
    table(
        MySql,
        r"
        transaction | BEGIN
        transaction | START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */
        transaction | COMMIT
        transaction | ROLLBACK
        transaction | XA START 'x'
        transaction | SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        transaction | SET SESSION TRANSACTION READ ONLY
        transaction | LOCK TABLES t READ
        transaction | UNLOCK TABLES
        session | USE shop
        session | SET autocommit=1
        session | SET NAMES utf8mb4 COLLATE utf8mb4_bin
        session | SET CHARACTER SET utf8
        session | SET character_set_results = NULL, autocommit = 0
        session | SET @x = 1, @y := 2
        session | SET @@session.sort_buffer_size = 1000
        session | SET sql_mode='STRICT_TRANS_TABLES,NO_ZERO_DATE'
        session | SET SESSION sql_mode=(CONCAT(@@sql_mode,',STRICT_TRANS_TABLES'))
        session | SET FOREIGN_KEY_CHECKS=0
        session | DEALLOCATE PREPARE p
        ",
    );
}

#[test]
fn what_is_dangerous() {
    table(
        MySql,
        r"
        write unbounded | DELETE FROM t
        write unbounded | DELETE FROM t LIMIT 10
        write unbounded | UPDATE t SET a = 1
        write unbounded | UPDATE t SET a = 1 WHERE 1
        write unbounded | TRUNCATE TABLE t
        write unbounded | DELETE FROM t -- WHERE id = 1
        write unbounded | DELETE FROM t # WHERE id = 1
        write unbounded | /*!50003 DELETE FROM t */
        write unbounded | /*! DELETE */ FROM t
        write unbounded read | EXPLAIN ANALYZE DELETE FROM t
        write unbounded read | ANALYZE DELETE FROM t
        write unbounded read | ANALYZE FORMAT=JSON DELETE FROM t USING TABLE_A t
        write | ANALYZE LOCAL TABLE t
        ddl | CREATE TABLE t (id int) ENGINE=InnoDB
        ddl | CREATE TABLE t SELECT * FROM u
        ddl | CREATE ALGORITHM=MERGE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1
        ddl | ALTER TABLE t ADD COLUMN a int
        ddl | DROP TABLE IF EXISTS t
        ddl | DROP PROCEDURE p
        ddl | RENAME TABLE a TO b
        ddl | OPTIMIZE TABLE t
        grant | GRANT ALL ON *.* TO 'jerry'@'%'
        grant | CREATE USER 'jerry'@'%' IDENTIFIED BY 'x'
        grant | ALTER USER jerry IDENTIFIED BY 'x'
        grant | RENAME USER a TO b
        grant | SET PASSWORD = 'x'
        grant | SET PASSWORD FOR 'jerry' = 'x'
        grant | SET ROLE admin
        grant | SET DEFAULT ROLE admin TO jerry
        grant write | INSERT INTO mysql.user VALUES ('x')
        program write | LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t
        program write | LOAD DATA INFILE 'x' INTO TABLE t
        program write | LOAD XML INFILE 'x' INTO TABLE t
        program read | SELECT LOAD_FILE('/etc/passwd')
        program read | SELECT load_file ('/etc/passwd')
        program unparsed read | SELECT * FROM t INTO OUTFILE '/tmp/x'
        program unparsed read | SELECT a INTO DUMPFILE '/tmp/x' FROM t
        program | CALL p()
        program | BEGIN NOT ATOMIC DELETE FROM t
        program ddl | CREATE DEFINER=`a`@`%` PROCEDURE p() SELECT 1
        program ddl | CREATE FUNCTION f RETURNS STRING SONAME 'udf.so'
        program ddl | CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t
        program ddl | CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1
        program admin | INSTALL PLUGIN x SONAME 'x.so'
        admin | KILL 5
        admin | KILL QUERY 5
        admin | SHUTDOWN
        admin | FLUSH PRIVILEGES
        admin | RESET MASTER
        admin | PURGE BINARY LOGS TO 'x'
        admin | CHANGE MASTER TO MASTER_HOST='x'
        admin | START SLAVE
        admin | SET GLOBAL general_log = 1
        admin | SET @@global.general_log = 1
        admin session | SET @x = 1, GLOBAL general_log = 1
        admin | SET PERSIST max_connections = 5
        admin | SET SESSION sql_log_bin = 0
        admin ddl | ALTER INSTANCE ROTATE INNODB MASTER KEY
        ",
    );
}

#[test]
fn what_cannot_be_told() {
    table(
        MySql,
        r"
        unparsed | EXECUTE p USING @a
        unparsed | EXECUTE IMMEDIATE 'DELETE FROM t'
        unparsed | PREPARE p FROM @text
        unparsed | SET STATEMENT max_statement_time=1 FOR DELETE FROM t
        unparsed | DELETE FROM t /*!99999 WHERE id = 1 */
        unparsed | DELETE FROM t /*M! WHERE id = 1 */
        unparsed | SELECT 1 /*!40001 x /* y */ */
        unparsed | SELECT 1 /*!40001
        unparsed | SELECT 'abc
        unparsed | SELECT 'abc\'
        unparsed | SET sql_mode = 'NO_BACKSLASH_ESCAPES'
        unparsed | SET sql_mode = 'ansi_quotes'
        unparsed | SET sql_mode = @mode
        unparsed | SET sql_mode = @sql_mode
        unparsed | SET sql_mode = concat(@sql_mode, @global)
        unparsed | SET sql_mode = concat('NO_BACK', 'SLASH_ESCAPES')
        unparsed | SET sql_mode = 4
        unparsed | SET NAMES gbk
        unparsed | SET character_set_client = sjis
        unparsed | IF 1 THEN DELETE FROM t
        ",
    );
}

#[test]
fn comments_and_many_statements() {
    table(
        MySql,
        r"
        read write unbounded | SELECT 1; DELETE FROM t
        read write unbounded | SELECT 1--1; DELETE FROM t
        read write unbounded | SELECT 1 /* a /* not nested */; DELETE FROM t
        session | /*!40101 SET NAMES utf8 */;
        session | /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
        read | SELECT '\\', 'a\'b', 'c''d', x'1F', 0x1F, b'01', n'a'
        ",
    );
}

#[test]
fn tables_are_named() {
    assert_eq!(tables(MySql, "SELECT * FROM `Orders` JOIN shop.items USING (id)"), "Orders shop.items");
    assert_eq!(tables(MySql, "INSERT INTO t SELECT * FROM u"), "t u");
}
