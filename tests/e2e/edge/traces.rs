//! Traces, as a collector beside the gate gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tapgate_lab::own_binary;

use crate::world::{World, text, until};

/// A collector that keeps what is posted to it.
fn collector() -> Result<(String, Arc<Mutex<Vec<Value>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (address, kept) = (format!("http://{}", listener.local_addr()?), Arc::<Mutex<Vec<Value>>>::default());
    let keep = Arc::clone(&kept);
    thread::spawn(move || -> Result<()> {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let mut reader = BufReader::new(stream.try_clone()?);
            let (mut line, mut length, mut first) = (String::new(), 0, String::new());
            while reader.read_line(&mut line)? > 2 {
                if first.is_empty() {
                    first.clone_from(&line);
                }
                length =
                    line.to_lowercase().strip_prefix("content-length: ").map_or(Ok(length), |n| n.trim().parse())?;
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            assert!(first.starts_with("POST /v1/traces "), "{first}");
            let posted: Value = serde_json::from_slice(&body)?;
            let spans = posted.pointer("/resourceSpans/0/scopeSpans/0/spans").and_then(Value::as_array);
            keep.lock().unwrap().extend(spans.cloned().unwrap_or_default());
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
        }
        Ok(())
    });
    Ok((address, kept))
}

#[test]
fn traces_reach_a_collector_and_have_one_connection() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let (address, kept) = collector()?;
    let mut command = Command::new(own_binary("tapgate")?);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    world.start_by(command)?;
    let mark = world.mark();
    world.ssh("dev1", &["true"])?.success()?;
    let start = world.await_record(mark, "session.start", |_| true)?;
    let number = text(&start, "connection").to_owned();
    let of = |name: &str| -> Vec<Value> {
        kept.lock().unwrap().iter().filter(|span| text(span, "name") == name).cloned().collect()
    };
    let own = || {
        let has = |span: &Value| span["attributes"].to_string().contains(&number);
        of("connection").into_iter().find(has)
    };
    until("the connection's span", Duration::from_secs(20), || Ok(own().is_some()))?;
    let own = own().unwrap_or_default();
    let (trace, id) = (text(&own, "traceId"), text(&own, "spanId"));
    assert!(trace.len() == 32 && id.len() == 16 && own.get("parentSpanId").is_none(), "{own}");
    for name in ["handshake", "ask", "dial"] {
        let within = of(name).into_iter().any(|span| text(&span, "traceId") == trace);
        assert!(within, "{name}: {:?}", kept.lock().unwrap());
    }
    Ok(())
}

#[test]
fn a_collector_that_is_not_there_costs_nothing_but_a_line() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let mut command = Command::new(own_binary("tapgate")?);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    world.start_by(command)?;
    world.ssh("dev1", &["true"])?.success()?;
    world.gate().process().wait_for_error("Traces do not reach their collector")?;
    world.ssh("dev1", &["true"])?.success().map(drop)
}
