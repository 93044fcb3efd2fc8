//! tapgate.yaml: read, checked whole, every error with its line.
