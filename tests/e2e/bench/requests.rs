//! Loads of requests: to an application, and to a Kubernetes API server.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{AppTls, PythonApp};

use super::scene::{bench, checks, good, measured};
use crate::kube::scene::Scene;
use crate::world::{World, word_after};

#[test]
fn an_application_through_the_gate_and_without_it() -> Result<()> {
    let mut world = World::new()?;
    let app = PythonApp::start(&world.lab, &AppTls::default())?;
    let role = world.role("access-prod", "prod", "require_session_mfa: true");
    world.put(&role.replace("  allow:\n", "  allow:\n    app_labels:\n      env: prod\n"))?;
    let uri = format!("http://127.0.0.1:{}", app.http);
    let yaml = "kind: app\nversion: v3\nmetadata:\n  name: dash\n  labels: { env: prod }\nspec:\n  uri: ";
    world.put(&format!("{yaml}{uri}\n"))?;
    let metrics = measured(&mut world)?;
    let load = ["--protocol", "http", "--rate", "20", "--duration", "1s", "--run", "/load"];
    let report = good(&world.jerry, &[&load[..], &["--targets", "dash", "--metrics", &metrics]].concat(), 20)?;
    // Requests with one certificate are one session, whatever connections they come over.
    assert_eq!(checks(&report, "grant"), 1, "{report}");
    assert_eq!(app.process().stdout().matches("/load").count(), 20);
    let each = ["--protocol", "http", "--rate", "3", "--duration", "1s", "--targets", "dash", "--tap-each"];
    let report = good(&world.jerry, &[&each[..], &["--metrics", &metrics]].concat(), 3)?;
    assert_eq!(checks(&report, "grant"), 3, "{report}");
    let target = format!("127.0.0.1:{}", app.http);
    good(&world.jerry, &[&load[..], &["--direct", "--targets", &target]].concat(), 20)?;
    Ok(())
}

#[test]
fn a_cluster_through_the_gate() -> Result<()> {
    let mut scene = Scene::new("require_session_mfa: true")?;
    let metrics = measured(&mut scene.world)?;
    let load = ["--protocol", "kube", "--targets", "prod", "--rate", "10", "--duration", "1s"];
    let report = good(&scene.world.jerry, &[&load[..], &["--metrics", &metrics]].concat(), 10)?;
    assert_eq!(checks(&report, "grant"), 1, "{report}");
    let ran = bench(&scene.world.jerry, &[&load[..], &["--run", "/api/v1/namespaces/kube-system/secrets"]].concat())?;
    let ran = ran.failure(1)?;
    assert!(ran.stdout.contains("refused: 10") && ran.stdout.contains("403"), "{ran}");
    // The same past the gate, with the client certificate that the gate has there.
    let folder = scene.world.lab.path().join("prod");
    let config = std::fs::read_to_string(folder.join("gate.kubeconfig"))?;
    let word = |name: &str| word_after(&config, name).with_context(|| format!("no {name}"));
    let file = |name: &str, at: &str| -> Result<String> {
        let path = folder.join(at);
        std::fs::write(&path, STANDARD.decode(word(name)?)?)?;
        Ok(path.display().to_string())
    };
    let ca = file("certificate-authority-data:", "direct-ca.pem")?;
    let certificate = file("client-certificate-data:", "direct.pem")?;
    let key = file("client-key-data:", "direct.key")?;
    let target = word("server:")?.replace("https://", "");
    let direct = ["--direct", "--protocol", "kube", "--targets", &target, "--rate", "10", "--duration", "1s"];
    let proof = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    good(&scene.world.jerry, &[&direct[..], &proof].concat(), 10)?;
    // Without a tap that is due the login's certificate opens it, and the request says who to be.
    scene.put_options("")?;
    good(&scene.world.jerry, &load, 10)?;
    Ok(())
}
