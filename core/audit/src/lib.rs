//! What happened, as a chain of records that cannot be changed unseen.
