//! What is shipped beside the programs: packages, the service's unit, the example, the documents' own examples.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tapgate_lab::{Lab, Process, Ran, own_binary, program};

use crate::world::tapgate;

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no folder")?.to_path_buf())
}

fn run(command: &mut Command) -> Result<Ran> {
    Process::start("a tool", command)?.finish(Duration::from_mins(3))
}

#[test]
fn packages_install_what_runs_and_belong_to_root() -> Result<()> {
    let lab = Lab::new()?;
    let out = lab.dir("out")?;
    let binaries = own_binary("tapgate")?.parent().context("no folder")?.to_path_buf();
    let mut xtask = Command::new(own_binary("xtask")?);
    run(xtask.arg("deb").arg("--binaries").arg(binaries).arg("--out").arg(&out).arg("--fast"))?.success()?;
    let dpkg_deb = program("dpkg-deb", "dpkg")?;
    let at = lab.dir("root")?;
    let mut found = 0;
    for file in std::fs::read_dir(&out)? {
        let deb = file?.path();
        found += 1;
        let info = run(Command::new(&dpkg_deb).arg("--info").arg(&deb))?.success()?.stdout;
        assert!(info.contains("Depends: libc6 (>= 2."), "{info}");
        let listed = run(Command::new(&dpkg_deb).arg("--contents").arg(&deb))?.success()?.stdout;
        assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
        run(Command::new(&dpkg_deb).arg("--extract").arg(&deb).arg(&at))?.success()?;
        run(Command::new(&dpkg_deb).arg("--control").arg(&deb).arg(lab.path().join("control")))?.success()?;
    }
    assert_eq!(found, 2);
    for name in ["tapgate", "tap", "tapctl"] {
        let path = at.join("usr/bin").join(name);
        assert_eq!(std::fs::metadata(&path)?.mode() & 0o7777, 0o755, "{name}");
        let version = run(Command::new(&path).arg("--version"))?.success()?.stdout;
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    }
    let groff = program("groff", "groff-base")?;
    for page in ["tapgate", "tapgate-start", "tap", "tap-ssh", "tap-mfa-add", "tapctl", "tapctl-auth-rotate"] {
        let file = at.join(format!("usr/share/man/man1/{page}.1.gz"));
        let text = run(Command::new(program("gzip", "gzip")?).arg("-dc").arg(&file))?.success()?.stdout;
        let text = lab.write("page.1", &text)?;
        let shown = run(Command::new(&groff).args(["-man", "-Tascii", "-ww", "-P-cbou"]).arg(&text))?.success()?;
        assert!(shown.stdout.contains("SYNOPSIS") && shown.stdout.contains("Example"), "{page}: {shown}");
        assert!(shown.stderr.trim().is_empty(), "{page}: {shown}");
    }
    assert!(!at.join("usr/share/man/man1/tap-agent.1.gz").exists(), "what is hidden has no page");
    for place in
        ["bash-completion/completions/tap", "zsh/vendor-completions/_tapctl", "fish/vendor_completions.d/tap.fish"]
    {
        assert!(std::fs::read_to_string(at.join("usr/share").join(place))?.contains("completions"), "{place}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(lab.path().join("control").join(script)))?.success()?;
    }
    let example = at.join("usr/share/doc/tapgate/examples/tapgate.yaml");
    tapgate(&["check", "--config", &example.display().to_string()])?.success()?;
    Ok(())
}

#[test]
fn the_service_may_do_little() -> Result<()> {
    let unit = root()?.join("deploy/tapgate.service");
    let mut analyze = Command::new(program("systemd-analyze", "systemd")?);
    // In tenths: 2.0 of 10.
    let ran = run(analyze.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(unit))?;
    ran.success()?;
    Ok(())
}

/// The blocks of a document that are YAML.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut inside: Option<String> = None;
    for line in text.lines() {
        match &mut inside {
            None if line == "```yaml" => inside = Some(String::new()),
            Some(_) if line == "```" => blocks.extend(inside.take()),
            Some(block) => block.extend([line, "\n"]),
            None => {}
        }
    }
    blocks
}

#[test]
fn the_documents_examples_are_read_by_the_gate() -> Result<()> {
    let lab = Lab::new()?;
    let docs = root()?.join("docs");
    let resources_dir = lab.dir("resources")?;
    let mut checked = 0;
    for name in ["quickstart.md", "roles.md", "operations.md"] {
        let text = std::fs::read_to_string(docs.join(name))?;
        for block in blocks(&text) {
            let (config, resources) = if block.contains("kind: ") {
                lab.write("resources/block.yaml", &block)?;
                ("public_addr: gate.example.com:443\n".to_owned(), true)
            } else if block.contains("public_addr") {
                (block.clone(), false)
            } else {
                (format!("public_addr: gate.example.com:443\n{block}"), false)
            };
            let line = format!("resources: {}\n", resources_dir.display());
            let config = if resources { config + &line } else { config };
            let file = lab.write("tapgate.yaml", &config)?.display().to_string();
            tapgate(&["check", "--config", &file])?.success().with_context(|| format!("{name}:\n{block}"))?;
            checked += 1;
        }
    }
    ensure!(checked >= 4, "only {checked} examples were found");
    Ok(())
}

#[test]
fn the_documents_lead_to_files_that_are_there() -> Result<()> {
    let docs = root()?.join("docs");
    for name in ["quickstart", "targets", "roles", "operations", "troubleshooting", "security-model"] {
        let text = std::fs::read_to_string(docs.join(format!("{name}.md")))?;
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or(link);
            if !file.starts_with("http") && !file.is_empty() {
                assert!(docs.join(file).exists(), "{name}.md leads to {link}");
            }
        }
    }
    Ok(())
}

/// The longest piece of an error text that is always the same.
fn fixed(text: &str) -> &str {
    let pieces = text.split(['…', '"']).flat_map(|piece| piece.split("0.1.0")).flat_map(|piece| piece.split("0.2.0"));
    let pieces = pieces.flat_map(|piece| piece.split(" 3,")).flat_map(|piece| piece.split(" 2"));
    let names = ["jerry", "olga", "prod3", "WARNING: ", "Node "];
    let mut pieces: Vec<&str> = pieces.collect();
    for name in names {
        pieces = pieces.into_iter().flat_map(|piece| piece.split(name)).collect();
    }
    pieces.into_iter().map(str::trim).max_by_key(|piece| piece.len()).unwrap_or_default()
}

/// All source text of the programs, with line breaks inside texts taken out.
fn sources(folder: &Path, all: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, all)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            let joined: Vec<&str> = text.split("\\\n").map(str::trim_start).collect();
            *all += &joined.concat();
        }
    }
    Ok(())
}

#[test]
fn the_errors_in_the_documents_are_those_that_the_programs_say() -> Result<()> {
    let mut all = String::new();
    for folder in ["core", "client", "src", "protocols", "config"] {
        sources(&root()?.join(folder), &mut all)?;
    }
    let text = std::fs::read_to_string(root()?.join("docs/troubleshooting.md"))?;
    let mut looked = 0;
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let first = line.trim_start_matches("| ").split(" | ").next().unwrap_or_default();
        let said = first.split('`').nth(1).unwrap_or_default();
        let piece = fixed(said);
        assert!(piece.len() > 8 && all.contains(piece), "nobody says `{said}` (looked for {piece:?})");
        looked += 1;
    }
    ensure!(looked > 25, "only {looked} lines");
    Ok(())
}

/// helm, which `cargo xtask setup` builds for the tests of Kubernetes.
fn helm() -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = std::env::var_os("TAPGATE_HELM").map(PathBuf::from).or(cache.map(|at| at.join("tapgate/helm-1")));
    let program = folder.map(|folder| folder.join("helm")).filter(|path| path.is_file());
    program.context("helm is not there for the tests (run `cargo xtask setup`)")
}

#[test]
fn the_chart_renders_one_gate_with_a_configuration_that_is_good() -> Result<()> {
    let lab = Lab::new()?;
    let values = "publicAddr: gate.example.com:443\nfirstAdmin: olga\nproxyProtocolFrom: [10.1.0.0/24]\n\
                  webauthn: { rpId: tap.gate.example.com, origins: [\"https://tap.gate.example.com\"] }\n\
                  resources: { roles.yaml: \"kind: role\" }\nconfig: { apps_domain: apps.example.com }\n";
    let values = lab.write("values.yaml", values)?;
    let chart = root()?.join("deploy/helm/tapgate");
    run(Command::new(helm()?).arg("lint").arg("--strict").arg(&chart).arg("-f").arg(&values))?.success()?;
    let ran = run(Command::new(helm()?).arg("template").arg("gate").arg(&chart).arg("-f").arg(&values))?.success()?;
    for part in ["replicas: 1\n", "runAsNonRoot: true", "readOnlyRootFilesystem: true", "\"roles.yaml\": |\n"] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    let inner = ran.stdout.split_once("tapgate.yaml: |\n").and_then(|(_, rest)| rest.split_once("---"));
    let (inner, _) = inner.context("there is no configuration")?;
    let lines = inner.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    let text: Vec<&str> = lines.filter(|line| !line.starts_with("resources:")).collect();
    let config = lab.write("tapgate.yaml", &text.join("\n"))?;
    let mut check = Command::new(own_binary("tapgate")?);
    check.arg("check").arg("--config").arg(&config);
    let without = run(&mut check)?.failure(1)?;
    assert!(without.stderr.contains("TAPGATE_SECRETS_KEY is not set"), "{without}");
    run(check.env("TAPGATE_SECRETS_KEY", "0f".repeat(32)))?.success()?;
    // Without the one value that nobody can guess, it says which one that is.
    let refused = run(Command::new(helm()?).arg("template").arg("gate").arg(&chart))?.failure(1)?;
    assert!(refused.stderr.contains("publicAddr is missing"), "{refused}");
    Ok(())
}
