//! The room, with real certificates and real taps: who gets in, who is asked, who is cut, and why.

#![cfg(test)]

mod room {
    mod brought;
    mod dialling;
    mod evidence;
    mod held;
    mod sso;
    mod world;
}
