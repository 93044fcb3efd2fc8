//! Other clients than kubectl get: kubectl debug, kube-rs, helm.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, AttachParams, ListParams, WatchEvent, WatchParams};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use tapgate_lab::{Process, Ran, helm_program};
use tokio::io::AsyncReadExt as _;

use super::proxy::Proxy;
use super::scene::Scene;
use crate::world::until;

const SOON: Duration = Duration::from_secs(30);

/// helm waits for what it installs.
const WAIT: Duration = Duration::from_mins(2);

#[test]
fn a_container_that_is_added_to_a_pod() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true")?;
    let words = ["debug", "-i", "-n", "dev", "web-0", "--image=none", "-c", "helper", "--profile=general", "--", "cat"];
    let mut debug = scene.start(&words)?;
    // The kubelet of the lab starts no containers; what it would say of one is said for it.
    until("the container in the pod", SOON, || {
        let words = ["get", "pod", "web-0", "-n", "dev", "-o", "jsonpath={.spec.ephemeralContainers[*].name}"];
        Ok(scene.cluster.kubectl(&words)?.stdout.contains("helper"))
    })?;
    let status = "{\"status\":{\"ephemeralContainerStatuses\":[{\"name\":\"helper\",\"ready\":false,\"restartCount\":0,\
                  \"image\":\"none\",\"imageID\":\"none\",\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"\
                  }}}]}}";
    let patch = ["patch", "pod", "web-0", "-n", "dev", "--subresource=status", "--type=merge", "-p", status];
    scene.cluster.kubectl(&patch)?.success()?;
    debug.write(b"from within\n")?;
    debug.wait_for("from within")?;
    debug.finish(SOON)?.success()?;
    let told =
        |resource: &str| scene.world.await_record(0, "kube.request", |record| record["resource"] == resource).map(drop);
    told("pods/ephemeralcontainers")?;
    told("pods/attach")?;
    assert_eq!(scene.taps()?, 1);
    Ok(())
}

#[test]
fn kube_rs_through_the_local_proxy() -> Result<()> {
    tapgate_client::tls::install_provider();
    let scene = Scene::new("require_session_mfa: true")?;
    let proxy = Proxy::start(&scene, &["prod"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let file = Kubeconfig::read_from(&proxy.kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let pods: Api<Pod> = Api::namespaced(Client::try_from(config)?, "dev");
        let listed = pods.list(&ListParams::default()).await?;
        let names: Vec<&str> = listed.items.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
        assert_eq!(names, ["db-0", "web-0"]);

        let version = listed.metadata.resource_version.context("no version")?;
        let mut events = Box::pin(pods.watch(&WatchParams::default().timeout(30), &version).await?);
        scene.cluster.pod("dev", "late-0")?;
        let event = futures::StreamExt::next(&mut events).await.context("no event")??;
        assert!(matches!(event, WatchEvent::Added(pod) if pod.metadata.name.as_deref() == Some("late-0")));

        let attach = AttachParams::default().stderr(false);
        let mut process = pods.exec("web-0", ["echo", "inside"], &attach).await?;
        let mut said = String::new();
        process.stdout().context("no output")?.read_to_string(&mut said).await?;
        assert_eq!(said, "inside\n");
        let missing = pods.get("nobody").await.unwrap_err().to_string();
        assert!(missing.contains("not found"), "{missing}");
        anyhow::Ok(())
    })?;
    assert_eq!(scene.taps()?, 1);
    Ok(())
}

/// A chart of one map and one deployment's worth of nothing: what helm waits for is there at once.
fn chart(scene: &Scene) -> Result<String> {
    let file = |name: &str, text: &str| scene.world.lab.write(&format!("chart/{name}"), text);
    file("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n")?;
    file("values.yaml", "greeting: hello\n")?;
    file(
        "templates/shop.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {greeting: {{ .Values.greeting }}}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\nspec: {ports: [{port: 80}], selector: \
         {app: shop}}\n",
    )?;
    Ok(scene.world.lab.path().join("chart").display().to_string())
}

fn helm(scene: &Scene, kubeconfig: &str, words: &[&str]) -> Result<Ran> {
    let own = ["--kubeconfig", kubeconfig, "-n", "dev"];
    let process: Process = scene.world.jerry.start(&helm_program()?, own.iter().chain(words))?;
    process.finish(WAIT)?.success()
}

#[test]
fn helm_installs_and_waits() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true")?;
    let chart = chart(&scene)?;
    let plugin = scene.kubeconfig.display().to_string();
    let release = |kubeconfig: &str, name: &str| -> Result<()> {
        let upgrade = ["upgrade", "--install", "--wait", "--timeout", "60s", name, &chart];
        let first = helm(&scene, kubeconfig, &upgrade)?;
        assert!(first.stdout.contains("STATUS: deployed"), "{first}");
        let second = helm(&scene, kubeconfig, &[&upgrade[..], &["--set", "greeting=again"]].concat())?;
        assert!(second.stdout.contains("REVISION: 2"), "{second}");
        let words = ["get", "configmap", name, "-n", "dev", "-o", "jsonpath={.data.greeting}"];
        assert_eq!(scene.cluster.kubectl(&words)?.success()?.stdout, "again");
        helm(&scene, kubeconfig, &["uninstall", "--wait", name])?;
        Ok(())
    };
    // By the credential plugin, and by the local proxy: one tap each, as their keys are different ones.
    release(&plugin, "by-plugin")?;
    assert_eq!(scene.taps()?, 1);
    let proxy = Proxy::start(&scene, &["prod"]);
    release(&proxy.kubeconfig.display().to_string(), "by-proxy")?;
    assert_eq!(scene.taps()?, 2);
    Ok(())
}
