//! The two Teleport guides that Tapgate answers to, command by command, with `tap` and `tapctl` in place of `tsh` and `tctl`.
//!
//! The guides are "Per-session MFA" and "Browser MFA". Their YAML blocks lie beside this file. They are used as they
//! stand but for what belongs to another cluster: its relying party's id, the placeholders `...`, and, where a session
//! is really opened, the login `jerry`, for which a test's servers have no account.
//!
//! What the guides also hold, and no test here follows:
//!
//! | Step of the guides                                   | Where it stands                                          |
//! |------------------------------------------------------|----------------------------------------------------------|
//! | Installing the clients                               | not a matter of a running gate                           |
//! | `teleport.yaml` of FIPS builds                       | the gate reads `tapgate.yaml`, of any build              |
//! | Kubernetes and application sessions                  | the suites `kube` and `app`, with kubectl and Chromium   |
//! | Desktop sessions                                     | the suite `desktop`, with FreeRDP, TigerVNC and Chromium |
//! | MFA by an identity provider, beyond the prompt       | `mfa::sso`, with a real provider in a real browser       |
//! | SSH in the web UI                                    | the suite `web`, with Chromium                           |
//! | VNet                                                 | not there                                                |
//! | The browser's part, from the link to `Approved`      | the suite `web`                                          |
//! | `tsh mfa add --mfa-mode=browser`                     | the suite `web`: `terminal`                              |

mod browser;
mod databases;
mod modes;
mod session;
mod sso;

use std::path::PathBuf;

use anyhow::Result;
use tapgate_lab::{Client, Ran};

use crate::world::World;

/// "Per-session MFA", cluster-wide.
const REQUIRE_SESSION_MFA: &str = include_str!("require-session-mfa.yaml");
/// "Per-session MFA", per role.
const EXAMPLE_ROLE: &str = include_str!("example-role-with-mfa.yaml");
/// "Per-session MFA", the roles example.
const ACCESS_ROLES: &str = include_str!("access-roles.yaml");
/// "Browser MFA", WebAuthn configured.
const CAP_WEBAUTHN: &str = include_str!("cap-webauthn.yaml");
/// "Browser MFA", forbidden.
const CAP_NO_BROWSER: &str = include_str!("cap-no-browser.yaml");

/// What the guides print for every change of the preference.
const CAP_UPDATED: &str = "cluster auth preference has been updated\n";

/// `tapctl create -f FILE`, by olga.
fn create(world: &World, name: &str, yaml: &str, more: &[&str]) -> Result<Ran> {
    let file = world.lab.write(name, yaml)?.display().to_string();
    world.olga.tapctl(["create", "-f", &file].into_iter().chain(more.iter().copied()))
}

/// olga with an editor that saves this text, whatever was there.
fn editing(world: &World, yaml: &str) -> Result<Client> {
    let file: PathBuf = world.lab.write("edited.yaml", yaml)?;
    Ok(world.olga.clone().with("EDITOR", format!("cp '{}'", file.display())))
}
