//! What an account's claims become, and whose they are.
