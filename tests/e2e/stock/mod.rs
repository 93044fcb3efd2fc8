//! Stock clients with nothing but a login certificate: asked within their own protocol, and freed by a tap in a real
//! browser.

mod approver;
mod batch;
mod kube;
mod mysql;
mod not_me;
mod postgres;
mod sk_agent;
mod sk_provider;
mod ssh;
mod ssh_crowd;
mod ssh_early;
mod ssh_hostile;
mod ssh_key;
mod ssh_tools;
