//! What no client of Kubernetes sends, and what a cluster answers that can't help.

use std::time::Duration;

use anyhow::Result;

use super::direct::Direct;
use super::scene::Scene;

/// Asks the API server who one is.
const WHO: [&str; 6] = [
    "-X",
    "POST",
    "-H",
    "Content-Type: application/json",
    "-d",
    "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}",
];

#[test]
fn nobody_says_who_he_is_by_headers() -> Result<()> {
    let scene = Scene::new("")?;
    let direct = Direct::new(&scene)?;
    let who = "/prod/apis/authentication.k8s.io/v1/selfsubjectreviews";
    // Each of these would have the API server take the gate's own name, or another.
    for smuggled in [
        "Authorization: Bearer forged",
        "Authorization: Basic Z2F0ZTpnYXRl",
        "Connection: close, Impersonate-User, Impersonate-Group",
        "Connection: Upgrade, Impersonate-User",
        "Proxy-Connection: Impersonate-User",
        "X-Remote-User: system:admin",
        "X-Remote-Group: system:masters",
        "X-Forwarded-For: 10.0.0.1",
        "Cookie: session=x",
    ] {
        let answer = direct.curl(who, &[&WHO[..], &["-H", smuggled]].concat())?;
        assert!(answer.starts_with("HTTP/1.1 201"), "{smuggled}: {answer}");
        let user: String = answer.split("\"userInfo\"").skip(1).flat_map(str::split_whitespace).collect();
        assert!(user.starts_with(":{\"username\":\"jerry\",\"groups\":[\"developers\""), "{smuggled}: {answer}");
        assert!(!user.contains("masters"), "{smuggled}: {answer}");
    }
    for forged in ["Impersonate-User: root", "Impersonate-Extra-Scopes: x", "Impersonate-Uid: 0", "IMPERSONATE-USER: a"]
    {
        let refused = direct.curl(who, &[&WHO[..], &["-H", forged]].concat())?;
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("\"kind\":\"Status\""), "{forged}: {refused}");
    }
    let twice = ["-H", "Impersonate-User: jerry", "-H", "Impersonate-User: root"];
    let refused = direct.curl(who, &[&WHO[..], &twice].concat())?;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    Ok(())
}

#[test]
fn paths_heads_and_upgrades_that_nobody_means() -> Result<()> {
    let scene = Scene::new("")?;
    let direct = Direct::new(&scene)?;
    for path in [
        "//version",
        "/prod//version",
        "/prod/api/v1/../v1/pods",
        "/prod/../prod/version",
        "/prod/api/%2e%2e/version",
        "/prod/api/v1%2fpods",
        "/prod/api/v1/namespaces/dev%252fx/pods",
        "/prod/a/./b",
        "/prod/a\\b",
    ] {
        let refused = direct.curl(path, &[])?;
        assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("\"BadRequest\""), "{path}: {refused}");
    }
    let long = format!("X-Long: {}", "x".repeat(80 << 10));
    let head = direct.curl("/prod/version", &["-H", &long])?;
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    let head = direct.curl("/prod/version", &["--http2", "-H", &long])?;
    // The connection ends, or the request does; the cluster sees neither.
    assert!(!head.contains("HTTP/2 200") && !head.contains("gitVersion"), "{head}");
    let alive = direct.curl("/prod/version", &["--http2"])?;
    assert!(alive.starts_with("HTTP/2 200") && alive.contains("gitVersion"), "{alive}");
    // What nobody upgrades is an answer as ever.
    let answer = direct.curl("/prod/version", &["-H", "Connection: Upgrade", "-H", "Upgrade: h2c"])?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let pods = "kind: pods, api_group: '', namespace: dev, name: 'web-*', verbs: [get, list, watch]";
    scene.put_resources("", &[pods], &[])?;
    for path in [
        "/prod/api/v1/namespaces/dev/pods/web-0/exec?command=id&stdout=true",
        "/prod/api/v1/namespaces/dev/pods/web-0/attach?stdout=true",
        "/prod/api/v1/namespaces/dev/pods/web-0/portforward?ports=80",
        "/prod/api/v1/namespaces/dev/pods?watch=true",
    ] {
        for upgrade in ["Upgrade: websocket", "Upgrade: SPDY/3.1"] {
            let refused = direct.curl(path, &["-H", "Connection: Upgrade", "-H", upgrade])?;
            assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("your roles"), "{path}: {refused}");
        }
    }
    Ok(())
}

#[test]
fn a_cluster_that_is_too_busy_says_so_itself() -> Result<()> {
    let scene = Scene::new("")?;
    // The API server's own queues, with no room for jerry: it answers 429 and says when to come again.
    scene.cluster.apply(
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: PriorityLevelConfiguration\nmetadata: {name: full}\nspec:\n  \
         type: Limited\n  limited: {nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, \
         limitResponse: {type: Reject}}\n---\napiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: \
         {name: full}\nspec:\n  matchingPrecedence: 3\n  priorityLevelConfiguration: {name: full}\n  rules:\n  - \
         subjects: [{kind: User, user: {name: jerry}}]\n    resourceRules: [{verbs: ['*'], apiGroups: [''], resources: \
         [pods], namespaces: [dev]}]\n",
    )?;
    let direct = Direct::new(&scene)?;
    let pods = "/prod/api/v1/namespaces/dev/pods";
    // Where there is no room, one request is let in all the same: here one whose body does not end.
    let endless = ["-X", "POST", "-H", "Content-Type: application/json", "-H", "Expect:", "-T", "-"];
    let (mut answer, mut held) = (String::new(), None);
    crate::world::until("a cluster that is full", Duration::from_secs(40), || {
        // One that began before the rules were in force takes no room.
        drop(held.take());
        held.insert(direct.start(pods, &endless)?).write(b"{")?;
        for _ in 0..3 {
            answer = direct.curl(pods, &[])?;
            if answer.starts_with("HTTP/1.1 429") {
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("retry-after: 1\r\n") && lower.contains("x-kubernetes-pf-flowschema-uid"), "{answer}");
    assert!(answer.contains("Too many requests"), "{answer}");
    scene.world.await_record(0, "kube.request", |record| record["status"] == 429)?;
    // Everything else goes on.
    assert!(direct.curl("/prod/api/v1/namespaces/dev/services", &[])?.starts_with("HTTP/1.1 200"));
    // kubectl does as it is told, and comes again.
    let words = ["--request-timeout=3s", "get", "pods", "-n", "dev"];
    let started = std::time::Instant::now();
    let ran = scene.kubectl(&words)?;
    assert!(!ran.status.success() && started.elapsed() >= Duration::from_secs(1), "{ran}");
    Ok(())
}

#[test]
fn what_need_not_be_read_is_passed_on_byte_for_byte() -> Result<()> {
    let scene = Scene::new("")?;
    let direct = Direct::new(&scene)?;
    let path = "/api/v1/namespaces/dev/pods/web-0";
    for accept in ["application/vnd.kubernetes.protobuf", "application/json", "application/yaml"] {
        let through = direct.bytes(&format!("/prod{path}"), &["-H", &format!("Accept: {accept}")])?;
        let own = scene.cluster.raw(path, accept)?;
        assert!(!own.is_empty() && through == own, "{accept}: {} and {} bytes", through.len(), own.len());
        assert_eq!(through.starts_with(b"k8s\0"), accept.ends_with("protobuf"));
    }
    // And there: what kubectl makes of it is protobuf too.
    let mut made = scene.cluster.raw(path, "application/vnd.kubernetes.protobuf")?;
    let file = scene.world.lab.path().join("pod.pb");
    for at in 0..made.len().saturating_sub(5) {
        if &made[at..at + 5] == b"web-0" {
            made[at + 4] = b'1';
        }
    }
    std::fs::write(&file, made)?;
    let data = format!("@{}", file.display());
    let words = ["-X", "POST", "-H", "Content-Type: application/vnd.kubernetes.protobuf", "--data-binary", &data];
    let answer = direct.curl("/prod/api/v1/namespaces/dev/pods", &words)?;
    assert!(answer.contains("resourceVersion should not be set"), "the API server has read it: {answer}");
    Ok(())
}

#[test]
fn a_list_of_which_a_part_is_shown_says_so() -> Result<()> {
    let scene = Scene::new("")?;
    scene.put_resources("", &["kind: pods, api_group: '', namespace: dev, name: 'web-*', verbs: [list]"], &[])?;
    let ran = scene.kubectl(&["get", "pods", "-n", "dev"])?.success()?;
    assert!(ran.stderr.contains("Warning: your roles show you a part of this list"), "{ran}");
    scene.put_resources("", &["kind: pods, api_group: '', namespace: dev, name: '*-0', verbs: [list]"], &[])?;
    let ran = scene.kubectl(&["get", "pods", "-n", "dev"])?.success()?;
    assert!(!ran.stderr.contains("Warning"), "{ran}");
    Ok(())
}
