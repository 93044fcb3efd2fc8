//! One direction of a session: frames pass as they came; only their heads are read, and the few that matter.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Buf as _;
use tapgate_relay::Inbox;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::limits::WHOLE_MAX;
use crate::wire::{Broken, Frame, HEAD, Head};

/// Looks at the frames that matter.
pub(crate) trait Eye: Send {
    /// How much of a frame of this kind must be there to be looked at; nothing where it passes unseen.
    fn wants(&self, kind: u8) -> Option<usize>;

    /// Looks at a frame, and says what becomes of it.
    fn look(&mut self, frame: Frame<'_>) -> impl Future<Output = Result<Step, Broken>> + Send;

    /// Something has come.
    fn moved(&mut self);
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It passes.
    Pass,
    /// These bytes pass in its stead.
    Replace(Vec<u8>),
}

/// Why a direction is over.
#[derive(Debug)]
pub(crate) enum End {
    /// The sender has closed.
    Closed,
    /// The sender's connection broke.
    From(std::io::Error),
    /// The receiver's connection broke.
    To(std::io::Error),
    /// The sender breaks the protocol.
    Broken(Broken),
}

/// What is read and not passed on yet.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Inbox,
    /// How many of them may pass.
    settled: usize,
    /// What still comes of a frame that passes.
    passing: usize,
    /// What still comes of a frame that was replaced.
    dropping: usize,
}

/// What is next in a buffer.
enum Next {
    /// Nothing before more is read.
    More,
    /// A frame to be looked at, of which so much is there.
    Look(Head, usize),
}

impl Buffer {
    /// Settles all frames that pass unseen, up to one that must be looked at.
    fn next(&mut self, wants: impl Fn(u8) -> Option<usize>) -> Result<Next, Broken> {
        loop {
            let there = self.bytes.len() - self.settled;
            if self.passing > 0 {
                let now = self.passing.min(there);
                self.settled += now;
                self.passing -= now;
                if self.passing > 0 {
                    return Ok(Next::More);
                }
                continue;
            }
            let Some(head) = Head::read(self.bytes.get(self.settled..).unwrap_or_default())? else {
                return Ok(Next::More);
            };
            let wanted = wants(head.kind);
            // Held until it is whole, if it can be: then the sender can be stopped between two frames.
            let here = head.size.min(wanted.unwrap_or_default().max(WHOLE_MAX));
            if there < here {
                return Ok(Next::More);
            }
            if wanted.is_some() {
                return Ok(Next::Look(head, head.size.min(there)));
            }
            self.pass(head, head.size.min(there));
        }
    }

    fn frame(&self, head: Head, here: usize) -> Frame<'_> {
        let body = self.bytes.get(self.settled + HEAD..self.settled + here).unwrap_or_default();
        Frame { kind: head.kind, body, whole: here == head.size }
    }

    fn pass(&mut self, head: Head, here: usize) {
        self.settled += here;
        self.passing = head.size - here;
    }

    /// Drops a frame that begins the buffer.
    fn drop_frame(&mut self, head: Head, here: usize) {
        self.bytes.advance(here);
        self.dropping = head.size - here;
    }

    fn drop_rest(&mut self) {
        let now = self.dropping.min(self.bytes.len());
        self.bytes.advance(now);
        self.dropping -= now;
    }
}

/// Passes frames on until one side ends. `within` says whether the receiver has a part of a frame only.
pub(crate) async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    eye: &mut impl Eye,
    within: &AtomicBool,
) -> End {
    let mut buffer = Buffer::default();
    loop {
        match buffer.bytes.fill(from).await {
            Ok(0) => return End::Closed,
            Ok(_) => eye.moved(),
            Err(error) => return End::From(error),
        }
        if let Err(end) = pass_on(&mut buffer, to, eye, within).await {
            return end;
        }
    }
}

/// Passes on what is settled of a buffer.
async fn pass_on(
    buffer: &mut Buffer,
    to: &mut (impl AsyncWrite + Unpin),
    eye: &mut impl Eye,
    within: &AtomicBool,
) -> Result<(), End> {
    buffer.drop_rest();
    loop {
        let (head, here) = match buffer.next(|kind| eye.wants(kind)).map_err(End::Broken)? {
            Next::More => break,
            Next::Look(head, here) => (head, here),
        };
        match eye.look(buffer.frame(head, here)).await.map_err(End::Broken)? {
            Step::Pass => buffer.pass(head, here),
            Step::Replace(bytes) => {
                write(buffer, to, within).await?;
                within.store(true, Ordering::Relaxed);
                to.write_all(&bytes).await.map_err(End::To)?;
                within.store(false, Ordering::Relaxed);
                buffer.drop_frame(head, here);
                buffer.drop_rest();
            }
        }
    }
    write(buffer, to, within).await?;
    to.flush().await.map_err(End::To)
}

async fn write(buffer: &mut Buffer, to: &mut (impl AsyncWrite + Unpin), within: &AtomicBool) -> Result<(), End> {
    if buffer.settled > 0 {
        within.store(true, Ordering::Relaxed);
        to.write_all(buffer.bytes.get(..buffer.settled).unwrap_or_default()).await.map_err(End::To)?;
        buffer.bytes.advance(std::mem::take(&mut buffer.settled));
        within.store(buffer.passing > 0, Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::frame;

    /// Replaces frames of one kind, and looks at those of another.
    #[derive(Default)]
    struct Test {
        seen: Vec<(u8, usize, bool)>,
    }

    impl Eye for Test {
        fn wants(&self, kind: u8) -> Option<usize> {
            matches!(kind, b'L' | b'R').then_some(100_000)
        }

        async fn look(&mut self, frame: Frame<'_>) -> Result<Step, Broken> {
            self.seen.push((frame.kind, frame.body.len(), frame.whole));
            Ok(if frame.kind == b'R' { Step::Replace(b"X\0\0\0\x04".to_vec()) } else { Step::Pass })
        }

        fn moved(&mut self) {}
    }

    async fn run(input: &[u8], pieces: usize) -> (Vec<u8>, Test, End, bool) {
        let mut output = Vec::new();
        let (mut eye, within) = (Test::default(), AtomicBool::new(false));
        let (mut near, mut far) = tokio::io::duplex(pieces);
        let end = tokio::join!(
            async {
                near.write_all(input).await.unwrap_or_default();
                drop(near);
            },
            pass(&mut far, &mut output, &mut eye, &within)
        )
        .1;
        (output, eye, end, within.into_inner())
    }

    fn of(kind: u8, size: usize) -> Vec<u8> {
        frame(kind, &vec![7; size])
    }

    #[tokio::test]
    async fn frames_pass_as_they_are_and_some_are_replaced() {
        let input =
            [of(b'D', 10), of(b'R', 3), of(b'd', 200_000), of(b'R', 300_000), of(b'L', 0), of(b'Z', 1)].concat();
        let due = [of(b'D', 10), of(b'X', 0), of(b'd', 200_000), of(b'X', 0), of(b'L', 0), of(b'Z', 1)].concat();
        for pieces in [1, 7, 5000, 1 << 20] {
            let (output, eye, end, within) = run(&input, pieces).await;
            assert!(output == due && matches!(end, End::Closed) && !within, "{pieces} {end:?}");
            let kinds: Vec<_> = eye.seen.iter().map(|(kind, _, whole)| (*kind, *whole)).collect();
            assert_eq!(kinds, [(b'R', true), (b'R', false), (b'L', true)]);
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_not_whole_does_not_pass_unless_it_is_long() {
        let (output, _, end, within) = run(&of(b'D', 1000)[..500], 4096).await;
        assert!(output.is_empty() && matches!(end, End::Closed) && !within);
        let (output, _, _, within) = run(&of(b'D', 100_000)[..50_000], 4096).await;
        assert!(output.len() == 50_000 && within, "{}", output.len());
    }

    #[tokio::test]
    async fn an_impossible_length_ends_it_and_what_was_before_is_not_lost_in_words() {
        let input = [of(b'D', 10), b"D\x7f\xff\xff\xff".to_vec(), of(b'D', 10)].concat();
        let (output, _, end, _) = run(&input, 4096).await;
        assert!(matches!(end, End::Broken(Broken::Length(0x7fff_ffff))) && output.len() <= 15);
    }

    proptest! {
        #[test]
        fn any_frames_pass_unchanged(
            frames in prop::collection::vec((prop::sample::select(&b"DdCZLQ"[..]), 0_usize..70_000), 0..20),
            pieces in 1_usize..70_000,
        ) {
            let input: Vec<u8> = frames.iter().flat_map(|(kind, size)| of(*kind, *size)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (output, ..) = runtime.block_on(run(&input, pieces));
            prop_assert!(output == input);
        }
    }
}
