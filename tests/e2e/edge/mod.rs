//! The edge: what reaches the gate before anybody is known.
