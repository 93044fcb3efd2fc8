//! The programs of Kubernetes that the tests run: built once from their published Go modules, below the user's cache.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, cargo};

/// What is built from one set of modules.
struct Recipe {
    /// The variable that says where else the programs are, and the folder below the cache, with the number of the
    /// recipe; the same stand in the lab.
    place: (&'static str, &'static str),
    /// The modules. A change of these wants another number.
    source: &'static str,
    /// What the programs are told about themselves.
    stamp: &'static str,
    /// How the programs are called, and by which packages they are brought.
    programs: &'static [(&'static str, &'static str)],
}

/// Kubernetes itself says what its release would: clients compare it with their own. It takes some six minutes of two
/// cores, once; helm takes one or two more, as it shares what it stands on.
const RECIPES: [Recipe; 2] = [
    Recipe {
        place: ("TAPGATE_KUBE", "tapgate/kube-1"),
        source: "tests/lab/kube",
        stamp: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
                -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kubelet", "./kubelet"),
        ],
    },
    Recipe {
        place: ("TAPGATE_HELM", "tapgate/helm-1"),
        source: "tests/lab/helm",
        stamp: "-s -w",
        programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    },
];

/// Builds what is not there.
pub(crate) fn run(go: &Path) -> Result<()> {
    RECIPES.iter().try_for_each(|recipe| build(go, recipe))
}

fn build(go: &Path, recipe: &Recipe) -> Result<()> {
    let (variable, folder) = recipe.place;
    let folder = cache::folder(variable, folder)
        .with_context(|| format!("there is neither XDG_CACHE_HOME nor HOME (set one, or {variable})"))?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let source = cargo::root()?.join(recipe.source);
    ensure!(source.is_dir(), "{} is not there", source.display());
    for (name, package) in recipe.programs {
        let path = folder.join(name);
        if !path.is_file() {
            println!("missing: {name}, for the Kubernetes tests (built from {package}; minutes)");
            // Under another name until it is whole, so that an interrupted build is none.
            let fresh = folder.join(format!("{name}.new"));
            let mut command = Command::new(go);
            command.current_dir(&source).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
            command.args(["build", "-p", "2", "-trimpath", "-ldflags", recipe.stamp, "-o"]).arg(&fresh).arg(package);
            cargo::run(&format!("go build {package}"), &mut command)?;
            std::fs::rename(&fresh, &path).with_context(|| format!("cannot keep {}", path.display()))?;
        }
        println!("found: {} for the Kubernetes tests", path.display());
    }
    Ok(())
}
