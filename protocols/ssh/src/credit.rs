//! Window credit of one direction of one channel: what the receiver gave, what the sender used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::CHANNEL_WINDOW_MAX;

/// The credit ran over: the receiver gave, or the sender used, more than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun;

/// Counts one direction's credit.
///
/// The receiver's credit is passed on to the sender as it is while the sum stays within
/// [`CHANNEL_WINDOW_MAX`]. What exceeds it is withheld, and passed on as the data before it leaves
/// the relay. So what the relay may have to keep for a slow receiver has a bound, whatever window
/// the receiver names.
#[derive(Debug)]
pub(crate) struct Credit {
    /// Passed on to the sender and not yet used.
    open: u32,
    /// Given by the receiver and not yet passed on.
    withheld: u32,
    queued: Queued,
}

/// Bytes of this direction that wait in the relay. They are counted apart from the receiver's
/// credit, since a hostile receiver gives credit without reading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queued(Arc<AtomicU32>);

impl Queued {
    /// Counts bytes that begin to wait.
    pub(crate) fn add(&self, bytes: u32) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Counts bytes that have left; answers whether that is the moment to pass on withheld credit.
    pub(crate) fn remove(&self, bytes: u32) -> bool {
        let before = self.0.fetch_sub(bytes, Ordering::SeqCst);
        before > LOW && before.saturating_sub(bytes) <= LOW
    }

    fn bytes(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Withheld credit is passed on once at most this much is open or waiting, so that it goes in few
/// and large steps.
const LOW: u32 = CHANNEL_WINDOW_MAX / 2;

impl Credit {
    /// The receiver's initial window; answers what the sender is to be told.
    pub(crate) fn new(window: u32) -> (Self, u32) {
        let open = window.min(CHANNEL_WINDOW_MAX);
        (Self { open, withheld: window - open, queued: Queued::default() }, open)
    }

    /// The receiver gives more; answers what to pass on now. RFC 4254: a window never exceeds
    /// 2^32 - 1 bytes.
    pub(crate) fn give(&mut self, bytes: u32) -> Result<u32, Overrun> {
        let withheld = self.withheld.checked_add(bytes).ok_or(Overrun)?;
        withheld.checked_add(self.open).ok_or(Overrun)?;
        self.withheld = withheld;
        let room = CHANNEL_WINDOW_MAX.saturating_sub(self.open.saturating_add(self.queued.bytes()));
        // Small steps come from a receiver that takes small steps; only the surplus waits for LOW.
        if self.withheld <= room { Ok(self.pass(self.withheld)) } else { Ok(self.release()) }
    }

    /// The sender uses some.
    pub(crate) fn spend(&mut self, bytes: u32) -> Result<(), Overrun> {
        self.open = self.open.checked_sub(bytes).ok_or(Overrun)?;
        Ok(())
    }

    /// Where the data that was spent is counted while it waits.
    pub(crate) const fn queue(&self) -> &Queued {
        &self.queued
    }

    /// What to pass on of the withheld credit, now that data has moved.
    pub(crate) fn release(&mut self) -> u32 {
        let used = self.open.saturating_add(self.queued.bytes());
        if used > LOW { 0 } else { self.pass(self.withheld.min(CHANNEL_WINDOW_MAX - used)) }
    }

    fn pass(&mut self, bytes: u32) -> u32 {
        self.withheld -= bytes;
        self.open += bytes;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn openssh_windows_pass_as_they_are() {
        let (mut credit, told) = Credit::new(2 * 1024 * 1024);
        assert_eq!(told, 2 * 1024 * 1024);
        assert_eq!(credit.spend(100_000), Ok(()));
        assert_eq!(credit.give(100_000), Ok(100_000));
    }

    #[test]
    fn the_sender_may_use_what_it_was_told_and_no_byte_more() {
        let (mut credit, _) = Credit::new(10);
        assert_eq!(credit.spend(10), Ok(()));
        assert_eq!(credit.spend(1), Err(Overrun));
    }

    #[test]
    fn a_window_never_exceeds_32_bits() {
        let (mut credit, told) = Credit::new(u32::MAX);
        assert_eq!(told, CHANNEL_WINDOW_MAX);
        assert_eq!(credit.give(1), Err(Overrun));
    }

    #[test]
    fn credit_given_without_reading_is_withheld() {
        let (mut credit, told) = Credit::new(CHANNEL_WINDOW_MAX);
        assert_eq!(credit.spend(told), Ok(()));
        credit.queue().add(told);
        assert_eq!(credit.give(1_000_000), Ok(0));
        credit.queue().remove(told);
        assert_eq!(credit.release(), 1_000_000);
    }

    #[test]
    fn a_giant_window_is_passed_on_as_data_leaves() {
        let (mut credit, told) = Credit::new(1 << 31);
        assert_eq!(credit.spend(told), Ok(()));
        let queue = credit.queue().clone();
        queue.add(told);
        assert_eq!(credit.release(), 0, "all of it still waits");
        assert!(!queue.remove(told / 4));
        assert!(queue.remove(told / 4), "half has left");
        assert_eq!(credit.release(), told / 2);
    }

    proptest! {
        /// Whatever is given, spent and drained: what is open and what waits stay within the limit,
        /// nothing is lost, and a sender that ran dry is given more once all has left.
        #[test]
        fn bounded_and_never_stuck(window: u32, steps in prop::collection::vec((0u8..4, any::<u32>()), 0..200)) {
            let (mut credit, mut told) = Credit::new(window);
            let (mut given, mut spent, mut waiting) = (u64::from(window), 0u64, 0u32);
            let mut passed = u64::from(told);
            for (step, size) in steps {
                match step {
                    0 => if let Ok(more) = credit.give(size % 200_000) {
                        given += u64::from(size % 200_000);
                        told = more;
                        passed += u64::from(more);
                    },
                    1 | 2 => {
                        let bytes = size % 70_000;
                        if credit.spend(bytes).is_ok() {
                            spent += u64::from(bytes);
                            credit.queue().add(bytes);
                            waiting += bytes;
                            passed += u64::from(credit.release());
                        }
                    }
                    _ => {
                        let bytes = (size % 300_000).min(waiting);
                        credit.queued.remove(bytes);
                        waiting -= bytes;
                    }
                }
                prop_assert!(told <= CHANNEL_WINDOW_MAX);
                prop_assert_eq!(u64::from(credit.open), passed - spent);
                prop_assert_eq!(u64::from(credit.withheld), given - passed);
                prop_assert!(credit.open + waiting <= CHANNEL_WINDOW_MAX);
            }
            credit.queued.remove(waiting);
            passed += u64::from(credit.release());
            prop_assert!(passed > spent || given == passed);
        }
    }
}
