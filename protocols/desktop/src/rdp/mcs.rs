//! The conference that RDP begins with (T.125, T.124, MS-RDPBCGR 2.2.1.3 and 2.2.1.4), changed in place: what the two
//! sides agreed on beneath it, which channels there are, and that nobody is sent elsewhere.

use super::x224::NLA;

const CORE: u16 = 0xc001;
const NETWORK: u16 = 0xc003;
const CLUSTER: u16 = 0xc004;
const MULTITRANSPORT: u16 = 0xc00a;
const SERVER_CORE: u16 = 0x0c01;
const SERVER_NETWORK: u16 = 0x0c03;
const SERVER_MULTITRANSPORT: u16 = 0x0c08;

/// Where a client says what was selected in the first two messages.
const SELECTED_AT: usize = 212;

/// How a channel is called that is not to be. It must stay in its place: channels are known by their number in line.
const DENIED: &[u8; 8] = b"tapdeny\0";

/// How many channels a client may have.
const CHANNELS_MAX: usize = 31;

/// Why a client or desktop gets no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum McsError {
    #[error("the conference's first message is malformed")]
    Malformed,
    #[error("the client is too old: it does not say which security was selected")]
    Old,
}

/// Which channels a session may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) clipboard: bool,
    pub(crate) devices: bool,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Initial {
    pub(crate) screen: (u16, u16),
    pub(crate) channels: Vec<String>,
    pub(crate) denied: Vec<String>,
}

impl Allowed {
    /// Whether a channel may be. Where anything is forbidden, channels that the gate does not know are too: they could
    /// carry it. Dynamic channels go with the devices, because USB comes through them.
    fn has(self, name: &[u8]) -> bool {
        match (self.clipboard && self.devices, name) {
            (true, _) | (_, b"rdpsnd") => true,
            (false, b"cliprdr") => self.clipboard,
            (false, b"rdpdr" | b"drdynvc") => self.devices,
            (false, _) => false,
        }
    }
}

/// Changes a client's first message: `selected` is what the gate and the desktop agreed on.
pub(crate) fn initial(pdu: &mut [u8], selected: u32, allowed: Allowed) -> Result<Initial, McsError> {
    let from = blocks(pdu, 0x65, 6, *b"Duca").ok_or(McsError::Malformed)?;
    let mut found = Initial::default();
    let mut has_core = false;
    each_block(pdu, from, |kind, block| {
        match kind {
            CORE => {
                has_core = true;
                found.screen = (u16_at(block, 8)?, u16_at(block, 10)?);
                // A client that does not say it would not notice that another answer was given.
                put(block, SELECTED_AT, selected).ok_or(McsError::Old)?;
            }
            NETWORK => channels(block, allowed, &mut found)?,
            // Bits 0 and 1: whether the client can be sent to another server, and to which session of it.
            CLUSTER => put(block, 4, u32_at(block, 4)? & !3).ok_or(McsError::Malformed)?,
            MULTITRANSPORT => put(block, 4, 0).ok_or(McsError::Malformed)?,
            _ => {}
        }
        Ok(())
    })?;
    if has_core { Ok(found) } else { Err(McsError::Malformed) }
}

fn channels(block: &mut [u8], allowed: Allowed, found: &mut Initial) -> Result<(), McsError> {
    let count = usize::try_from(u32_at(block, 4)?).map_err(|_| McsError::Malformed)?;
    let list = block.get_mut(8..).unwrap_or_default();
    if count > CHANNELS_MAX || list.len() < count * 12 {
        return Err(McsError::Malformed);
    }
    for channel in list.chunks_exact_mut(12).take(count) {
        let (name, _) = channel.split_at_mut(8);
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let plain = name.get(..end).unwrap_or_default().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&plain).into_owned();
        if allowed.has(&plain) {
            found.channels.push(text);
        } else {
            name.copy_from_slice(DENIED);
            found.denied.push(text);
        }
    }
    Ok(())
}

/// Changes a desktop's answer: `requested` is what the client said that it can do. Answers the number of the channel
/// that everything but virtual channels goes through.
pub(crate) fn response(pdu: &mut [u8], requested: u32) -> Result<u16, McsError> {
    let from = blocks(pdu, 0x66, 3, *b"McDn").ok_or(McsError::Malformed)?;
    let mut main = None;
    each_block(pdu, from, |kind, block| {
        match kind {
            // The client compares it with what it asked for; an old desktop does not say it.
            SERVER_CORE => put(block, 8, requested).unwrap_or_default(),
            SERVER_NETWORK => main = Some(u16_at(block, 4)?),
            SERVER_MULTITRANSPORT => put(block, 4, 0).unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    main.ok_or(McsError::Malformed)
}

/// Where the blocks begin within the message: behind the fields of the T.125 connect message `tag`, and behind the
/// T.124 head that ends with `key` and a length. They go to the end.
fn blocks(pdu: &[u8], tag: u8, fields: usize, key: [u8; 4]) -> Option<usize> {
    let mut at = 7;
    if pdu.get(4..7)? != [2, 0xf0, 0x80] || pdu.get(at..at + 2)? != [0x7f, tag] {
        return None;
    }
    let (length, next) = ber_length(pdu, at + 2)?;
    at = next;
    if at.checked_add(length)? != pdu.len() {
        return None;
    }
    for _ in 0..fields {
        let (length, next) = ber_length(pdu, at + 1)?;
        at = next.checked_add(length)?;
    }
    if *pdu.get(at)? != 4 {
        return None;
    }
    let (length, next) = ber_length(pdu, at + 1)?;
    if next.checked_add(length)? != pdu.len() {
        return None;
    }
    let head = pdu.get(next..pdu.len().min(next + 32))?;
    let key = next + head.windows(4).position(|four| four == key)? + 4;
    // T.124 writes lengths below 128 in one byte, and others in two.
    let (length, from) = match *pdu.get(key)? {
        high if high & 0x80 != 0 => (usize::from(high & 0x7f) << 8 | usize::from(*pdu.get(key + 1)?), key + 2),
        length => (usize::from(length), key + 1),
    };
    (from.checked_add(length)? == pdu.len()).then_some(from)
}

fn ber_length(pdu: &[u8], at: usize) -> Option<(usize, usize)> {
    match *pdu.get(at)? {
        0x81 => Some((usize::from(*pdu.get(at + 1)?), at + 2)),
        0x82 => Some((usize::from(*pdu.get(at + 1)?) << 8 | usize::from(*pdu.get(at + 2)?), at + 3)),
        length if length < 0x80 => Some((usize::from(length), at + 1)),
        _ => None,
    }
}

fn each_block(
    pdu: &mut [u8],
    from: usize,
    mut each: impl FnMut(u16, &mut [u8]) -> Result<(), McsError>,
) -> Result<(), McsError> {
    let mut rest = pdu.get_mut(from..).unwrap_or_default();
    while !rest.is_empty() {
        let (kind, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
        if length < 4 {
            return Err(McsError::Malformed);
        }
        let (block, next) = rest.split_at_mut_checked(length).ok_or(McsError::Malformed)?;
        each(kind, block)?;
        rest = next;
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, McsError> {
    let two = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(McsError::Malformed)?;
    Ok(u16::from_le_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, McsError> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(McsError::Malformed)?;
    Ok(u32::from_le_bytes(*four))
}

fn put(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes.get_mut(at..at + 4)?.copy_from_slice(&value.to_le_bytes());
    Some(())
}

/// Whether this security has proven the gate to the desktop already.
pub(crate) const fn is_nla(selected: u32) -> bool {
    selected & NLA != 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A block of this kind.
    pub(crate) fn block(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 4).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body].concat()
    }

    fn per(length: usize) -> Vec<u8> {
        u16::try_from(length | 0x8000).unwrap().to_be_bytes().to_vec()
    }

    fn ber(tag: &[u8], body: &[u8]) -> Vec<u8> {
        [tag, &[0x82], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    fn framed(tag: u8, fields: usize, key: [u8; 4], blocks: &[u8]) -> Vec<u8> {
        let inner = [&[0, 8, 0, 16, 0, 1, 0xc0, 0][..], &key, &per(blocks.len()), blocks].concat();
        let user = [&[0, 5, 0, 0x14, 0x7c, 0, 1][..], &per(inner.len()), &inner].concat();
        let fields = [1, 1, 0].repeat(fields);
        let body = ber(&[0x7f, tag], &[fields, ber(&[4], &user)].concat());
        let length = u16::try_from(body.len() + 7).unwrap().to_be_bytes();
        [&[3, 0][..], &length, &[2, 0xf0, 0x80], &body].concat()
    }

    /// A client's first message with these channels.
    pub(crate) fn client(channels: &[&str]) -> Vec<u8> {
        let mut core = vec![0; 212];
        core[4..8].copy_from_slice(&[0, 4, 0, 3]);
        let names = channels.iter().flat_map(|name| {
            let mut channel = [0; 12];
            channel[..name.len()].copy_from_slice(name.as_bytes());
            channel
        });
        let count = u32::try_from(channels.len()).unwrap().to_le_bytes();
        let network: Vec<u8> = count.into_iter().chain(names).collect();
        let blocks = [
            block(CORE, &core),
            block(CLUSTER, &[0x0d, 0, 0, 0, 9, 9, 9, 9]),
            block(NETWORK, &network),
            block(MULTITRANSPORT, &[1, 3, 0, 0]),
            block(0xc0ff, b"not known"),
        ];
        framed(0x65, 6, *b"Duca", &blocks.concat())
    }

    /// A desktop's answer.
    pub(crate) fn server() -> Vec<u8> {
        let blocks =
            [block(SERVER_CORE, &[4, 0, 8, 0, 9, 9, 9, 9]), block(SERVER_NETWORK, &[0xeb, 3, 1, 0, 0xec, 3, 0, 0])];
        framed(0x66, 3, *b"McDn", &blocks.concat())
    }

    const ALL: Allowed = Allowed { clipboard: true, devices: true };

    #[test]
    fn a_client_is_changed_in_place() {
        let before = client(&["rdpdr", "cliprdr", "rdpsnd", "drdynvc", "odd"]);
        let mut pdu = before.clone();
        let found = initial(&mut pdu, 1, ALL).unwrap();
        assert_eq!((found.screen, found.denied.len(), found.channels.len()), ((1024, 768), 0, 5));
        assert_eq!(pdu.len(), before.len());
        let changed = pdu.iter().zip(&before).filter(|(one, other)| one != other).count();
        assert_eq!(changed, 4, "the security, one bit of redirection, and two bytes of other transports");
        for (allowed, denied) in [
            (Allowed { clipboard: false, devices: true }, &["cliprdr", "odd"][..]),
            (Allowed { clipboard: true, devices: false }, &["rdpdr", "drdynvc", "odd"]),
        ] {
            let mut pdu = before.clone();
            assert_eq!(initial(&mut pdu, 1, allowed).unwrap().denied, denied);
            let has = |name: &str| pdu.windows(name.len()).any(|part| part == name.as_bytes());
            assert!(denied.iter().all(|name| !has(name)) && has("tapdeny"));
        }
    }

    #[test]
    fn a_desktop_is_changed_in_place() {
        let mut pdu = server();
        assert_eq!(response(&mut pdu, 3), Ok(1003));
        assert!(pdu.windows(8).any(|part| part == [4, 0, 8, 0, 3, 0, 0, 0]));
    }

    #[test]
    fn truncated_and_stretched_messages_are_refused() {
        let whole = client(&["rdpdr"]);
        for end in 0..whole.len() {
            assert!(initial(&mut whole[..end].to_vec(), 1, ALL).is_err(), "{end}");
        }
        assert!(initial(&mut [whole.clone(), vec![0]].concat(), 1, ALL).is_err());
        let many = ["x"; CHANNELS_MAX + 1];
        assert_eq!(initial(&mut client(&many), 1, ALL), Err(McsError::Malformed));
        let old = framed(0x65, 6, *b"Duca", &block(CORE, &[0; 128]));
        assert_eq!(initial(&mut old.clone(), 1, ALL), Err(McsError::Old));
        let without = framed(0x65, 6, *b"Duca", &block(CLUSTER, &[0; 8]));
        assert_eq!(initial(&mut without.clone(), 1, ALL), Err(McsError::Malformed));
    }
}
