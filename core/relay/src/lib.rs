//! What the edge hands to a protocol, and the trait a protocol implements.
