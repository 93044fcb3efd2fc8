//! A grant can't be spent twice: dialling takes it.

async fn twice(grant: tapgate_session::Grant) {
    let _first = grant.dial().await;
    let _second = grant.dial().await;
}

fn main() {}
