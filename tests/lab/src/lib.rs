//! Real servers and clients for the tests, on loopback and random ports.
