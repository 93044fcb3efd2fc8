//! Taps: when one is asked for, what it is worth, and what is worth nothing.

mod devices;
