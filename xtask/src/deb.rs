//! Debian packages of the gate and of the client, put together by `dpkg-deb` from built binaries.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, manual};

/// One file of a package: where it comes from, where it goes, and its mode.
struct Part {
    from: PathBuf,
    to: &'static str,
    mode: u32,
}

/// One package.
struct Package {
    name: &'static str,
    summary: &'static str,
    description: &'static str,
    depends: &'static str,
    binaries: &'static [&'static str],
    papers: &'static [(&'static str, &'static str)],
    /// Whether its programs complete their words for shells.
    completions: bool,
    /// The maintainer scripts in deploy/debian, without the package's name.
    scripts: &'static [&'static str],
}

const PACKAGES: [Package; 2] = [
    Package {
        name: "tapgate",
        summary: "protocol-aware access proxy, opened by a fresh tap",
        description: " Tapgate terminates SSH, database, Kubernetes, web and desktop\n connections at the edge of a \
                      network, and opens a session only for\n somebody who has just proven, with a tap bound to that \
                      session, that\n they are there.",
        depends: "ca-certificates",
        binaries: &["tapgate"],
        papers: &[
            ("deploy/tapgate.service", "usr/lib/systemd/system/tapgate.service"),
            ("deploy/sysusers.d/tapgate.conf", "usr/lib/sysusers.d/tapgate.conf"),
            ("deploy/tmpfiles.d/tapgate.conf", "usr/lib/tmpfiles.d/tapgate.conf"),
            ("deploy/grafana-dashboard.json", "usr/share/doc/tapgate/examples/grafana-dashboard.json"),
            ("config/example.yaml", "usr/share/doc/tapgate/examples/tapgate.yaml"),
            ("README.md", "usr/share/doc/tapgate/README.md"),
            ("SECURITY.md", "usr/share/doc/tapgate/SECURITY.md"),
        ],
        completions: false,
        scripts: &["postinst", "prerm", "postrm"],
    },
    Package {
        name: "tapgate-client",
        summary: "client and administrator's tool of the access proxy Tapgate",
        description: " tap logs in to a gate and opens sessions through it; tapctl administers it.",
        depends: "openssh-client",
        binaries: &["tap", "tapctl"],
        papers: &[],
        completions: true,
        scripts: &[],
    },
];

/// `cargo xtask deb [--binaries DIR] [--out DIR] [--fast]`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let root = cargo::root()?;
    let (mut binaries, mut out, mut fast) = (cargo::target_dir()?.join("release"), root.join("dist"), false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut folder = || rest.next().map(PathBuf::from).with_context(|| format!("`{argument}` names no folder"));
        match argument.as_str() {
            "--binaries" => binaries = folder()?,
            "--out" => out = folder()?,
            "--fast" => fast = true,
            other => bail!("`deb` knows no `{other}` (see `cargo xtask deb --help`)"),
        }
    }
    for package in &PACKAGES {
        let file = build(package, &root, &binaries, &out, fast)?;
        println!("deb: {}", file.display());
    }
    Ok(())
}

/// Builds one package; answers its file.
fn build(package: &Package, root: &Path, binaries: &Path, out: &Path, fast: bool) -> Result<PathBuf> {
    let stage = out.join(format!(".{}", package.name));
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot empty {}", stage.display()))?;
    }
    let mut glibc = (0, 0);
    for part in parts(package, root, binaries) {
        copy(&part, &stage)?;
        if part.to.starts_with("usr/bin/") {
            let bytes = fs::read(&part.from).with_context(|| format!("cannot read {}", part.from.display()))?;
            glibc = glibc.max(glibc_of(&bytes));
        }
    }
    for name in package.binaries {
        manual::pages(&binaries.join(name), &stage)?;
        if package.completions {
            manual::completions(&binaries.join(name), name, &stage)?;
        }
    }
    if !fast {
        strip(package, &stage)?;
    }
    changelog(package, &stage)?;
    let copyright = stage.join("usr/share/doc").join(package.name).join("copyright");
    write(&copyright, COPYRIGHT, 0o644)?;
    write(&stage.join("DEBIAN/control"), &control(package, glibc, size_of(&stage)?)?, 0o644)?;
    let (version, architecture) = (env!("CARGO_PKG_VERSION"), architecture()?);
    let file = out.join(format!("{}_{version}_{architecture}.deb", package.name));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--root-owner-group").arg(if fast { "-Znone" } else { "-Zxz" }).arg("--build").arg(&stage).arg(&file);
    cargo::run(&format!("package {}", package.name), &mut dpkg)?;
    fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    Ok(file)
}

/// Takes what only a debugger reads out of the programs, where the tool for it is there.
fn strip(package: &Package, stage: &Path) -> Result<()> {
    if Command::new("strip").arg("--version").output().is_err() {
        println!("note: there is no strip here, so the programs keep what only a debugger reads");
        return Ok(());
    }
    for name in package.binaries {
        cargo::run("strip", Command::new("strip").arg("--strip-unneeded").arg(stage.join("usr/bin").join(name)))?;
    }
    Ok(())
}

/// The changelog of the package, which has one entry: the project's own tells the rest.
fn changelog(package: &Package, stage: &Path) -> Result<()> {
    let date = Command::new("date").arg("-R").output().context("there is no date here")?;
    let text = format!(
        "{} ({}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the project.\n\n -- {MAINTAINER}  {}",
        package.name,
        env!("CARGO_PKG_VERSION"),
        String::from_utf8_lossy(&date.stdout),
    );
    let path = stage.join("usr/share/doc").join(package.name).join("changelog");
    write(&path, &text, 0o644)?;
    cargo::run("changelog", Command::new("gzip").arg("-9n").arg(&path))
}

fn parts(package: &Package, root: &Path, binaries: &Path) -> Vec<Part> {
    let mut parts = Vec::new();
    for name in package.binaries {
        let to = match *name {
            "tapgate" => "usr/bin/tapgate",
            "tap" => "usr/bin/tap",
            _ => "usr/bin/tapctl",
        };
        parts.push(Part { from: binaries.join(name), to, mode: 0o755 });
    }
    for (from, to) in package.papers {
        parts.push(Part { from: root.join(from), to, mode: 0o644 });
    }
    for script in package.scripts {
        let to = match *script {
            "postinst" => "DEBIAN/postinst",
            "prerm" => "DEBIAN/prerm",
            _ => "DEBIAN/postrm",
        };
        let from = root.join("deploy/debian").join(format!("{}.{script}", package.name));
        parts.push(Part { from, to, mode: 0o755 });
    }
    parts
}

fn control(package: &Package, (major, minor): (u32, u32), size: u64) -> Result<String> {
    Ok(format!(
        "Package: {}\nVersion: {}\nArchitecture: {}\nSection: net\nPriority: optional\n\
         Maintainer: {MAINTAINER}\nInstalled-Size: {}\n\
         Depends: libc6 (>= {major}.{minor}), libgcc-s1, {}\nDescription: {}\n{}\n",
        package.name,
        env!("CARGO_PKG_VERSION"),
        architecture()?,
        size.div_ceil(1024),
        package.depends,
        package.summary,
        package.description,
    ))
}

const MAINTAINER: &str = "The Tapgate contributors <tapgate@localhost>";

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: 2026 The Tapgate contributors\nLicense: Apache-2.0\n On Debian systems, the \
                         full text is in /usr/share/common-licenses/Apache-2.0.\n";

/// The newest version of glibc whose symbols a program asks for.
fn glibc_of(program: &[u8]) -> (u32, u32) {
    let mark = b"GLIBC_";
    let mut newest = (2, 17);
    for (at, window) in program.windows(mark.len()).enumerate() {
        if window != mark {
            continue;
        }
        let rest = program.iter().skip(at + mark.len()).take(8);
        let text: String = rest.map(|byte| char::from(*byte)).take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut numbers = text.split('.').map_while(|number| number.parse().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) {
            newest = newest.max((major, minor));
        }
    }
    newest
}

fn architecture() -> Result<String> {
    let output = Command::new("dpkg").arg("--print-architecture").output().context("there is no dpkg here")?;
    ensure!(output.status.success(), "dpkg does not say its architecture");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn copy(part: &Part, stage: &Path) -> Result<()> {
    let bytes = fs::read(&part.from).with_context(|| format!("cannot read {}", part.from.display()))?;
    put(&stage.join(part.to), &bytes, part.mode)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    put(path, text.as_bytes(), mode)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let wrong = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(wrong)?;
    }
    fs::write(path, bytes).with_context(wrong)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(wrong)
}

fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        size += if path.is_dir() { size_of(&path)? } else { fs::metadata(&path)?.len() };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts() {
        assert_eq!(glibc_of(b"xxGLIBC_2.34\0GLIBC_2.4\0GLIBC_2.39\0GLIBC_PRIVATE\0"), (2, 39));
        assert_eq!(glibc_of(b"static"), (2, 17));
    }
}
