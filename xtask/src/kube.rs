//! The programs of Kubernetes that the tests run: built once from their published Go modules, below the user's cache.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, cargo};

/// The folder below the cache, with the number of its recipe; the same stands in the lab. A change of
/// `tests/lab/kube` wants another number.
const FOLDER: &str = "tapgate/kube-1";

/// What is built, by the package that brings it.
const PROGRAMS: [(&str, &str); 3] = [
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kubelet", "./kubelet"),
];

/// What the API server says of itself, as its release would: clients compare it with their own.
const STAMP: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
                     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

/// Builds what is not there. It takes some six minutes of two cores, once.
pub(crate) fn run(go: &Path) -> Result<()> {
    let folder = cache::folder("TAPGATE_KUBE", FOLDER)
        .context("there is neither XDG_CACHE_HOME nor HOME (set one, or TAPGATE_KUBE)")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let source = cargo::root()?.join("tests/lab/kube");
    ensure!(source.is_dir(), "{} is not there", source.display());
    for (name, package) in PROGRAMS {
        let path = folder.join(name);
        if !path.is_file() {
            println!("missing: {name} of Kubernetes 1.36, for the Kubernetes tests (built from {package}; minutes)");
            // Under another name until it is whole, so that an interrupted build is none.
            let fresh = folder.join(format!("{name}.new"));
            let mut command = Command::new(go);
            command.current_dir(&source).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
            command.args(["build", "-p", "2", "-trimpath", "-ldflags", STAMP, "-o"]).arg(&fresh).arg(package);
            cargo::run(&format!("go build {package}"), &mut command)?;
            std::fs::rename(&fresh, &path).with_context(|| format!("cannot keep {}", path.display()))?;
        }
        println!("found: {} for the Kubernetes tests", path.display());
    }
    Ok(())
}
