//! The project's own commands: demo, test, ci, setup, bench, dist, deb, web, graph and house.

mod cache;
mod cargo;
mod ci;
mod deb;
mod graph;
mod help;
mod house;
mod kube;
mod manual;
mod mysql;
mod pebble;
mod python;
mod setup;
mod ship;
mod suites;
mod tally;
mod tree;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ERROR: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        help::print(help::OVERVIEW);
        return Ok(());
    };
    if command == "--help" || command == "-h" || command == "help" {
        help::print(rest.first().and_then(|name| help::of(name)).unwrap_or(help::OVERVIEW));
        return Ok(());
    }
    // `demo` hands its own arguments to the gate, but its help is told here, before anything is built.
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        help::print(help::of(command).unwrap_or(help::OVERVIEW));
        return Ok(());
    }
    match (command.as_str(), rest) {
        ("demo", rest) => ship::demo(rest),
        ("bench", rest) => ship::bench(rest),
        ("dist", []) => ship::dist(),
        ("deb", rest) => deb::run(rest),
        ("test", []) => suites::run_all(),
        ("test", names) => suites::run(names),
        ("ci", []) => ci::run(),
        ("setup", []) => setup::run(),
        ("graph", []) => graph::run(),
        ("house", []) => house::run(),
        ("web", []) => web::build(),
        ("web", [flag]) if flag == "--check" => web::check(),
        ("dist" | "ci" | "setup" | "graph" | "house" | "web", [extra, ..]) => {
            bail!("`{command}` takes no arguments, but got `{extra}` (see `cargo xtask {command} --help`)")
        }
        _ => bail!("there is no command `{command}` (see `cargo xtask --help`)"),
    }
}
