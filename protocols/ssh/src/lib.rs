//! SSH: a packet relay that terminates both legs.
