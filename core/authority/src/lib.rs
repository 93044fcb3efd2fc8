//! Users, login, certificate authorities, ceremonies and issuing.
