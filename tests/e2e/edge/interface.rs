//! The interface: whom it answers, with what, and what it says of itself.

use anyhow::Result;
use tapgate_api::path;

use super::bare::Bare;

/// Every path of the interface, with its method.
const PATHS: &[(&str, &str)] = &[
    (path::SSH_KEYS, "get"),
    (path::SSH_KEY_CERTIFY, "post"),
    (path::SESSIONS_ALL, "get"),
    (path::SESSIONS_KILL, "post"),
    (path::AUTHORITIES, "get"),
    (path::REACH, "post"),
    (path::APPS, "get"),
    (path::FIND, "get"),
    (path::LOGIN_BEGIN, "post"),
    (path::LOGIN_FINISH, "post"),
    (path::ENROL_BEGIN, "post"),
    (path::ENROL_FINISH, "post"),
    (path::TARGETS, "get"),
    (path::SESSION_BEGIN, "post"),
    (path::SESSION_FINISH, "post"),
    (path::ADMIN_BEGIN, "post"),
    (path::ADMIN_FINISH, "post"),
    (path::RESOURCES, "get"),
    (path::STATUS, "get"),
    (path::EXPLAIN, "get"),
    (path::OPENAPI, "get"),
    (path::LOGIN_OTP, "post"),
    (path::LOGIN_PASSWORDLESS, "post"),
    (path::LOGIN_BROWSER, "post"),
    (path::ENROL_BROWSER, "post"),
    (path::SESSION_BROWSER, "post"),
    (path::ADMIN_BROWSER, "post"),
    (path::DEVICES, "get"),
    (path::DEVICE_REGISTER, "post"),
    (path::DEVICE_FINISH, "post"),
    (path::DEVICE_CHANGE, "post"),
    (path::DEVICE_CHANGE_FINISH, "post"),
    (path::DEVICE_OTP, "post"),
    (path::LOGIN_SSO, "post"),
    (path::LOGIN_SSO_FINISH, "post"),
    (path::SESSION_SSO, "post"),
    (path::SESSION_SSO_FINISH, "post"),
    (path::DEVICE_BROWSER, "post"),
    (path::SESSIONS_LIVE, "get"),
    (path::SESSIONS_END, "post"),
    ("/v1/audit/log", "get"),
    ("/v1/audit/checkpoints", "get"),
    ("/v1/audit/keys", "get"),
    ("/v1/recordings", "get"),
    ("/v1/recordings/{session}", "get"),
];

#[test]
fn find_tells_what_a_client_needs() -> Result<()> {
    let bare = Bare::new()?;
    let find = bare.curl(path::FIND, &[])?.json()?;
    assert_eq!(find["auth"]["type"], "local");
    assert_eq!(find["auth"]["second_factors"], serde_json::json!(["webauthn"]), "{find}");
    assert_eq!(find["auth"]["rp_id"], "localhost");
    assert_eq!(find["auth"]["origin"], format!("https://localhost:{}", bare.port));
    assert!(find["auth"]["allow_cli_auth_via_browser"].is_boolean(), "{find}");
    assert_eq!(find["proxy"]["ssh"]["public_addr"], format!("localhost:{}", bare.port));
    assert_eq!(find["server_version"], env!("CARGO_PKG_VERSION"));
    assert!(find["min_client_version"].is_string() && find["fips"] == false, "{find}");
    assert_eq!(find["cluster_name"], "localhost");
    Ok(())
}

#[test]
fn the_description_lists_every_path_with_its_method() -> Result<()> {
    let bare = Bare::new()?;
    let described = bare.curl(path::OPENAPI, &[])?.json()?;
    let paths = described["paths"].as_object().cloned().unwrap_or_default();
    for &(path, method) in PATHS {
        assert!(paths.get(path).is_some_and(|of| of[method].is_object()), "{method} {path}: {:?}", paths.get(path));
    }
    assert_eq!(paths.len(), PATHS.len(), "{:?}", paths.keys());
    Ok(())
}

#[test]
fn every_answer_is_kept_by_nobody_and_taken_as_it_is() -> Result<()> {
    let bare = Bare::new()?;
    let misdirected = ["-H", "Host: elsewhere"];
    let asked: [(&str, &[&str], u16); 5] = [
        (path::FIND, &[], 200),
        (path::STATUS, &[], 401),
        ("/nothing", &[], 404),
        (path::LOGIN_BEGIN, &[], 405),
        (path::FIND, &misdirected, 421),
    ];
    for (path, options, status) in asked {
        let answer = bare.curl(path, options)?;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.head.contains("cache-control: no-store"), "{path}: {answer:?}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}: {answer:?}");
        // On localhost a browser would hold other people's servers to it.
        let elsewhere = options.contains(&"Host: elsewhere");
        let held = answer.head.contains("strict-transport-security: max-age=");
        assert_eq!(held, elsewhere, "{path}: {answer:?}");
        assert!(!answer.head.contains("\r\nserver:"), "{path}: {answer:?}");
    }
    Ok(())
}

#[test]
fn what_is_not_there_or_not_so_is_said_in_http() -> Result<()> {
    let bare = Bare::new()?;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/webapi/find/", "/..%2f..%2fetc/passwd"] {
        assert_eq!(bare.curl(path, &["--path-as-is"])?.status, 404, "{path}");
    }
    for &(path, method) in PATHS {
        let other = if method == "get" { "DELETE" } else { "GET" };
        let answer = bare.curl(path, &["-X", other])?;
        assert_eq!(answer.status, 405, "{other} {path}: {answer:?}");
        assert!(answer.head.contains(&format!("allow: {method}")), "{other} {path}: {answer:?}");
    }
    Ok(())
}

#[test]
fn nobody_gets_nothing_and_reads_what_to_do() -> Result<()> {
    let bare = Bare::new()?;
    for path in [path::TARGETS, path::STATUS, path::RESOURCES, path::EXPLAIN] {
        let answer = bare.curl(path, &[])?;
        let error = answer.json()?;
        assert_eq!((answer.status, &error["code"]), (401, &"unauthenticated".into()), "{path}: {answer:?}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains("tap login")), "{answer:?}");
    }
    for path in [path::SESSION_BEGIN, path::SESSION_FINISH, path::ADMIN_BEGIN, path::ADMIN_FINISH] {
        let answer = bare.curl(path, &["-H", "Content-Type: application/json", "-d", "{}"])?;
        assert_eq!((answer.status, &answer.json()?["code"]), (401, &"unauthenticated".into()), "{path}: {answer:?}");
    }
    Ok(())
}

#[test]
fn a_host_other_than_the_one_tls_was_made_for_is_misdirected() -> Result<()> {
    let bare = Bare::new()?;
    for host in ["elsewhere", "localhost.elsewhere", "elsewhere:3080", "", "localhost@elsewhere", "localhost:port"] {
        let answer = bare.curl(
            path::FIND,
            &["-H", &format!("Host: {host}").replace(": ", if host.is_empty() { ";" } else { ": " })],
        )?;
        assert!([400, 421].contains(&answer.status), "{host}: {answer:?}");
        assert!(!answer.body.contains("cluster_name"), "{host}: {answer:?}");
    }
    // With a port or without: the same name.
    for host in ["localhost".to_owned(), format!("localhost:{}", bare.port)] {
        assert_eq!(bare.curl(path::FIND, &["-H", &format!("Host: {host}")])?.status, 200, "{host}");
    }
    Ok(())
}

#[test]
fn a_body_has_a_limit_and_is_read_strictly() -> Result<()> {
    let bare = Bare::new()?;
    let large = bare.lab.write("large", &format!("{{\"user\":\"{}\"}}", "x".repeat(600 * 1024)))?;
    let large = format!("@{}", large.display());
    for length_told in [true, false] {
        let chunked = if length_told { "X-Length: told" } else { "Transfer-Encoding: chunked" };
        let answer = bare.curl(path::LOGIN_BEGIN, &["-H", chunked, "--data-binary", &large])?;
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    for body in ["", "{", "[]", "null", "{\"user\":7}"] {
        let answer = bare.curl(path::LOGIN_BEGIN, &["--data-binary", body])?;
        assert_eq!((answer.status, &answer.json()?["code"]), (400, &"invalid".into()), "{body}: {answer:?}");
    }
    bare.is_well()
}
