//! The modes of "Browser MFA" and the prerequisites of both guides, as far as no browser is needed.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::own_binary;

use crate::world::World;

/// "Hardware device for multi-factor authentication": who demands one is served a PIN or an attested key.
#[test]
fn a_role_may_demand_hardware() -> Result<()> {
    let world = World::new()?;
    for value in ["hardware_key", "hardware_key_touch", "hardware_key_pin", "hardware_key_touch_and_pin"] {
        world.put_prod_options(&format!("require_session_mfa: {value}"))?;
        // The software key asks for its PIN where one is demanded.
        world.jerry.tap(["--no-agent", "ssh", &world.at("prod3"), "true"])?.success()?;
    }
    world.put_prod_options("require_session_mfa: hardware_key_attested")?;
    let refused = world.jerry.tap(["--no-agent", "ssh", &world.at("prod3"), "true"])?.failure(1)?;
    assert!(refused.stderr.contains("MFA by an attested security key is required"), "{refused}");
    Ok(())
}

/// Where there is neither a key nor a browser, `auto` comes to the last in its order.
#[test]
fn auto_asks_for_a_code_where_nothing_else_is_there() -> Result<()> {
    let world = World::new()?;
    let bare = world.jerry.clone().without_key();
    let login = ["login", "--gate", &world.address, "--user", "jerry"];
    let refused = bare.tap(login)?.failure(1)?;
    assert!(refused.stderr.contains("cannot reach security keys"), "{refused}");
    world.put(
        "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
         second_factors: [webauthn, otp]\n",
    )?;
    let mut asking = bare.start(&own_binary("tap")?, login)?;
    asking.wait_for_error("Code of your authenticator app:")?;
    asking.write(b"000000\n")?;
    let refused = asking.finish(Duration::from_mins(1))?.failure(1)?;
    assert!(refused.stderr.contains("the login failed"), "{refused}");
    Ok(())
}
