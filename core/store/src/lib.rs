//! A key-value store with compare-and-swap, expiry and watch; SQLite behind it.
