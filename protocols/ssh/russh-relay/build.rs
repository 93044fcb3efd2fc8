//! Builds an edited copy of russh's source in `OUT_DIR`. Nothing of russh is stored in this repository.

mod edits;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use edits::{EDITS, Edit};

/// The version whose source is edited. It is pinned in `Cargo.toml` and, with its checksum, in `Cargo.lock`.
const VERSION: &str = "0.65.1";

/// Says in each edited file that it was changed, as russh's licence asks.
const NOTICE: &str = "// Changed by russh-relay: see its edits.rs.\n";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=edits.rs");
    println!("cargo::rerun-if-env-changed=RUSSH_SRC");
    if let Err(e) = run() {
        // cargo::error (1.84+) shows the message without a panic's noise.
        for line in e.lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let out = PathBuf::from(var("OUT_DIR")?);
    let src = match env::var_os("RUSSH_SRC") {
        Some(dir) => PathBuf::from(dir),
        None => locate(&out)?,
    };
    check_version(&src)?;
    let dest = out.join("russh");
    let _ = fs::remove_dir_all(&dest);
    copy(&src.join("src"), &dest)?;
    apply(&dest)
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|e| format!("{name}: {e}"))
}

/// Asks cargo where the stock source lies. A throw-away package that depends on russh alone, with
/// this workspace's Cargo.lock beside it, needs only packages that this build has downloaded
/// anyway; `cargo metadata` on the workspace itself would also want every dev-dependency.
/// It runs in our own directory, so `.cargo/config.toml` (`cargo vendor`, mirrors) applies.
fn locate(out: &Path) -> Result<PathBuf, String> {
    let here = PathBuf::from(var("CARGO_MANIFEST_DIR")?);
    let lock = here.ancestors().map(|d| d.join("Cargo.lock")).find(|p| p.is_file());
    let probe = out.join("probe");
    let write = |name: &str, text: &str| {
        let path = probe.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&probe))
            .and_then(|()| fs::write(&path, text))
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    write("src/lib.rs", "")?;
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies.russh]\nversion = \"={VERSION}\"\ndefault-features = false\n",
        ),
    )?;
    if let Some(lock) = lock {
        let text = fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
        write("Cargo.lock", &text)?;
    }
    // Offline first: cargo has downloaded the source with everything else. The second, online try
    // is for `cargo build -p russh-relay` alone on a machine that has not.
    let offline = metadata(&here, &probe, &["--offline"]);
    let found = offline.or_else(|first| {
        metadata(&here, &probe, &[]).map_err(|second| {
            format!("cannot find the source of russh {VERSION}: run `cargo fetch`, or set RUSSH_SRC\n{first}\n{second}")
        })
    })?;
    Ok(found)
}

fn metadata(here: &Path, probe: &Path, extra: &[&str]) -> Result<PathBuf, String> {
    let out = Command::new(var("CARGO")?)
        .current_dir(here)
        .args(["metadata", "--quiet", "--format-version=1", "--filter-platform"])
        .arg(var("TARGET")?)
        .arg("--manifest-path")
        .arg(probe.join("Cargo.toml"))
        .args(extra)
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).map_err(|e| e.to_string())?;
    json["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["name"] == "russh" && p["version"] == VERSION)
        .and_then(|p| Path::new(p["manifest_path"].as_str()?).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("cargo metadata names no russh {VERSION}"))
}

fn check_version(dir: &Path) -> Result<(), String> {
    let path = dir.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let want = format!("version = \"{VERSION}\"");
    if text.lines().any(|l| l == want) { Ok(()) } else { Err(format!("{} is not russh {VERSION}", path.display())) }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let at = |p: &Path| {
        let p = p.display().to_string();
        move |e: std::io::Error| format!("{p}: {e}")
    };
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).map_err(at(from))?;
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            // read + write, not fs::copy: vendored files may be read-only and would stay so.
            fs::read(&path).and_then(|b| fs::write(to.join(name), b)).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn apply(dir: &Path) -> Result<(), String> {
    for (n, Edit { file, anchor, replacement }) in EDITS.iter().enumerate() {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).map_err(|e| format!("edit {n}: {}: {e}", path.display()))?;
        let found = text.matches(anchor).count();
        if found != 1 {
            return Err(format!(
                "edit {n}: its anchor occurs {found} times (want 1) in russh {VERSION} src/{file}:\n{anchor}"
            ));
        }
        let notice = if text.starts_with(NOTICE) { "" } else { NOTICE };
        let text = format!("{notice}{}", text.replacen(anchor, replacement, 1));
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}
