//! A target's address can't be read from a grant.

fn address(grant: &tapgate_session::Grant) -> String {
    grant.record.address.clone()
}

fn main() {}
