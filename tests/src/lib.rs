//! The gate's end-to-end tests; see `tests/e2e/main.rs`.
