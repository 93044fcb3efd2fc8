//! A real MySQL, which Debian's stable releases do not have: unpacked from its newest one, with the libraries that it
//! wants, below the user's cache. Nothing of it is installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, cargo};

/// The folder below the cache, with the number of this recipe; the same stands in the lab.
const FOLDER: &str = "tapgate/mysql-1";

/// Server and client, without what asks or starts anything.
const PACKAGES: [&str; 2] = ["mysql-server-core", "mysql-client-core"];

/// The release that has them.
const SUITE: &str = "sid";

/// The file that says that all of it is there.
const DONE: &str = "complete";

/// Fetches it where it is not there.
pub(crate) fn run() -> Result<()> {
    let folder = cache::folder("TAPGATE_MYSQL", FOLDER)
        .context("there is neither XDG_CACHE_HOME nor HOME (set one, or TAPGATE_MYSQL)")?;
    if !folder.join(DONE).is_file() {
        println!("missing: {} of Debian {SUITE}, for the database tests (a real MySQL)", PACKAGES.join(", "));
        // What an interrupted run has left is nothing whole.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fetch(&folder)?;
        std::fs::write(folder.join(DONE), PACKAGES.join("\n"))?;
    }
    println!("found: {} for the database tests (a real MySQL)", folder.display());
    Ok(())
}

/// Lets apt fetch the packages with lists and a state of their own, in which nothing is installed, and unpacks them.
fn fetch(folder: &Path) -> Result<()> {
    let (apt, root) = (folder.join("apt"), folder.join("root"));
    for part in ["state/lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(part))?;
    }
    let place = apt.display();
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    std::fs::write(apt.join("sources.list"), format!("deb [signed-by={keyring}] {} {SUITE} main\n", mirror()?))?;
    std::fs::write(apt.join("status"), "")?;
    let settings = format!(
        "Dir::State \"{place}/state\";\nDir::State::status \"{place}/status\";\nDir::Cache \"{place}/cache\";\n\
         Dir::Etc::sourcelist \"{place}/sources.list\";\nDir::Etc::sourceparts \"-\";\nAPT::Sandbox::User \"\";\n\
         APT::Install-Recommends \"false\";\nAcquire::Languages \"none\";\n"
    );
    std::fs::write(apt.join("apt.conf"), settings)?;
    let apt_get = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", apt.join("apt.conf")).args(["--quiet", "--yes"]).args(words);
        cargo::run(&format!("apt-get {}", words.join(" ")), &mut command)
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--download-only"][..], &PACKAGES].concat())?;
    std::fs::create_dir_all(&root)?;
    for package in std::fs::read_dir(apt.join("cache/archives"))?.flatten() {
        if package.path().extension().is_some_and(|end| end == "deb") {
            cargo::run("dpkg -x", Command::new("dpkg").arg("-x").arg(package.path()).arg(&root))?;
        }
    }
    ensure!(root.join("usr/sbin/mysqld").is_file(), "the packages hold no mysqld");
    Ok(std::fs::remove_dir_all(&apt)?)
}

/// Where this system gets Debian's packages from.
fn mirror() -> Result<String> {
    let policy = Command::new("apt-cache").arg("policy").output().context("there is no apt-cache here")?;
    let text = String::from_utf8_lossy(&policy.stdout).into_owned();
    let mut sources = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    let found = sources.find(|place| place.ends_with("/debian")).map(str::to_owned);
    found.context(
        "apt knows no archive of Debian here (add one, or set TAPGATE_MYSQL to a folder with `root/usr/sbin/mysqld`)",
    )
}
