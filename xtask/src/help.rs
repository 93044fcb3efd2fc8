//! What each command says about itself, with one example.

use std::io::Write;

/// The answer to `cargo xtask` and `cargo xtask --help`.
pub(crate) const OVERVIEW: &str = "\
The project's own commands.

Usage: cargo xtask <command> [arguments]

Commands:
  demo    Build everything and start a gate with a real target, ready to try
  test    Run the tests, all of them or by suite
  ci      Run everything that must hold before a change is merged
  setup   Find the programs that the build and the tests use, and install what is missing
  bench   Run the benchmarks
  dist    Build the release binaries into dist/, with their packages
  deb     Put binaries that are built into Debian packages
  web     Build the pages from web/ into web/dist, which is committed
  graph   Check which crate depends on which
  house   Check the house rules that neither rustfmt nor clippy knows

Example: cargo xtask test unit
Each command has its own help: cargo xtask test --help";

const DEMO: &str = "\
Build `tapgate`, `tap` and `tapctl`, then run `tapgate demo` with the arguments given.

Usage: cargo xtask demo [--script] [--dir DIR]

  --script    Walk through the demo without questions and leave with its result
  --dir DIR   Keep the demo's files in DIR

Example: cargo xtask demo --script --dir /tmp/tapgate-demo";

const TEST: &str = "\
Run the tests. Without a name, all suites, one after another; a failing suite does not stop the next.

Usage: cargo xtask test [unit|ssh|mfa|db|app|kube|desktop|stock|web|edge|bench]...

  unit      Every crate's own tests, the examples that must not compile, the fuzz bodies for ten seconds
  ssh       SSH sessions: real ssh, the real gate, real sshd
  mfa       Taps: login, devices, per-session MFA, and what an attacker would try
  db        Databases
  app       HTTP and TCP applications
  kube      Kubernetes
  desktop   RDP and VNC
  stock     Stock clients that are asked in-band
  web       The pages, in a real browser
  edge      Sockets, TLS, limits, shutdown, restart
  bench     `tapgate bench`, the load tool, against real servers

A suite that has no tests yet says so.

Example: cargo xtask test unit ssh";

const CI: &str = "\
Run everything that must hold before a change is merged: formatting, clippy, the crate graph, the house
rules, cargo-deny where it is installed, and all tests.

Usage: cargo xtask ci

Example: cargo xtask ci";

const SETUP: &str = "\
Find the programs that the build and the tests use; install what is missing with apt, as root or through
sudo. Says what it does. Where nothing is missing it changes nothing and is done at once.

Usage: cargo xtask setup

Example: cargo xtask setup";

const BENCH: &str = "\
Run the benchmarks: all figures, or those whose names hold one of the arguments. What they find is printed,
and written into docs/benchmarks.md and docs/benchmarks.json. Fails when a goal is missed for certain.

Usage: cargo xtask bench [FILTER]...

The release binaries are built first: the figures `ssh-…` are of the real gate, with the real ssh and sshd.

Example: cargo xtask bench check";

const DIST: &str = "\
Build the release binaries and put them into dist/ with the licence, the files for systemd, and as Debian
packages where dpkg-deb is there. Where Rust's musl target and musl-gcc are installed, the client is built once more,
static, for machines with an older or another C library.

Usage: cargo xtask dist

Example: cargo xtask dist && ls dist";

const DEB: &str = "\
Put binaries that are built into Debian packages: tapgate (the gate) and tapgate-client (tap and tapctl).

Usage: cargo xtask deb [--binaries DIR] [--out DIR] [--fast]

  --binaries DIR   Where tapgate, tap and tapctl are; the release build's folder by default
  --out DIR        Where the packages go; dist/ by default
  --fast           Do not compress them

Example: cargo xtask deb && dpkg-deb --info dist/tapgate_*.deb";

const WEB: &str = "\
Build the pages (Svelte, TypeScript) from web/ into web/dist, which is committed: cargo alone builds the gate.
Needs Node 20 or later; fetches the tools in web/package-lock.json.

Usage: cargo xtask web [--check]

  --check   Only compare web/dist with what the sources make; says so where there is no Node

Example: cargo xtask web";

const GRAPH: &str = "\
Check that each crate depends on no other crate of the project than it may.

Usage: cargo xtask graph

Example: cargo xtask graph";

const HOUSE: &str = "\
Check the house rules that neither rustfmt nor clippy knows: a file has at most 600 lines and begins with
a `//!` line, no `unwrap()` outside tests, an INVARIANT comment above each `expect(`.

Usage: cargo xtask house

Example: cargo xtask house";

/// The help of one command.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    Some(match command {
        "demo" => DEMO,
        "test" => TEST,
        "ci" => CI,
        "setup" => SETUP,
        "bench" => BENCH,
        "dist" => DIST,
        "deb" => DEB,
        "web" => WEB,
        "graph" => GRAPH,
        "house" => HOUSE,
        _ => return None,
    })
}

/// Prints a help text. Whoever reads only its head closes the pipe: that is no error.
pub(crate) fn print(text: &str) {
    writeln!(std::io::stdout(), "{text}").unwrap_or_default();
}
