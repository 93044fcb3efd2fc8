//! Statements, the taps that sign them, and how anybody verifies one.
