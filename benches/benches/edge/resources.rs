//! Ten thousand resources in files, each time others.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// How many there are, roles and nodes.
pub(crate) const COUNT: usize = 10_000;

/// How many of them one file holds.
const IN_A_FILE: usize = 100;

/// Every hundredth is a role.
const A_ROLE: usize = 100;

/// Writes them all; the number of the round is in each.
pub(crate) fn write(folder: &Path, round: usize) -> Result<()> {
    for file in 0..COUNT / IN_A_FILE {
        let all = (0..IN_A_FILE).map(|n| document(file * IN_A_FILE + n, round));
        fs::write(folder.join(format!("{file:03}.yaml")), all.collect::<Vec<_>>().join("---\n"))?;
    }
    Ok(())
}

fn document(n: usize, round: usize) -> String {
    let team = n % 50;
    if n.is_multiple_of(A_ROLE) {
        return format!(
            "kind: role\nversion: v7\nmetadata: {{ name: role-{n} }}\nspec:\n  options: {{ require_session_mfa: true \
             }}\n  allow:\n    node_labels: {{ env: prod, team: team-{team} }}\n    logins: [jerry, round-{round}]\n"
        );
    }
    format!(
        "kind: node\nversion: v2\nmetadata:\n  name: node-{n}\n  labels: {{ env: prod, team: team-{team}, round: \
         r{round} }}\nspec:\n  addr: \"10.{}.{}.{}:22\"\n  host_keys: [\"ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\"]\n",
        n / 65_536,
        n / 256 % 256,
        n % 256
    )
}
