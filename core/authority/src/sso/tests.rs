//! What an account's claims become: names, roles and traits.

use serde_json::{Map, Value, json};
use tapgate_model::UnixTime;
use tapgate_policy::{OidcResource, Policy, parse};
use tapgate_proof::Claims;

use super::user::{document, name, roles, traits};

const CONNECTOR: &str = "\
kind: oidc
version: v3
metadata: { name: corp }
spec:
  issuer_url: https://id.example.com
  client_id: tapgate
  client_secret_file: /none
  redirect_url: https://tap.example.com/web/sso/callback
  claims_to_roles:
    - { claim: groups, value: dev, roles: [dev, all] }
    - { claim: groups, value: ops, roles: [ops, all] }
    - { claim: department, value: it, roles: [it] }
---
kind: role
version: v7
metadata: { name: dev }
spec: {}
---
kind: role
version: v7
metadata: { name: ops }
spec: {}
---
kind: role
version: v7
metadata: { name: all }
spec: {}
---
kind: role
version: v7
metadata: { name: it }
spec: {}
";

fn connector(username_claim: Option<&str>) -> OidcResource {
    let policy = Policy::build(&parse("test", CONNECTOR).unwrap()).unwrap();
    let username_claim = username_claim.map(str::to_owned);
    OidcResource { username_claim, ..policy.connectors().next().unwrap().clone() }
}

fn claims(all: Value) -> Claims {
    let Value::Object(all) = all else { return claims(Value::Object(Map::new())) };
    Claims {
        issuer: "https://id.example.com".to_owned(),
        subject: "00u1".to_owned(),
        audience: Vec::new(),
        authorized_party: None,
        expires: UnixTime::from_secs(0),
        issued: UnixTime::from_secs(0),
        nonce: None,
        class: None,
        authenticated: None,
        all,
    }
}

#[test]
fn names_are_what_nobody_else_can_claim() {
    let named = |claim: Option<&str>, all: Value| name(&connector(claim), &claims(all)).map(|name| name.to_string());
    assert_eq!(named(None, json!({ "preferred_username": "ann", "email": "a@b.c" })).unwrap(), "ann");
    assert_eq!(named(None, json!({ "email": "a@b.c", "email_verified": true })).unwrap(), "a@b.c");
    assert_eq!(named(Some("upn"), json!({ "upn": "ann@corp", "preferred_username": "x" })).unwrap(), "ann@corp");
    for (claim, all) in [
        (None, json!({})),
        (None, json!({ "email": "a@b.c" })),
        (None, json!({ "email": "a@b.c", "email_verified": "true" })),
        (Some("email"), json!({ "email": "a@b.c", "email_verified": false })),
        (Some("upn"), json!({ "preferred_username": "ann" })),
        (None, json!({ "preferred_username": "../olga" })),
        (None, json!({ "preferred_username": "a,b" })),
        (None, json!({ "preferred_username": ["ann"] })),
    ] {
        assert_eq!(named(claim, all.clone()).map_err(|fault| fault.status), Err(403), "{claim:?} {all}");
    }
}

#[test]
fn roles_come_from_texts_and_lists_of_texts() {
    let of = |all: Value| roles(&connector(None), &claims(all));
    assert_eq!(of(json!({ "groups": ["ops", "dev", "other"] })), ["dev", "all", "ops"]);
    assert_eq!(of(json!({ "groups": "dev", "department": "it" })), ["dev", "all", "it"]);
    for nothing in
        [json!({}), json!({ "groups": [] }), json!({ "groups": { "dev": true } }), json!({ "groups": "dev,ops" })]
    {
        assert_eq!(of(nothing.clone()), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn traits_are_texts_and_never_everything() {
    let long = "x".repeat(300);
    let all = json!({
        "iss": "https://id.example.com", "groups": ["a", "*", "", 7, "b\nc"], "logins": ["ann", "*", "-root", "a b"],
        "city": "Zürich", "address": { "street": "x" }, "age": 7, "star": "*", "long": long,
    });
    let found = traits(&claims(all));
    let expected = [("city", vec!["Zürich"]), ("groups", vec!["a"]), ("logins", vec!["ann"])];
    let expected = expected.map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()));
    assert_eq!(found, expected.into_iter().collect());
}

#[test]
fn the_user_is_a_resource_that_can_be_read_whatever_the_claims_hold() {
    let all =
        json!({ "groups": ["yes", "0x1", "a: b", "- c", "# d", "{{external.x}}", "'", "\"", "1e3"], "null": "null" });
    let (found, user) = (traits(&claims(all)), "ann@corp".parse().unwrap());
    let yaml = document(&user, &connector(None), &["dev".to_owned()], &found).unwrap();
    let read = parse("test", &yaml).unwrap_or_else(|problems| panic!("{problems:?}\n{yaml}"));
    let tapgate_policy::Resource::User(read) = &read[0].resource else { panic!("{yaml}") };
    assert_eq!((&read.name, &read.traits), (&user, &found), "{yaml}");
}
