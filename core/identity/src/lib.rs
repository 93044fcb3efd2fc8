//! The X.509 and SSH certificate profiles: issued and verified in one place.
