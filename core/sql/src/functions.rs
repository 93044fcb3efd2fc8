//! The servers' own functions that do more than compute, by name.

use tapgate_model::{ClassSet, StatementClass};

use crate::dialect::Dialect;
use crate::settings;
use crate::token::Token;

use StatementClass::{Admin, Program, Write};

/// PostgreSQL's functions by how their names begin.
const POSTGRES: &[(&str, StatementClass)] = &[
    ("pg_read_file", Program),
    ("pg_read_binary_file", Program),
    ("pg_ls_", Program),
    ("pg_stat_file", Program),
    ("pg_file_", Program),
    ("pg_logdir_ls", Program),
    ("lo_import", Program),
    ("lo_export", Program),
    ("lo_", Write),
    ("lowrite", Write),
    ("dblink", Program),
    ("query_to_xml", Program),
    ("crosstab", Program),
    ("ts_stat", Program),
    ("xpath_table", Program),
    ("nextval", Write),
    ("setval", Write),
    ("pg_notify", Write),
    ("pg_logical_emit_message", Write),
    ("pg_terminate_backend", Admin),
    ("pg_cancel_backend", Admin),
    ("pg_reload_conf", Admin),
    ("pg_rotate_logfile", Admin),
    ("pg_promote", Admin),
    ("pg_switch_", Admin),
    ("pg_start_backup", Admin),
    ("pg_stop_backup", Admin),
    ("pg_backup_", Admin),
    ("pg_wal_replay_", Admin),
    ("pg_create_", Admin),
    ("pg_drop_", Admin),
    ("pg_copy_", Admin),
    ("pg_sync_", Admin),
    ("pg_replication_", Admin),
    ("pg_logical_slot_", Admin),
    ("pg_stat_reset", Admin),
    ("pg_stat_statements_reset", Admin),
    ("pg_log_", Admin),
    ("pg_import_", Admin),
];

/// MySQL's and MariaDB's.
const MYSQL: &[(&str, StatementClass)] = &[
    ("load_file", Program),
    ("sys_eval", Program),
    ("sys_exec", Program),
    ("nextval", Write),
    ("setval", Write),
    ("group_replication_", Admin),
    ("asynchronous_connection_failover_", Admin),
    ("keyring_", Admin),
    ("audit_log_", Admin),
];

/// What the functions that are called here do, wherever in the statement they stand.
pub(crate) fn called(dialect: Dialect, tokens: &[Token<'_>]) -> ClassSet {
    let mut classes = ClassSet::NONE;
    for (place, pair) in tokens.windows(2).enumerate() {
        let [name, bracket] = pair else { continue };
        if !bracket.is_sign("(") {
            continue;
        }
        let Some(name) = name.name() else { continue };
        let table = if dialect.is_mysql() { MYSQL } else { POSTGRES };
        let found = table.iter().find(|(prefix, _)| name.starts_with(prefix));
        classes = found.map_or(classes, |(_, class)| classes.with(*class));
        if !dialect.is_mysql() && name == "set_config" {
            let arguments = tokens.get(place + 2..).unwrap_or_default();
            classes = classes.or(settings::set_config(arguments));
        }
    }
    classes
}
