//! A client, the gate and the demo target over real loopback sockets.

#[path = "relay/hostile.rs"]
mod hostile;
#[path = "relay/hostile_target.rs"]
mod hostile_target;
#[path = "relay/lab.rs"]
mod lab;

use std::time::Duration;

use lab::{Lab, Via};
use russh::ChannelMsg;
use tapgate_proof::Uses;

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn a_command_with_its_output_errors_and_status() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let said = client.run("echo out; echo err >&2; echo $TAPGATE_DEMO_LOGIN; exit 42").await?;
    assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (b"out\njerry\n".as_slice(), b"err\n".as_slice()));
    assert_eq!(said.status, Some(42));
    let said = client.run("kill -TERM $$").await?;
    assert_eq!((said.status, said.signal.as_deref()), (None, Some("TERM")));
    assert_eq!(lab.world.gate.live_count(), 1);
    client.leave().await?;
    lab.until_nobody_is_in().await;
    assert_eq!(lab.world.sink.names(), ["session.start", "session.command", "session.command", "session.end"]);
    Ok(())
}

#[tokio::test]
async fn input_passes_and_its_end_does() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3@gate.example", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.exec(true, "sha256sum | cut -c1-8; cat | wc -c").await?;
    let sent = vec![0; 3_000_000];
    channel.data(sent.as_slice()).await?;
    channel.eof().await?;
    let said = lab::gather(&mut channel).await;
    assert_eq!(String::from_utf8_lossy(&said.stdout), "35bce4ea\n0\n");
    assert_eq!(said.status, Some(0));
    Ok(())
}

#[tokio::test]
async fn much_data_both_ways_at_once() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.exec(true, "head -c 30000000 /dev/zero; echo done >&2").await?;
    let said = lab::gather(&mut channel).await;
    assert_eq!((said.stdout.len(), said.stderr.as_slice()), (30_000_000, b"done\n".as_slice()));
    assert_eq!(said.status, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_terminal_with_its_size() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.request_pty(true, "xterm", 101, 33, 0, 0, &[]).await?;
    channel.exec(true, "stty size; read line; stty size; tty >/dev/null && echo $TERM").await?;
    let mut seen = Vec::new();
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::Data { data } = message {
            seen.extend_from_slice(&data);
            if seen.ends_with(b"33 101\r\n") {
                channel.window_change(80, 24, 0, 0).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                channel.data(b"\n".as_slice()).await?;
            }
        }
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("33 101\r\n") && seen.contains("24 80\r\n") && seen.contains("xterm\r\n"), "{seen}");
    Ok(())
}

#[tokio::test]
async fn exit_statuses_of_many_channels_are_all_there() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    for round in 0..60 {
        let said = client.run("echo x; exit 7").await?;
        assert_eq!((said.stdout.as_slice(), said.status), (b"x\n".as_slice(), Some(7)), "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_login_certificate_opens() -> Result {
    let lab = Lab::start("").await?;
    let said = lab.enter("jerry@dev1", Via::Login).await?.run("echo hi").await?;
    assert_eq!(said.stdout, b"hi\n");
    let refused = lab.turned_away("jerry@prod3", Via::Login).await?;
    assert_eq!(
        refused,
        "ERROR: MFA is required to access Node \"prod3\" (this connection opens no session first, in which the gate could \
         ask; use `tap ssh`, or leave out -N)"
    );
    Ok(())
}

#[tokio::test]
async fn refusals_reach_the_client_in_words() -> Result {
    let lab = Lab::start("").await?;
    for (name, words) in [
        ("jerry@nowhere", "ERROR: access to \"nowhere\" denied, or there is no such target"),
        ("mallory@dev1", "ERROR: access to \"dev1\" denied, or there is no such target"),
        ("jerry@down", "ERROR: Node \"down\" cannot be reached: connection refused"),
        ("jerry@imposter", "ERROR: node \"imposter\" can't be entered: its host key SHA256:"),
        ("jerry@stranger", "ERROR: node \"stranger\" can't be entered: it refused the gate's certificate"),
    ] {
        let refused = lab.turned_away(name, Via::Login).await?;
        assert!(refused.starts_with(words), "{name}: {refused}");
    }
    Ok(())
}

#[tokio::test]
async fn who_may_not_come_in() -> Result {
    let lab = Lab::start("").await?;
    for (name, via, banner) in [
        ("jerry@prod3", Via::PlainKey, None),
        ("jerry@prod3", Via::OtherCa, None),
        ("root@prod3", Via::Session, None),
        ("jerry@prod3", Via::Expired, Some("ERROR: the certificate has expired")),
        ("root", Via::Login, Some("ERROR: the user name \"root\" names no target")),
        ("jerry@a b", Via::Login, Some("ERROR: the user name leads nowhere")),
    ] {
        let refused = lab.rejected(name, via).await?;
        match banner {
            Some(words) => assert!(refused.as_ref().is_some_and(|text| text.starts_with(words)), "{name} {refused:?}"),
            None => assert_eq!(refused, None, "{name}"),
        }
    }
    assert_eq!(lab.world.gate.live_count(), 0);
    Ok(())
}

#[tokio::test]
async fn the_tunnel_must_be_the_same_users() -> Result {
    let lab = Lab::start("").await?.with_tunnel_of("ann");
    let refused = lab.rejected("jerry@dev1", Via::Login).await?;
    assert!(refused.is_some_and(|text| text.contains("jerry's") && text.contains("ann's")));
    let lab = Lab::start("").await?.with_tunnel_of("jerry");
    assert_eq!(lab.enter("jerry@dev1", Via::Login).await?.run("echo hi").await?.stdout, b"hi\n");
    Ok(())
}

#[tokio::test]
async fn forwarding_is_refused_in_words_or_allowed_by_role() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let refused = client.session.channel_open_direct_tcpip("127.0.0.1", 1, "127.0.0.1", 2).await;
    assert!(matches!(
        refused,
        Err(russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::AdministrativelyProhibited))
    ));
    assert!(client.session.tcpip_forward("127.0.0.1", 0).await.is_err());
    let channel = client.session.channel_open_session().await?;
    channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0).await?;
    channel.agent_forward(true).await?;
    assert_eq!(client.run("echo on").await?.stdout, b"on\n", "the connection goes on");
    Ok(())
}

#[tokio::test]
async fn a_lock_cuts_the_session_within_a_second() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.exec(true, "echo $$; exec cat /dev/zero").await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let reading = tokio::spawn(async move { while channel.wait().await.is_some() {} });
    let begun = tokio::time::Instant::now();
    lab.lock_jerry();
    let message = client.farewell().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(message.contains("this session was ended: access is locked: lost-laptop"), "{message}");
    reading.await?;
    lab.until_nobody_is_in().await;
    Ok(())
}

#[tokio::test]
async fn a_channel_after_the_window_is_refused() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    assert_eq!(client.run("echo first").await?.stdout, b"first\n");
    assert_eq!(client.run("echo second").await?.stdout, b"second\n");
    lab.world.clock.advance(Duration::from_mins(6));
    let refused = client.session.channel_open_session().await;
    assert!(matches!(
        refused,
        Err(russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::AdministrativelyProhibited))
    ));
    Ok(())
}

#[tokio::test]
async fn an_idle_client_is_sent_away() -> Result {
    let lab = Lab::start("client_idle_timeout: 1s").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.exec(true, "while true; do echo busy; sleep 0.1; done").await?;
    let reading = tokio::spawn(async move { while channel.wait().await.is_some() {} });
    let message = client.farewell().await;
    assert_eq!(message, "ERROR: this session was ended: nothing was typed for 1 seconds");
    reading.await?;
    Ok(())
}

#[tokio::test]
async fn a_target_that_dies_is_reported_after_its_last_words() -> Result {
    let mut lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    channel.exec(true, "echo last words; sleep 60").await?;
    let Some(ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. }) = channel.wait().await else {
        return Err("no answer".into());
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.kill_target();
    let said = lab::gather(&mut channel).await;
    assert_eq!(said.stdout, b"last words\n");
    assert_eq!(client.farewell().await, "node \"prod3\" closed the connection");
    Ok(())
}

#[tokio::test]
async fn a_tap_for_one_session_opens_one() -> Result {
    let lab = Lab::start("session_mfa_window: 0s").await?;
    let once = lab.tap("prod3", "jerry", Uses::Once)?;
    let first = lab.enter_with("jerry@prod3", &once).await?;
    assert_eq!(first.run("echo once").await?.stdout, b"once\n");
    let second = lab.enter_with("jerry@prod3", &once).await?;
    assert!(second.farewell().await.contains("is spent"));
    Ok(())
}

#[tokio::test]
async fn a_giant_window_neither_fills_the_gate_nor_stalls() -> Result {
    let lab = Lab::start("").await?.with_window(1 << 31);
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    let mut channel = client.session.channel_open_session().await?;
    let dir = tempfile::tempdir()?;
    let done = dir.path().join("done");
    // The client reads nothing at first, whatever window it has named.
    channel.exec(true, format!("head -c 50000000 /dev/zero && touch {}", done.display())).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!done.exists(), "everything was taken from the target, and nobody has read it");
    let said = lab::gather(&mut channel).await;
    assert_eq!((said.stdout.len(), said.status), (50_000_000, Some(0)));
    Ok(())
}

#[tokio::test]
async fn a_client_against_the_protocol_is_told_so() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@prod3", Via::Session).await?;
    assert_eq!(client.run("echo on").await?.stdout, b"on\n");
    client.session.raw_sender().send(bytes::Bytes::from_static(&[97, 0, 0, 0, 99]));
    let message = client.farewell().await;
    assert_eq!(message, "ERROR: this session was ended: the client spoke of channel 99, which is not open");
    lab.until_nobody_is_in().await;
    Ok(())
}

#[tokio::test]
async fn a_client_does_not_flood_a_session_that_is_not_open_yet() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@silent", Via::Login).await?;
    let sender = client.session.raw_sender();
    for _ in 0..100 {
        sender.send(bytes::Bytes::from_static(b"\x50\0\0\0\x01x\0"));
    }
    assert_eq!(client.farewell().await, "ERROR: the client sent too much before its session was open");
    lab.until_nobody_is_in().await;
    Ok(())
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_no_session() -> Result {
    let lab = Lab::start("").await?;
    for name in ["jerry@dev1", "jerry@silent"] {
        let client = lab.enter(name, Via::Login).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(lab.world.gate.live_count(), 1);
        drop(client);
        lab.until_nobody_is_in().await;
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_ssh() -> Result {
    let lab = Lab::start("").await?;
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 5000], b"SSH-2.0-x\r\n\0\0\0\0\0\0\0\0".to_vec()] {
        lab.send_garbage(&bytes).await?;
    }
    assert_eq!(lab.enter("jerry@dev1", Via::Login).await?.run("echo alive").await?.stdout, b"alive\n");
    Ok(())
}
