//! A grant can't be forged: its fields are private.

fn main() {
    let _grant = tapgate_session::Grant { id: tapgate_model::SessionId::from_bytes([0; 16]) };
}
