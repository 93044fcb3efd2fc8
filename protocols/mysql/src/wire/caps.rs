//! What the gate can do as a server, and what it agrees on with a target.

use mysql_common::constants::CapabilityFlags as Flags;

/// What the gate offers to every client, before it knows the target: what MySQL since 5.7 and MariaDB since 10.2
/// can, and what a relay can pass on. Compression is not in it, since nothing compressed can be read; neither are
/// query attributes and MariaDB's own extensions, which only one of the two families has.
pub(crate) const OFFERED: Flags = Flags::from_bits_truncate(
    Flags::CLIENT_LONG_PASSWORD.bits()
        | Flags::CLIENT_FOUND_ROWS.bits()
        | Flags::CLIENT_LONG_FLAG.bits()
        | Flags::CLIENT_CONNECT_WITH_DB.bits()
        | Flags::CLIENT_NO_SCHEMA.bits()
        | Flags::CLIENT_ODBC.bits()
        | Flags::CLIENT_LOCAL_FILES.bits()
        | Flags::CLIENT_IGNORE_SPACE.bits()
        | Flags::CLIENT_PROTOCOL_41.bits()
        | Flags::CLIENT_INTERACTIVE.bits()
        | Flags::CLIENT_IGNORE_SIGPIPE.bits()
        | Flags::CLIENT_TRANSACTIONS.bits()
        | Flags::CLIENT_SECURE_CONNECTION.bits()
        | Flags::CLIENT_MULTI_STATEMENTS.bits()
        | Flags::CLIENT_MULTI_RESULTS.bits()
        | Flags::CLIENT_PS_MULTI_RESULTS.bits()
        | Flags::CLIENT_PLUGIN_AUTH.bits()
        | Flags::CLIENT_CONNECT_ATTRS.bits()
        | Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA.bits()
        | Flags::CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS.bits()
        | Flags::CLIENT_SESSION_TRACK.bits()
        | Flags::CLIENT_DEPRECATE_EOF.bits(),
);

/// What a login is made of, leg by leg: this is each leg's own.
const OF_THE_LEG: Flags = Flags::from_bits_truncate(
    Flags::CLIENT_SSL.bits()
        | Flags::CLIENT_CONNECT_WITH_DB.bits()
        | Flags::CLIENT_PLUGIN_AUTH.bits()
        | Flags::CLIENT_SECURE_CONNECTION.bits()
        | Flags::CLIENT_CONNECT_ATTRS.bits()
        | Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA.bits(),
);

/// What changes the form of later packets: both legs must have it, or neither.
const OF_THE_FORM: Flags =
    Flags::from_bits_truncate(Flags::CLIENT_SESSION_TRACK.bits() | Flags::CLIENT_DEPRECATE_EOF.bits());

/// What a target must have.
const NEEDED: Flags = Flags::from_bits_truncate(
    Flags::CLIENT_PROTOCOL_41.bits() | Flags::CLIENT_PLUGIN_AUTH.bits() | Flags::CLIENT_SECURE_CONNECTION.bits(),
);

/// What the gate tells the target that its client can: what the client said, as far as the target has it. `None`
/// where the target is too old for what the client was promised.
pub(crate) fn towards(target: Flags, client: Flags, local_files: bool) -> Option<Flags> {
    let mut said = client & (OFFERED - OF_THE_LEG);
    if !target.contains(NEEDED) || !target.contains(said & OF_THE_FORM) {
        return None;
    }
    if !local_files {
        said.remove(Flags::CLIENT_LOCAL_FILES);
    }
    let own = Flags::CLIENT_PLUGIN_AUTH | Flags::CLIENT_SECURE_CONNECTION | Flags::CLIENT_SSL;
    let if_there = Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA | (Flags::CLIENT_CONNECT_ATTRS & client);
    Some((said & target) | own | (if_there & target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_promised_that_is_not_there() {
        let client = OFFERED | Flags::CLIENT_COMPRESS | Flags::CLIENT_QUERY_ATTRIBUTES;
        let said = towards(Flags::all(), client, false).unwrap();
        assert!(said.contains(Flags::CLIENT_DEPRECATE_EOF | Flags::CLIENT_SSL | Flags::CLIENT_MULTI_STATEMENTS));
        let never = Flags::CLIENT_COMPRESS | Flags::CLIENT_QUERY_ATTRIBUTES | Flags::CLIENT_LOCAL_FILES;
        assert!(!said.intersects(never | Flags::CLIENT_CONNECT_WITH_DB));
        assert!(towards(Flags::all(), client, true).unwrap().contains(Flags::CLIENT_LOCAL_FILES));
    }

    #[test]
    fn a_target_that_is_too_old_is_not_lied_about() {
        let old = Flags::all() - Flags::CLIENT_DEPRECATE_EOF;
        assert_eq!(towards(old, OFFERED, false), None);
        let modest = OFFERED - Flags::CLIENT_DEPRECATE_EOF;
        assert!(towards(old, modest, false).is_some_and(|said| !said.contains(Flags::CLIENT_DEPRECATE_EOF)));
        assert_eq!(towards(Flags::all() - Flags::CLIENT_PLUGIN_AUTH, modest, false), None);
    }
}
