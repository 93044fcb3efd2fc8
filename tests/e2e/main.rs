//! The gate's end-to-end tests: real clients, the real binary, real servers.
#![cfg(test)]

mod app;
mod bench;
mod db;
mod desktop;
mod edge;
mod kube;
mod mfa;
mod ssh;
mod stock;
mod web;
mod world;
