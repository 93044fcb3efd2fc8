//! A grant can't be cloned.

fn twice(grant: &tapgate_session::Grant) -> tapgate_session::Grant {
    grant.clone()
}

fn main() {}
