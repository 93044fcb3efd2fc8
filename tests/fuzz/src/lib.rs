//! Every fuzz body by name, with what its runs begin with.
//!
//! A body is a plain function of its crate that panics where something is wrong. `cargo xtask test unit` runs
//! all of them for ten seconds in total; cargo-fuzz runs the same ones for as long as one likes, through the
//! targets in `fuzz/`.

mod mutate;
mod seeds;

pub use mutate::Mutator;
pub use seeds::seeds;

/// A fuzz body.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// `<folder of the crate>_<function>`: also the name of its target and its corpus in `fuzz/`.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All of them.
pub const BODIES: &[Body] = &[
    Body { name: "desktop_clean_path", run: tapgate_desktop::fuzz::clean_path },
    Body { name: "desktop_client_info", run: tapgate_desktop::fuzz::client_info },
    Body { name: "desktop_mcs", run: tapgate_desktop::fuzz::mcs },
    Body { name: "desktop_rdp_session", run: tapgate_desktop::fuzz::rdp_session },
    Body { name: "desktop_rfb", run: tapgate_desktop::fuzz::rfb },
    Body { name: "desktop_x224", run: tapgate_desktop::fuzz::x224 },
    Body { name: "identity_payload", run: tapgate_identity::fuzz::payload },
    Body { name: "identity_ssh", run: tapgate_identity::fuzz::ssh },
    Body { name: "identity_x509", run: tapgate_identity::fuzz::x509 },
    Body { name: "kube_headers", run: tapgate_kube::fuzz::headers },
    Body { name: "kube_list", run: tapgate_kube::fuzz::list },
    Body { name: "kube_request", run: tapgate_kube::fuzz::request },
    Body { name: "kube_stream", run: tapgate_kube::fuzz::stream },
    Body { name: "mysql_answer", run: tapgate_mysql::fuzz::answer },
    Body { name: "mysql_command", run: tapgate_mysql::fuzz::command },
    Body { name: "mysql_login", run: tapgate_mysql::fuzz::login },
    Body { name: "policy_parse", run: tapgate_policy::fuzz::parse },
    Body { name: "postgres_conversation", run: tapgate_postgres::fuzz::conversation },
    Body { name: "postgres_login", run: tapgate_postgres::fuzz::login },
    Body { name: "postgres_startup", run: tapgate_postgres::fuzz::startup },
    Body { name: "proof_proof", run: tapgate_proof::fuzz::fuzz_proof },
    Body { name: "proof_ssh", run: tapgate_proof::fuzz::fuzz_ssh },
    Body { name: "proof_statement", run: tapgate_proof::fuzz::fuzz_statement },
    Body { name: "sql_classify", run: tapgate_sql::fuzz::classify },
    Body { name: "sql_redacted", run: tapgate_sql::fuzz::redacted },
    Body { name: "ssh_conversation", run: tapgate_ssh::fuzz::conversation },
    Body { name: "ssh_packet", run: tapgate_ssh::fuzz::packet },
    Body { name: "ssh_sftp", run: tapgate_ssh::fuzz::sftp },
    Body { name: "ssh_sftp_answer", run: tapgate_ssh::fuzz::sftp_answer },
    Body { name: "ssh_user_name", run: tapgate_ssh::fuzz::user_name },
];
