//! The gate's end-to-end tests: real clients, the real binary, real servers.
#![cfg(test)]

mod db;
mod edge;
mod mfa;
mod ssh;
mod web;
mod world;
