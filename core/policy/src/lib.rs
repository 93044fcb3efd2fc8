//! Roles, labels, resources and templates, and the decision they make.
//!
//! [`parse`] reads YAML into [`Document`]s, [`Policy::build`] compiles them, and [`Policy::decide`]
//! answers whether a user may open a target under a login, and on which [`Terms`]. Nothing here
//! does I/O, reads a clock or knows a connection.

#[doc(hidden)]
pub mod fuzz;

mod address;
mod admin;
mod app;
mod at;
mod attestation;
mod compile;
mod connector;
mod db;
mod db_auth;
mod decide;
mod desktop;
mod duration;
mod explain;
mod index;
mod kube;
mod kube_rules;
mod kube_verbs;
mod label;
mod limits;
mod locate;
mod lock;
mod locks;
mod logins;
mod metadata;
mod node;
mod node_ssh;
mod options;
mod parse;
mod pattern;
mod policy;
mod preference;
mod problem;
mod resource;
mod role;
mod section;
mod split;
mod ssh_key;
mod target;
mod template;
mod terms;
mod timestamp;
mod user;
mod yaml;

pub use admin::{Records, Verb};
pub use app::{AppResource, Rewrite};
pub use attestation::{Attestation, AttestationCa};
pub use connector::{ClaimRule, OidcResource};
pub use db::{AuditText, DbTerms, StatementVerdict};
pub use db_auth::DbAuth;
pub use decide::{Decision, DenyReason, Query};
pub use desktop::{DesktopMode, DesktopResource, DesktopSecurity, DesktopTls, DesktopTrust};
pub use duration::duration;
pub use kube::{KubeAccess, KubeObjects, KubeScope};
pub use kube_verbs::{KubeFreshTap, KubeVerb, KubeVerbs};
pub use limits::WINDOW_MAX;
pub use lock::{Lock, LockTarget};
pub use node::NodeResource;
pub use node_ssh::NodeSsh;
pub use parse::parse;
pub use policy::{Policy, TargetEntry};
pub use preference::{AuthPreference, SecondFactor};
pub use problem::Problem;
pub use resource::{Document, Resource, ResourceKind};
pub use role::Role;
pub use target::{DbProtocol, DbResource, KubeResource};
pub use terms::{DesktopTerms, InBand, LoginTerms, RecordSession, SessionMfa, Terms};
pub use timestamp::timestamp;
pub use user::User;
