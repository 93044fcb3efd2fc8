//! A client of RDP that has a file: the file's handle only finds what it is for, and the one-time password that the page
//! shows is the proof, by Network Level Authentication.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use tapgate_identity::Identity;
use tapgate_model::tunnel::DesktopHail;
use tapgate_model::{Clock, Digest, UnixTime};
use tapgate_proof::Holder;
use tapgate_relay::{Io, Sniff};
use tapgate_session::Door;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::Desktop;
use crate::limits::{FILE_TTL, FILES_MAX, FILES_PER_USER_MAX, PROVE_MAX, TRIES_MAX, X224_MAX};
use crate::page::{DesktopFile, NoFile, Wish};
use crate::rdp::nla::{self, NlaError};
use crate::rdp::x224::{self, ReadError};
use crate::serve::{Guest, WebSessions};

/// What is said of the desktop before it was reached: it takes what clients say of themselves, and modern graphics.
const FLAGS: u8 = 3;

/// What files are out, by their handle.
pub(crate) struct Files {
    out: Mutex<HashMap<String, Arc<Issued>>>,
    clock: Arc<dyn Clock>,
    web: Arc<dyn WebSessions>,
}

/// What a handle finds.
struct Issued {
    password: Zeroizing<String>,
    hail: DesktopHail,
    identity: Arc<Identity>,
    holder: Holder,
    address: IpAddr,
    until: UnixTime,
    /// How often its password was tried.
    tries: AtomicU8,
    /// Whether its one session is open, or was.
    taken: AtomicBool,
}

/// Why a client did not prove who it is.
#[derive(Debug, thiserror::Error)]
enum Unproven {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("its first message is no RDP")]
    NoRdp,
    #[error("it does no Network Level Authentication")]
    NoNla,
    #[error("it hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Nla(#[from] NlaError),
    #[error("its handle is none that is good from there")]
    NoHandle,
}

/// A client that has shown its password.
struct Proven {
    io: Box<dyn Io>,
    asked: u32,
    issued: Arc<Issued>,
}

impl Files {
    pub(crate) fn new(clock: Arc<dyn Clock>, web: Arc<dyn WebSessions>) -> Self {
        Self { out: Mutex::default(), clock, web }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Issued>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, handle: String, issued: Issued, now: UnixTime) -> Result<(), NoFile> {
        let mut all = self.all();
        all.retain(|_, issued| now < issued.until);
        let own = all.values().filter(|other| other.identity.user() == issued.identity.user()).count();
        if all.len() >= FILES_MAX || own >= FILES_PER_USER_MAX {
            return Err(NoFile::TooMany);
        }
        all.insert(handle, Arc::new(issued));
        Ok(())
    }

    /// What a handle finds from this address, as long as it is good and was not tried too often.
    fn find(&self, handle: &str, address: IpAddr, now: UnixTime) -> Option<Arc<Issued>> {
        let issued = self.all().get(handle).cloned()?;
        let good = now < issued.until && issued.address == address && !issued.taken.load(Ordering::SeqCst);
        let tried =
            || issued.tries.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < TRIES_MAX).then_some(n + 1));
        (good && tried().is_ok()).then_some(issued)
    }
}

/// Whether a connection's first bytes are those of a client of RDP.
pub(crate) fn sniff(head: &[u8]) -> Sniff {
    match x224::begins(head) {
        Some(true) => Sniff::Yes,
        Some(false) => Sniff::No,
        None => Sniff::NeedMore,
    }
}

fn random<const N: usize>() -> Result<String, NoFile> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(&mut bytes[..]).map_err(|_| NoFile::Random)?;
    Ok(hex::encode(&bytes[..]))
}

/// What a tap for a file names: handle and password together, as one connection of the web session that it is for.
fn holder_of(session: &Digest, handle: &str, password: &str) -> Holder {
    let both = Zeroizing::new(["tapgate/desktop-file/v1", handle, password].join("\n"));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, both.as_bytes()).as_ref());
    Holder::WebConnection { session: *session, connection: Digest::from_bytes(bytes) }
}

impl Desktop {
    /// Makes a file's handle and its one-time password. They open nothing before a tap names their holder.
    pub fn file(&self, wish: Wish) -> Result<DesktopFile, NoFile> {
        let Wish { protocol, target, login, identity, holder: _, peer } = wish;
        // Clients want it in an even number of letters, with those before it: an odd one.
        let handle = format!("t{}", random::<16>()?);
        let password = Zeroizing::new(random::<20>()?);
        let holder = holder_of(identity.fingerprint(), &handle, &password);
        let now = self.files.clock.now();
        let until = now.plus(FILE_TTL);
        let issued = Issued {
            password: password.clone(),
            hail: DesktopHail { protocol, login, target, password: None },
            identity,
            holder: holder.clone(),
            address: peer.ip(),
            until,
            tries: AtomicU8::new(0),
            taken: AtomicBool::new(false),
        };
        self.files.put(handle.clone(), issued, now)?;
        Ok(DesktopFile { handle, password, holder, until })
    }

    /// Serves a client of RDP that came without a tunnel.
    pub(crate) async fn with_file(&self, io: Box<dyn Io>, peer: SocketAddr, handshake: Option<Box<dyn Send + Sync>>) {
        let proven = timeout(PROVE_MAX, Box::pin(self.prove(io, peer))).await;
        drop(handshake);
        match proven {
            Ok(Ok(proven)) => Box::pin(self.enter_with(proven, peer)).await,
            Ok(Err(why)) => tracing::warn!(%peer, %why, "A client of RDP did not prove who it is"),
            Err(_) => tracing::debug!(%peer, "A client of RDP did not prove who it is in time"),
        }
    }

    /// A handle that is none is answered as a wrong password is, so that nobody learns which handles there are.
    async fn prove(&self, mut io: Box<dyn Io>, peer: SocketAddr) -> Result<Proven, Unproven> {
        let pdu = x224::read(&mut io, X224_MAX).await?;
        let asked = x224::request(&pdu).ok_or(Unproven::NoRdp)?.protocols;
        if asked & x224::NLA == 0 {
            x224::write(&mut io, &x224::write_failure(x224::NLA_DEMANDED)).await?;
            return Err(Unproven::NoNla);
        }
        x224::write(&mut io, &x224::write_selected(FLAGS, x224::NLA)).await?;
        let mut io = self.start_tls.start(io).await?.io;
        let key = nla::key_of(self.certificates.first().ok_or(NlaError::Certificate)?)?;
        let found = x224::token(&pdu).and_then(|handle| self.files.find(handle, peer.ip(), self.files.clock.now()));
        let password = match &found {
            Some(issued) => issued.password.clone(),
            None => Zeroizing::new(random::<20>().map_err(|_| NlaError::Name)?),
        };
        nla::verify(&mut io, key, &password).await?;
        Ok(Proven { io, asked, issued: found.ok_or(Unproven::NoHandle)? })
    }

    async fn enter_with(&self, proven: Proven, peer: SocketAddr) {
        let Proven { io, asked, issued } = proven;
        let identity = Arc::clone(&issued.identity);
        let (web, number, user) = (Arc::clone(&self.files.web), *identity.fingerprint(), identity.user().clone());
        let signed_in = tokio::task::spawn_blocking(move || web.holds(&user, &number, peer.ip())).await;
        if !signed_in.unwrap_or(false) {
            return tracing::warn!(%peer, "The web session of a desktop's file is over");
        }
        if issued.taken.swap(true, Ordering::SeqCst) {
            return tracing::warn!(%peer, "A desktop's file was used again while its session is open, or afterwards");
        }
        let guest = Guest { identity, peer, door: Door::Web, holder: Some(issued.holder.clone()) };
        match Box::pin(self.open(&issued.hail, &guest)).await {
            Ok((entered, live)) => {
                let reason = Box::pin(entered.proven(io, &live, asked)).await;
                live.finish(&reason);
            }
            Err(why) => {
                // Nothing was opened: the client may come again.
                issued.taken.store(false, Ordering::SeqCst);
                tracing::warn!(%peer, desktop = %issued.hail.target, %why, "A desktop's file opened nothing");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tapgate_model::{DesktopProtocol, ManualClock};
    use tapgate_session::testing::World;

    use super::*;

    struct Always;

    impl WebSessions for Always {
        fn holds(&self, _: &tapgate_model::UserName, _: &Digest, _: IpAddr) -> bool {
            true
        }
    }

    fn issued(world: &World, until: u64) -> Issued {
        let hail = DesktopHail {
            protocol: DesktopProtocol::Rdp,
            login: "ann".parse().unwrap(),
            target: "win1".parse().unwrap(),
            password: None,
        };
        let identity = world.login("jerry");
        let holder = holder_of(identity.fingerprint(), "t", "p");
        let (tries, taken) = (AtomicU8::new(0), AtomicBool::new(false));
        let (address, until) = ([192, 0, 2, 7].into(), UnixTime::from_secs(until));
        Issued { password: Zeroizing::new("p".into()), hail, identity, holder, address, until, tries, taken }
    }

    #[test]
    fn a_handle_finds_in_time_from_its_address_while_it_is_not_taken() {
        let world = World::new("");
        let files = Files::new(Arc::new(ManualClock::new(UnixTime::from_secs(0))), Arc::new(Always));
        let (here, there): (IpAddr, IpAddr) = ([192, 0, 2, 7].into(), [192, 0, 2, 8].into());
        let at = UnixTime::from_secs;
        files.put("t1".into(), issued(&world, 100), at(1)).unwrap();
        assert!(files.find("t1", here, at(99)).is_some());
        for (handle, address, now) in [("t2", here, 1), ("t1", there, 1), ("t1", here, 100), ("", here, 1)] {
            assert!(files.find(handle, address, at(now)).is_none(), "{handle} {address} {now}");
        }
        let found = files.find("t1", here, at(2)).unwrap();
        found.taken.store(true, Ordering::SeqCst);
        assert!(files.find("t1", here, at(3)).is_none());
        found.taken.store(false, Ordering::SeqCst);
        let more = (0..TRIES_MAX).filter(|_| files.find("t1", here, at(4)).is_some()).count();
        assert_eq!(more, usize::from(TRIES_MAX) - 2, "tries are counted, whatever comes of them");
        for n in 1..FILES_PER_USER_MAX {
            files.put(format!("u{n}"), issued(&world, 100), at(5)).unwrap();
        }
        assert!(matches!(files.put("v".into(), issued(&world, 100), at(5)), Err(NoFile::TooMany)));
        files.put("v".into(), issued(&world, 300), at(100)).unwrap();
    }

    #[test]
    fn what_a_tap_names_is_both_and_the_web_session() {
        let (one, two) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let holder = holder_of(&one, "t", "p");
        assert_eq!(holder.web_session(), Some(&one));
        for other in [holder_of(&two, "t", "p"), holder_of(&one, "u", "p"), holder_of(&one, "t", "q")] {
            assert_ne!(holder, other);
        }
    }
}
