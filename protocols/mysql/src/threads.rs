//! Thread numbers: those that the gate tells its clients, and the targets' that they stand for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapgate_model::{LoginName, TargetUid, UserName};

/// Where the gate's numbers begin: far above those of any server, which count connections from 1, and below the
/// sign bit of drivers that read the number as a signed one.
const FIRST: u32 = 0x4000_0000;

/// How many numbers there are.
const COUNT: u32 = 0x4000_0000;

/// Whose session it is, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: UserName,
    pub(crate) target: TargetUid,
    pub(crate) login: LoginName,
}

/// All sessions by the number that their clients know.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u32,
    known: HashMap<u32, Option<(Owner, u32)>>,
}

/// A number of the gate's, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) number: u32,
    threads: Arc<Threads>,
}

impl Threads {
    /// Numbers that begin somewhere, so that those of before a restart mean nothing.
    pub(crate) fn new() -> Arc<Self> {
        let table = Table { next: rand::random::<u32>() % COUNT, known: HashMap::new() };
        Arc::new(Self(Mutex::new(table)))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a number that nobody has. There are far fewer connections than numbers.
    pub(crate) fn take(self: &Arc<Self>) -> Ticket {
        let mut table = self.table();
        let number = loop {
            let number = FIRST + table.next;
            table.next = (table.next + 1) % COUNT;
            if !table.known.contains_key(&number) {
                break number;
            }
        };
        table.known.insert(number, None);
        Ticket { number, threads: Arc::clone(self) }
    }

    /// The target's number of this owner's session; `Ok(None)` where the number is not one of the gate's.
    pub(crate) fn of(&self, owner: &Owner, number: u64) -> Result<Option<u32>, NotYours> {
        let Ok(number) = u32::try_from(number) else { return Ok(None) };
        if !(FIRST..FIRST + COUNT).contains(&number) {
            return Ok(None);
        }
        match self.table().known.get(&number) {
            Some(Some((whose, thread))) if whose == owner => Ok(Some(*thread)),
            _ => Err(NotYours),
        }
    }
}

/// The number is unknown, or somebody else's: both look the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotYours;

impl Ticket {
    /// The session is open, and this is its number at the target.
    pub(crate) fn stands_for(&self, owner: Owner, thread: u32) {
        self.threads.table().known.insert(self.number, Some((owner, thread)));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.threads.table().known.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: &str, login: &str) -> Owner {
        let login = login.parse().unwrap();
        Owner { user: user.parse().unwrap(), target: TargetUid::from_bytes([1; 16]), login }
    }

    #[test]
    fn a_number_leads_only_its_owner_and_only_while_the_session_lasts() {
        let threads = Threads::new();
        let ticket = threads.take();
        let number = u64::from(ticket.number);
        assert_eq!(threads.of(&owner("jerry", "app"), number), Err(NotYours), "not open yet");
        ticket.stands_for(owner("jerry", "app"), 12);
        assert_eq!(threads.of(&owner("jerry", "app"), number), Ok(Some(12)));
        assert_eq!(threads.of(&owner("ann", "app"), number), Err(NotYours));
        assert_eq!(threads.of(&owner("jerry", "root"), number), Err(NotYours));
        assert_eq!(threads.of(&owner("jerry", "app"), 12), Ok(None), "a target's own number");
        assert_ne!(threads.take().number, ticket.number);
        drop(ticket);
        assert_eq!(threads.of(&owner("jerry", "app"), number), Err(NotYours));
    }
}
