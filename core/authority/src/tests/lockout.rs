//! Lockout: who hammers is shut out, and who is hammered at is not.

use std::net::IpAddr;
use std::time::Duration;

use tapgate_api::LoginBegin;

use super::lab::{Lab, PASSWORD, peer, public_key};
use crate::limits::{LOCKOUT_ADDRESS, LOCKOUT_USER, LOCKOUT_USER_ADDRESS};
use crate::{Authority, Fault};

const SPAN: Duration = LOCKOUT_USER_ADDRESS.span;

fn thief(number: usize) -> IpAddr {
    let number = u32::try_from(number).unwrap();
    std::net::Ipv4Addr::from_bits(0xC633_6400 + number).into()
}

/// One more login that is never finished, past the limits of the moment.
fn hammer(authority: &Authority, user: &str, from: IpAddr) -> Result<(), Fault> {
    authority.count_login(user, from, authority.is_known(user, from).unwrap())
}

fn begin(lab: &Lab, user: &str, password: &str, from: IpAddr) -> Result<(), Fault> {
    let begin = LoginBegin {
        user: user.to_owned(),
        password: password.to_owned(),
        tls_public_key: public_key(1),
        ssh_public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".to_owned(),
    };
    lab.authority.login_begin(&begin, from).map(drop)
}

#[test]
fn a_thief_at_one_address_shuts_out_himself_alone() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let outcomes: Vec<_> = (0..100).map(|_| hammer(&lab.authority, "jerry", thief(1)).is_ok()).collect();
    assert_eq!(outcomes.iter().filter(|let_in| **let_in).count(), LOCKOUT_USER_ADDRESS.most);
    assert_eq!(begin(&lab, "jerry", PASSWORD, thief(1)).unwrap_err().status, 429, "even with the right password");
    lab.login(&mut jerry);
    hammer(&lab.authority, "olga", thief(1)).unwrap();
    // Neither a restart nor another address of the same network helps, and time does.
    assert_eq!(hammer(&lab.reopened(), "jerry", thief(1)).unwrap_err().status, 429);
    lab.clock.advance(SPAN);
    hammer(&lab.authority, "jerry", thief(1)).unwrap();
}

#[test]
fn thieves_everywhere_shut_out_whoever_is_new_and_not_the_owner() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    lab.login(&mut jerry);
    let warnings = || lab.sink.names().iter().filter(|name| **name == "security.warning").count();
    let before = warnings();
    let let_in = (0..300).filter(|n| hammer(&lab.authority, "jerry", thief(*n)).is_ok()).count();
    assert_eq!(let_in, LOCKOUT_USER.most);
    assert_eq!(hammer(&lab.authority, "jerry", thief(400)).unwrap_err().status, 429);
    lab.login(&mut jerry);
    // Others are not concerned, and the log says once what happens.
    hammer(&lab.authority, "olga", thief(401)).unwrap();
    assert_eq!(warnings(), before + 1);
}

#[test]
fn one_address_has_a_limit_whatever_names_it_tries() {
    let (lab, _, _) = Lab::with_jerry();
    let let_in = (0..400).filter(|n| hammer(&lab.authority, &format!("user{n}"), thief(1)).is_ok()).count();
    assert_eq!(let_in, LOCKOUT_ADDRESS.most);
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let same: IpAddr = "2001:db8::ffff:1".parse().unwrap();
    for _ in 0..LOCKOUT_USER_ADDRESS.most {
        hammer(&lab.authority, "jerry", six).unwrap();
    }
    assert_eq!(hammer(&lab.authority, "jerry", same).unwrap_err().status, 429, "a /64 is one customer");
}

#[test]
fn a_login_that_succeeds_forgives_its_own_tries() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    for _ in 0..3 {
        for _ in 0..LOCKOUT_USER_ADDRESS.most - 1 {
            hammer(&lab.authority, "jerry", peer()).unwrap();
        }
        lab.login(&mut jerry);
    }
}

#[test]
fn the_count_tells_nobody_which_password_is_right() {
    let (lab, _, _) = Lab::with_jerry();
    // The limits of the moment let ten through at once.
    let outcome = |user: &str, password: &str, from: IpAddr| {
        for _ in 0..LOCKOUT_USER_ADDRESS.most - 4 {
            hammer(&lab.authority, user, from).unwrap();
        }
        (0..5).map(|_| begin(&lab, user, password, from).map_err(|fault| fault.to_string())).collect::<Vec<_>>()
    };
    let right = outcome("jerry", PASSWORD, thief(1));
    assert_eq!(right, outcome("jerry", "wrong horse battery", thief(2)));
    assert_eq!(right, outcome("nobody", PASSWORD, thief(3)));
    assert!(right[3].is_ok() && right[4].is_err(), "{right:?}");
}
