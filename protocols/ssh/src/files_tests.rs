//! The client of SFTP with servers that are slow, short, hostile or gone.

use tokio::io::DuplexStream;

use super::*;

/// A server that answers what this makes of each request: its kind, its number and the rest.
async fn served(answer: impl Fn(u8, u32, &[u8]) -> Vec<u8> + Send + 'static) -> Result<Files, FileError> {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        while let Ok(request) = packet(&mut server).await {
            let kind = request[0];
            let id = u32::from_be_bytes(request[1..5].try_into().unwrap());
            if kind == kind::INIT {
                say(&mut server, &[kind::VERSION, 0, 0, 0, 3]).await;
                continue;
            }
            let reply = answer(kind, id, &request[5..]);
            if reply.is_empty() {
                return;
            }
            say(&mut server, &reply).await;
        }
    });
    Files::over(client).await
}

async fn say(server: &mut DuplexStream, packet: &[u8]) {
    server.write_u32(u32::try_from(packet.len()).unwrap()).await.unwrap();
    server.write_all(packet).await.unwrap();
}

fn reply(kind: u8, id: u32, rest: &[u8]) -> Vec<u8> {
    [&[kind], id.to_be_bytes().as_slice(), rest].concat()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [u32::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(), bytes].concat()
}

fn status(id: u32, code: u32) -> Vec<u8> {
    reply(kind::STATUS, id, &[code.to_be_bytes().to_vec(), text(b"no\x1b[31m"), text(b"")].concat())
}

fn plain(id: u32, size: u64) -> Vec<u8> {
    let body = [5u32.to_be_bytes().as_slice(), &size.to_be_bytes(), &0o100_644_u32.to_be_bytes()].concat();
    reply(kind::ATTRS, id, &body)
}

/// A server with one file, which it hands out in parts of at most so many bytes.
fn one_file(content: Vec<u8>, part: usize) -> impl Fn(u8, u32, &[u8]) -> Vec<u8> {
    move |kind, id, body| match kind {
        kind::STAT => plain(id, u64::try_from(content.len()).unwrap()),
        kind::OPEN => reply(kind::HANDLE, id, &text(b"h")),
        kind::READ => {
            let at = usize::try_from(u64::from_be_bytes(body[5..13].try_into().unwrap())).unwrap();
            match content.get(at..).filter(|rest| !rest.is_empty()) {
                Some(rest) => reply(kind::DATA, id, &text(&rest[..rest.len().min(part)])),
                None => status(id, STATUS_END),
            }
        }
        _ => status(id, STATUS_OK),
    }
}

#[tokio::test]
async fn a_file_comes_whole_however_it_is_cut() {
    let content: Vec<u8> = (0..300_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for part in [1_000_000, 32 * 1024, 10_000, 32 * 1024 - 1] {
        let files = served(one_file(content.clone(), part.min(32 * 1024))).await.unwrap();
        let mut download = files.download("x").await.unwrap();
        assert_eq!(download.facts().size, Some(300_000));
        let mut got = Vec::new();
        while let Some(bytes) = download.next().await.unwrap() {
            got.extend_from_slice(&bytes);
        }
        assert!(got == content, "{part}");
        assert_eq!(download.next().await, Ok(None), "the end stays the end");
    }
}

#[tokio::test]
async fn a_file_goes_whole_and_counts_once_it_is_closed() {
    let files = served(|kind, id, _| match kind {
        kind::STAT => status(id, 2),
        kind::OPEN => reply(kind::HANDLE, id, &text(b"h")),
        _ => status(id, STATUS_OK),
    });
    let files = files.await.unwrap();
    let mut upload = files.upload("x", false).await.unwrap();
    for _ in 0..40 {
        upload.put(&vec![7; 50_000]).await.unwrap();
        assert!(upload.pending.len() <= FILE_REQUESTS_MAX);
    }
    assert_eq!(upload.finish().await, Ok(2_000_000));
}

#[tokio::test]
async fn a_disk_that_is_full_is_told() {
    let files = served(|kind, id, _| match kind {
        kind::OPEN => reply(kind::HANDLE, id, &text(b"h")),
        kind::WRITE => status(id, 4),
        _ => status(id, STATUS_OK),
    });
    let mut upload = files.await.unwrap().upload("x", true).await.unwrap();
    upload.put(b"some").await.unwrap();
    assert_eq!(upload.finish().await, Err(FileError::Refused("no [31m".to_owned())), "and can't colour a terminal");
}

#[tokio::test]
async fn what_is_there_is_replaced_only_where_that_is_asked_for() {
    let files = served(one_file(b"old".to_vec(), 100)).await.unwrap();
    assert_eq!(files.upload("x", false).await.err(), Some(FileError::Exists));
    assert!(files.upload("x", true).await.is_ok());
}

#[tokio::test]
async fn names_and_kinds_that_are_no_files() {
    let files = served(one_file(b"x".to_vec(), 1)).await.unwrap();
    for name in ["", "a\0b", &"x".repeat(PATH_MAX + 1)] {
        assert_eq!(files.facts(name).await.err(), Some(FileError::Name), "{name:?}");
    }
    let directory =
        |_, id, _: &[u8]| reply(kind::ATTRS, id, &[4u32.to_be_bytes(), 0o040_755_u32.to_be_bytes()].concat());
    let files = served(directory).await.unwrap();
    assert!(files.facts(".").await.unwrap().is_directory());
    assert_eq!(files.download(".").await.err(), Some(FileError::NoFile));
    assert_eq!((checked("~"), checked("~/a"), checked("/~/a")), (Ok("."), Ok("a"), Ok("/~/a")));
}

/// What a server says to a request.
type Answer = fn(u8, u32, &[u8]) -> Vec<u8>;

#[tokio::test]
async fn a_server_that_lies_or_leaves_ends_what_waits() {
    // An answer to nothing, an empty part, a part that is too long, and an end in the middle.
    let strange: [Answer; 4] = [
        |_, id, _| status(id + 1, STATUS_OK),
        |kind, id, body| {
            if kind == kind::READ { reply(kind::DATA, id, &text(b"")) } else { one_file(vec![1; 9], 9)(kind, id, body) }
        },
        |kind, id, body| {
            if kind == kind::READ {
                reply(kind::DATA, id, &text(&vec![0; 40_000]))
            } else {
                one_file(vec![1; 9], 9)(kind, id, body)
            }
        },
        |kind, id, body| if kind == kind::READ { Vec::new() } else { one_file(vec![1; 9], 9)(kind, id, body) },
    ];
    for (number, answer) in strange.into_iter().enumerate() {
        let files = served(answer).await.unwrap();
        let got = match files.download("x").await {
            Ok(mut download) => download.next().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(got, Err(FileError::Over | FileError::Broken)), "{number}: {got:?}");
    }
    let (client, mut server) = tokio::io::duplex(64);
    tokio::spawn(async move { say(&mut server, &[9; 5]).await });
    assert_eq!(Files::over(client).await.err(), Some(FileError::Broken));
}
