//! Real servers and clients for the tests: processes on loopback, in a temporary directory, gone at the end.
//!
//! Nothing here sleeps for a fixed time: a wait is for an event, with a deadline, and says what it waited for
//! and what the process had said until then. A part that is not installed fails the test and says how to get it.

mod app;
mod browser;
mod certificates;
mod client;
mod crowd;
mod desktop;
mod gate;
mod hostile;
mod keys;
mod kube;
mod lab;
mod limits;
mod mariadb;
mod missing;
mod mysql;
mod newer_postgres;
mod pebble;
mod postgres;
mod process;
mod provider;
mod python;
mod s3;
mod screen;
mod slow_line;
mod sshd;

pub use app::{AppTls, GrpcApp, Nginx, PythonApp, app_identity};
pub use browser::Browser;
pub use certificates::{CertAuthority, Certificate};
pub use client::{Client, Ran};
pub use crowd::{SshCrowd, SshWish};
pub use desktop::{NlaDesktop, OddDesktop, VncDesktop, Xrdp};
pub use gate::Gate;
pub use hostile::Hostile;
pub use keys::KeyPair;
pub use kube::{Kube, helm_program, kube_program};
pub use lab::Lab;
pub use mariadb::{MariaDb, MariaDbOptions};
pub use missing::{node_package, own_binary, own_library, program};
pub use mysql::{MySql, mysql_program};
pub use pebble::Pebble;
pub use postgres::{Postgres, PostgresOptions};
pub use process::Process;
pub use provider::Provider;
pub use python::python_program;
pub use s3::S3;
pub use screen::{Picture, Screen};
pub use slow_line::SlowLine;
pub use sshd::{Sshd, SshdOptions};
