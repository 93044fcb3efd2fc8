//! Records in the words of other products of this field, for the programs that collect them.

use serde_json::{Map, Value, json};
use tapgate_model::UnixTime;

/// A record as others name its event and fields: `sid`, `server_hostname`, `with_mfa`, `mfa_device`, `cluster_name`.
pub fn record(record: &Value, cluster: &str) -> Value {
    let Some(fields) = record.as_object() else { return Value::Null };
    let kind = record["kind"].as_str().unwrap_or_default();
    let mut out = Map::new();
    out.insert("cluster_name".to_owned(), json!(cluster));
    for (name, value) in fields {
        let text = value.as_str().unwrap_or_default();
        match name.as_str() {
            "event" => {
                out.insert(name.clone(), json!(event(text, kind)));
            }
            "seq" => {
                out.insert("ei".to_owned(), value.clone());
            }
            "time" => {
                out.insert(name.clone(), json!(UnixTime::from_secs(value.as_u64().unwrap_or(0)).to_string()));
            }
            "tap" | "proof" if value.is_object() => {
                out.insert("with_mfa".to_owned(), value["credential_id"].clone());
                let device = json!({"mfa_device_uuid": value["credential_id"], "mfa_device_type": value["method"]});
                out.insert("mfa_device".to_owned(), device);
            }
            "tap" | "proof" | "previous" | "kind" => {}
            "hash" => {
                out.insert("uid".to_owned(), value.clone());
            }
            other => {
                out.insert(field(other, kind).to_owned(), value.clone());
            }
        }
    }
    Value::Object(out)
}

fn event<'a>(name: &'a str, kind: &str) -> &'a str {
    match (name, kind) {
        ("session.start", "db") => "db.session.start",
        ("session.end", "db") => "db.session.end",
        ("session.start", "app") => "app.session.start",
        ("session.end", "app") => "app.session.end",
        ("session.start", "windows_desktop") => "windows.desktop.session.start",
        ("session.end", "windows_desktop") => "windows.desktop.session.end",
        ("session.denied" | "session.failed", _) => "session.rejected",
        ("session.sftp", _) => "sftp",
        ("session.forward", _) => "port",
        ("session.request", _) => "app.session.request",
        ("auth.login" | "auth.login_failed", _) => "user.login",
        ("auth.enrolled", _) => "mfa.add",
        ("auth.device", _) => "mfa.device",
        ("mfa.begin", _) => "mfa_auth_challenge.create",
        ("mfa.succeeded" | "mfa.failed", _) => "mfa_auth_challenge.validate",
        (other, _) => other,
    }
}

fn field<'a>(name: &'a str, kind: &str) -> &'a str {
    match (name, kind) {
        ("session", _) => "sid",
        ("protocol", _) => "proto",
        ("peer", _) => "addr.remote",
        ("target", "db") => "db_service",
        ("target", "kube_cluster") => "kubernetes_cluster",
        ("target", "app") => "app_name",
        ("target", "windows_desktop") => "desktop_name",
        ("target", _) => "server_hostname",
        ("uid", _) => "server_id",
        ("credential_id", _) => "mfa_device_uuid",
        ("text", _) => "db_query",
        ("bytes_up", _) => "tx",
        ("bytes_down", _) => "rx",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_in_others_words() {
        let ours = json!({"seq": 3, "time": 0, "event": "session.start", "session": "5", "user": "ann", "kind": "node",
            "target": "prod3", "uid": "7", "login": "root", "protocol": "ssh", "peer": "192.0.2.7:1", "mfa_required": true,
            "tap": {"method": "webauthn", "credential_id": "abc"}, "previous": "0", "hash": "1"});
        let theirs = json!({"ei": 3, "time": "1970-01-01T00:00:00Z", "event": "session.start", "sid": "5", "user": "ann",
            "server_hostname": "prod3", "server_id": "7", "login": "root", "proto": "ssh", "addr.remote": "192.0.2.7:1",
            "mfa_required": true, "with_mfa": "abc", "uid": "1", "cluster_name": "example.com",
            "mfa_device": {"mfa_device_uuid": "abc", "mfa_device_type": "webauthn"}});
        assert_eq!(record(&ours, "example.com"), theirs);
        let db = record(&json!({"event": "session.end", "kind": "db", "target": "orders"}), "c");
        assert_eq!(db, json!({"event": "db.session.end", "db_service": "orders", "cluster_name": "c"}));
    }
}
