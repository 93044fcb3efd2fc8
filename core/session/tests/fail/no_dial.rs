//! An upstream can't be made without a grant.

fn main() {
    let _upstream = tapgate_session::Upstream { counts: Default::default() };
}
