//! Clients and targets that do not keep to the protocol: each loses its own connection, and nobody else's.

use std::time::Duration;

use tapgate_proof::Uses;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Result;
use super::lab::{Client, Lab, Outcome, Via};

const SOON: Duration = Duration::from_secs(20);

fn u32s(kind: u8, fields: &[u32]) -> Vec<u8> {
    std::iter::once(kind).chain(fields.iter().flat_map(|field| field.to_be_bytes())).collect()
}

fn string(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes(), text].concat()
}

fn open(kind: &[u8], number: u32, window: u32) -> Vec<u8> {
    [&[90][..], &string(kind), &u32s(0, &[number, window, 32_768])[1..]].concat()
}

fn request(recipient: u32, name: &[u8], body: &[u8]) -> Vec<u8> {
    [&u32s(98, &[recipient])[..], &string(name), &[1], body].concat()
}

fn data(recipient: u32, length: usize) -> Vec<u8> {
    [u32s(94, &[recipient]), string(&vec![7; length])].concat()
}

/// Somebody else's session goes on as ever.
async fn is_alive(lab: &Lab) -> Result {
    assert_eq!(lab.enter("jerry@dev1", Via::Login).await?.run("echo alive").await?.stdout, b"alive\n");
    Ok(())
}

async fn ends(client: &Client, words: &str) {
    let said = client.farewell().await;
    assert!(said.contains(words), "{words}: {said}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

#[tokio::test]
async fn packets_of_a_client_that_are_none() -> Result {
    let lab = Lab::start("").await?;
    let endless = [&[94][..], &u32s(0, &[0, u32::MAX])[1..]].concat();
    let long = [&[95][..], &u32s(0, &[0, 1])[1..], &string(&vec![0; 70_000])].concat();
    for (packet, words) in [
        (vec![101], "no packet of type 101"),
        (vec![255, 0, 0], "no packet of type 255"),
        (vec![80], "type 80 is cut short"),
        (u32s(93, &[0]), "type 93 is cut short"),
        (u32s(97, &[0, 0]), "type 97 has bytes after its end"),
        (endless, "type 94 is cut short"),
        (long, "type 95 is too long"),
        (open(b"ses\x1b[2Jsion", 3, 1), "type 90 holds a field that can't be read"),
        (open(b"", 3, 1), "type 90 holds a field that can't be read"),
        (open(&[b'x'; 65], 3, 1), "type 90 holds a field that can't be read"),
        (request(0, b"sh\0ell", b""), "type 98 holds a field that can't be read"),
        (vec![81], "answered a request that nobody made"),
        (data(9, 1), "channel 9, which is not open"),
        (u32s(96, &[9]), "channel 9, which is not open"),
    ] {
        let client = lab.enter("jerry@dev1", Via::Login).await?;
        assert_eq!(client.run("echo on").await?.stdout, b"on\n");
        client.deafen();
        client.say(&packet);
        ends(&client, words).await;
    }
    lab.until_nobody_is_in().await;
    is_alive(&lab).await
}

#[tokio::test]
async fn a_flood_of_channels_is_refused_and_the_connection_goes_on() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@dev1", Via::Login).await?;
    let mut open = Vec::new();
    let refused = loop {
        match client.session.channel_open_session().await {
            Ok(channel) => open.push(channel),
            Err(error) => break error,
        }
        assert!(open.len() <= 64, "there is no end");
    };
    assert!(
        matches!(refused, russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ResourceShortage)),
        "{refused}"
    );
    assert_eq!(open.len(), 64);
    let last = open.pop().ok_or("no channel")?;
    last.close().await?;
    drop(open);
    is_alive(&lab).await
}

#[tokio::test]
async fn a_window_that_is_overrun_or_opened_beyond_all_ends_the_session() -> Result {
    let lab = Lab::start("").await?;
    let client = lab.enter("jerry@dev1", Via::Login).await?;
    let channel = client.session.channel_open_session().await?;
    channel.exec(true, "sleep 60").await?;
    // The target's number for its first channel is 0; its program reads nothing.
    (0..200).for_each(|_| client.say(&data(0, 32_768)));
    ends(&client, "the client sent more data than channel 0 has window for").await;

    let client = lab.enter("jerry@dev1", Via::Login).await?;
    let _channel = client.session.channel_open_session().await?;
    client.say(&u32s(93, &[0, u32::MAX]));
    client.say(&u32s(93, &[0, u32::MAX]));
    ends(&client, "opened channel 0's window beyond 4 GiB").await;
    is_alive(&lab).await
}

#[tokio::test]
async fn terminal_modes_of_any_size() -> Result {
    let lab = Lab::start("").await?;
    let pty = |modes: &[u8]| {
        let size = u32s(0, &[80, 24, 0, 0]);
        request(0, b"pty-req", &[string(b"xterm"), size[1..].to_vec(), string(modes)].concat())
    };
    // Two hundred modes, more than there are, are the target's to judge.
    let client = lab.enter("jerry@dev1", Via::Login).await?;
    let _channel = client.session.channel_open_session().await?;
    client.say(&pty(&[[53, 0, 0, 0, 1].repeat(200), vec![0]].concat()));
    client.say(&pty(&[[159, 0].repeat(3), vec![255; 7]].concat()));
    is_alive(&lab).await?;
    // Ten megabytes are no packet.
    let client = lab.enter("jerry@dev1", Via::Login).await?;
    let _channel = client.session.channel_open_session().await?;
    client.say(&pty(&vec![53; 10_000_000]));
    timeout(SOON, client.farewell()).await?;
    is_alive(&lab).await
}

#[tokio::test]
async fn messages_out_of_their_order() -> Result {
    let lab = Lab::start("").await?;
    let auth = |user: &[u8]| [&[50][..], &string(user), &string(b"ssh-connection"), &string(b"none")].concat();
    // Before a login: nothing of the connection protocol counts, nor an answer to what nobody asked.
    let early =
        [open(b"session", 0, 1), vec![80], vec![21], vec![52], [&[61][..], &u32s(0, &[u32::MAX])[1..]].concat()];
    for packet in &early {
        let client = lab.stranger().await?;
        client.say(packet);
        assert!(lab.world.gate.live_count() == 0);
        drop(client);
    }
    // After it: another user name, another service, new keys that nobody agreed upon, a success of one's own.
    let late = [auth(b"root@prod3"), [&[5][..], &string(b"ssh-userauth")].concat(), vec![21], vec![52], vec![31, 0, 0]];
    for packet in late {
        let client = lab.enter("jerry@dev1", Via::Login).await?;
        assert_eq!(client.run("echo $TAPGATE_DEMO_LOGIN").await?.stdout, b"jerry\n");
        client.say(&packet);
        // It may go on as who it is, or be over; it becomes nobody else.
        let after = timeout(SOON, client.run("echo $TAPGATE_DEMO_LOGIN")).await?;
        assert!(after.is_err() || after.is_ok_and(|said| said.stdout.is_empty() || said.stdout == b"jerry\n"));
    }
    assert!(lab.world.sink.names().iter().all(|name| *name != "session.denied"), "nothing else was asked for");
    is_alive(&lab).await
}

#[tokio::test]
async fn a_client_that_changes_its_user_is_judged_anew_each_time() -> Result {
    let lab = Lab::start("").await?;
    let (session, login) = (lab.tap("prod3", "jerry", Uses::Window)?, lab.papers(Via::Login)?);
    let mut client = lab.stranger().await?;
    // What was good for one name is nothing for another, also when it was shown before.
    assert!(!client.log_in("root@prod3", &session).await?);
    assert!(!client.log_in("ann", &login).await?);
    assert!(!client.log_in("jerry@a b", &login).await?);
    assert!(client.log_in("jerry@prod3", &session).await?);
    assert_eq!(client.run("echo $TAPGATE_DEMO_LOGIN").await?.stdout, b"jerry\n");
    Ok(())
}

#[tokio::test]
async fn packets_of_a_target_that_are_none() -> Result {
    let lab = Lab::start("").await?;
    let confirm = u32s(91, &[0, 5, 1 << 20, 32_768]);
    let overrun = [vec![confirm.clone()], vec![data(0, 32_768); 80]].concat();
    for (script, words) in [
        (vec![vec![102, 1, 2]], "the target broke the SSH protocol"),
        (vec![u32s(91, &[77, 0, 1, 1])], "the target spoke of channel 77, which is not open"),
        (vec![confirm.clone(), confirm.clone()], "the target gave two channels the number 5"),
        (vec![u32s(92, &[8, 1])], "the target broke the SSH protocol"),
        (vec![data(0, 1)], "the target spoke of channel 0, which is not open"),
        (overrun, "the target sent more data than channel 0 has window for"),
        (vec![confirm.clone(), u32s(93, &[0, u32::MAX])], "the target opened channel 0's window beyond 4 GiB"),
        (vec![confirm.clone(), u32s(99, &[0])], "the target answered a request that nobody made"),
        (vec![vec![82]], "the target answered a request that nobody made"),
        (vec![confirm.clone(), request(0, b"exit\x07status", b"")], "the target broke the SSH protocol"),
    ] {
        lab.hostile.will_say(&script);
        let client = lab.enter("jerry@hostile", Via::Login).await?;
        client.deafen();
        client.say(&open(b"session", 0, 1 << 20));
        ends(&client, words).await;
    }
    lab.until_nobody_is_in().await;
    is_alive(&lab).await
}

#[tokio::test]
async fn a_target_opens_nothing_that_was_not_asked_for() -> Result {
    let lab = Lab::start("").await?;
    let kinds: [&[u8]; 5] = [b"x11", b"session", b"auth-agent@openssh.com", b"forwarded-tcpip", b"direct-tcpip"];
    lab.hostile.will_say(&kinds.map(|kind| open(kind, 9, 1 << 20)));
    let client = lab.enter("jerry@hostile", Via::Login).await?;
    client.deafen();
    client.say(&open(b"session", 0, 1 << 20));
    // Each is refused, and the client hears of none: the next word that it hears is the end.
    lab.hostile.will_say(&[vec![102]]);
    client.say(&open(b"session", 1, 1 << 20));
    ends(&client, "the target broke the SSH protocol").await;
    Ok(())
}

/// A packet before there are keys (RFC 4253, section 6).
fn plain(payload: &[u8]) -> Outcome<Vec<u8>> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1)?;
    Ok([&length.to_be_bytes()[..], &[u8::try_from(padding)?], payload, &vec![0; padding]].concat())
}

fn kexinit(kex: &[u8], mac: &[u8]) -> Vec<u8> {
    let ctr = string(b"aes128-ctr");
    let lists = [string(kex), string(b"ssh-ed25519"), ctr.clone(), ctr, string(mac), string(mac)];
    let none = [string(b"none"), string(b"none"), string(b""), string(b"")];
    [&[20][..], &[9; 16], &lists.concat(), &none.concat(), &[0, 0, 0, 0, 0]].concat()
}

#[tokio::test]
async fn handshakes_that_were_the_end_of_others() -> Result {
    let lab = Lab::start("").await?;
    let hello = b"SSH-2.0-x\r\n".to_vec();
    let curve = kexinit(b"curve25519-sha256", b"hmac-sha2-256");
    let point = |length: usize| [vec![30], string(&vec![0; length])].concat();
    let mlkem = kexinit(b"mlkem768x25519-sha256", b"hmac-sha2-256");
    let greetings: Vec<Vec<Vec<u8>>> = vec![
        // A point of zeros, of no length, of the wrong length; the same for the hybrid.
        vec![plain(&curve)?, plain(&point(32))?],
        vec![plain(&curve)?, plain(&point(0))?],
        vec![plain(&curve)?, plain(&point(31))?],
        vec![plain(&mlkem)?, plain(&point(1184 + 32))?],
        vec![plain(&mlkem)?, plain(&point(7))?],
        // No MAC at all, nothing in common, lists without end.
        vec![plain(&kexinit(b"curve25519-sha256", b"none"))?],
        vec![plain(&kexinit(b"nothing", b"nothing"))?],
        vec![plain(&[&[20][..], &[9; 16], &u32::MAX.to_be_bytes()].concat())?],
        // Lengths that are none.
        vec![u32::MAX.to_be_bytes().to_vec()],
        vec![vec![0; 8]],
        vec![vec![0, 0, 0, 12, 255, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
        // The protocol's end before its beginning.
        vec![plain(&[21])?],
        vec![plain(&[52])?],
        vec![plain(&[1, 0, 0, 0, 2, 255, 255, 255, 255])?],
        vec![vec![b'A'; 100_000]],
    ];
    for (n, packets) in greetings.into_iter().enumerate() {
        let mut stream = lab.connect().await?;
        stream.write_all(&hello).await?;
        for packet in packets {
            // It may have been told enough already.
            drop(stream.write_all(&packet).await);
        }
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await.map_err(|_| format!("greeting {n} is not ended"))?.ok();
    }
    is_alive(&lab).await
}

#[tokio::test]
async fn handshakes_of_a_target_that_were_the_end_of_others() -> Result {
    let lab = Lab::start("").await?;
    let curve = plain(&kexinit(b"curve25519-sha256", b"hmac-sha2-256"))?;
    let mlkem = plain(&kexinit(b"mlkem768x25519-sha256", b"hmac-sha2-256"))?;
    let key = [string(b"ssh-ed25519"), string(&[7; 32])].concat();
    let signature = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
    let reply = |point: usize| plain(&[vec![31], string(&key), string(&vec![0; point]), string(&signature)].concat());
    let greetings = [
        vec![curve.clone(), reply(0)?],
        vec![curve.clone(), reply(31)?],
        vec![curve.clone(), reply(32)?],
        vec![curve.clone(), reply(33)?],
        vec![mlkem.clone(), reply(7)?],
        vec![mlkem, reply(1088 + 32)?],
        vec![plain(&kexinit(b"curve25519-sha256", b"none"))?],
        vec![curve, plain(&[31, 255, 255, 255, 255])?],
        vec![u32::MAX.to_be_bytes().to_vec(), vec![0; 64]],
        vec![vec![b'A'; 100_000]],
    ];
    for (n, packets) in greetings.into_iter().enumerate() {
        lab.raw.will_say([b"SSH-2.0-x\r\n".to_vec(), packets.concat()].concat());
        let said = timeout(SOON, lab.turned_away("jerry@raw", Via::Login)).await??;
        assert!(said.starts_with("ERROR: node \"raw\" can't be entered: "), "{n}: {said}");
    }
    lab.until_nobody_is_in().await;
    is_alive(&lab).await
}

#[tokio::test(start_paused = true)]
async fn a_banner_that_drips_ends_with_the_handshakes_time() -> Result {
    let lab = Lab::start("").await?;
    let mut stream = lab.connect_in_memory();
    let begun = tokio::time::Instant::now();
    stream.write_all(b"SSH-2.0-").await?;
    let mut seconds = 0;
    while stream.write_all(b"x").await.is_ok() && seconds < 600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seconds += 1;
    }
    assert!((50..70).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    Ok(())
}
