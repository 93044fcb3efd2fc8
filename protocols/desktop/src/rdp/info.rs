//! The message in which a client says who it is (MS-RDPBCGR 2.2.1.11), written anew: the gate's name and password in
//! place of the client's.

use zeroize::{Zeroize as _, Zeroizing};

/// Log on with these credentials, and ask nobody.
const AUTOLOGON: u32 = 0x8;
/// Texts are UTF-16.
const UNICODE: u32 = 0x10;
/// The password is a smart card's PIN.
const PIN: u32 = 0x4_0000;

/// The flag of the security header that marks the message.
const INFO: u16 = 0x40;

/// The number of T.125's message in which a client sends data.
const SEND_DATA: u8 = 25 << 2;

/// Those that a client may send before: it comes, which nobody answers, wants a number, and joins channels.
const ERECT: u8 = 1 << 2;
const ATTACH: u8 = 10 << 2;
const JOIN: u8 = 14 << 2;

/// Why a client gets no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InfoError {
    #[error("the message with the client's name is malformed")]
    Malformed,
    #[error("the client does not write Unicode")]
    NoUnicode,
    #[error("the client sent something else before it said who it is")]
    Unexpected,
    #[error("what the client said has become too long")]
    TooLong,
}

/// What a message of the client is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// It may pass as it is; the desktop answers it with one message, or with none.
    Before { answered: bool },
    /// It says who the client is.
    Info(Info<'a>),
}

/// A client's word on who it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Info<'a> {
    /// What comes before the data: who sends it over which channel.
    route: &'a [u8],
    flags: u32,
    code_page: &'a [u8],
    password: &'a [u8],
    shell: &'a [u8],
    folder: &'a [u8],
    extended: &'a [u8],
}

/// Who logs on.
pub(crate) struct Logon<'a> {
    pub(crate) user: &'a str,
    pub(crate) domain: &'a str,
    /// Empty where the desktop knows it already.
    pub(crate) password: &'a str,
}

/// Reads a message that came before the session's picture.
pub(crate) fn read(pdu: &[u8]) -> Result<Said<'_>, InfoError> {
    let body = pdu.get(4..).and_then(|rest| rest.strip_prefix(&[2, 0xf0, 0x80]));
    let kind = body.and_then(|body| body.first()).ok_or(InfoError::Malformed)?;
    match kind & 0xfc {
        SEND_DATA => info(pdu).map(Said::Info),
        kind @ (ERECT | ATTACH | JOIN) => Ok(Said::Before { answered: kind != ERECT }),
        _ => Err(InfoError::Unexpected),
    }
}

/// Takes bytes from the front.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], InfoError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(InfoError::Malformed)?;
    *rest = left;
    Ok(taken)
}

fn take_u16(rest: &mut &[u8]) -> Result<u16, InfoError> {
    let two = take(rest, 2)?.first_chunk::<2>().ok_or(InfoError::Malformed)?;
    Ok(u16::from_le_bytes(*two))
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, InfoError> {
    let four = take(rest, 4)?.first_chunk::<4>().ok_or(InfoError::Malformed)?;
    Ok(u32::from_le_bytes(*four))
}

fn info(pdu: &[u8]) -> Result<Info<'_>, InfoError> {
    // Behind the head: whose it is, over which channel, and how urgent.
    let (route, mut rest) = pdu.split_at_checked(13).ok_or(InfoError::Malformed)?;
    let length = match take(&mut rest, 1)? {
        [high] if high & 0x80 != 0 => {
            usize::from(high & 0x7f) << 8 | usize::from(*take(&mut rest, 1)?.first().unwrap_or(&0))
        }
        [low] => usize::from(*low),
        _ => return Err(InfoError::Malformed),
    };
    if rest.len() != length {
        return Err(InfoError::Malformed);
    }
    let header = take_u16(&mut rest)?;
    take(&mut rest, 2)?;
    if header & INFO == 0 {
        return Err(InfoError::Unexpected);
    }
    let code_page = take(&mut rest, 4)?;
    let flags = take_u32(&mut rest)?;
    if flags & UNICODE == 0 {
        return Err(InfoError::NoUnicode);
    }
    let mut lengths = [0; 5];
    for length in &mut lengths {
        *length = usize::from(take_u16(&mut rest)?);
    }
    let mut texts = [&[][..]; 5];
    for (text, length) in texts.iter_mut().zip(lengths) {
        *text = take(&mut rest, length)?;
        // Each has an end that is not counted.
        take(&mut rest, 2)?;
    }
    let [_, _, password, shell, folder] = texts;
    Ok(Info { route, flags, code_page, password, shell, folder, extended: rest })
}

impl Info<'_> {
    /// The password that the client showed.
    pub(crate) fn password(&self) -> Zeroizing<String> {
        let units = self.password.chunks_exact(2).filter_map(|two| two.first_chunk::<2>());
        Zeroizing::new(
            char::decode_utf16(units.map(|two| u16::from_le_bytes(*two))).map(|c| c.unwrap_or('\u{fffd}')).collect(),
        )
    }

    /// The message with another name and password. Nothing is left of the client's own, nor of the cookie by which an
    /// earlier session could be joined again without either.
    pub(crate) fn with(&self, logon: &Logon<'_>) -> Result<Zeroizing<Vec<u8>>, InfoError> {
        let mut data = Zeroizing::new(Vec::with_capacity(1024));
        data.extend_from_slice(&[&INFO.to_le_bytes()[..], &[0, 0], self.code_page].concat());
        data.extend_from_slice(&((self.flags | AUTOLOGON) & !PIN).to_le_bytes());
        let mut password = wide(logon.password);
        let texts = [&wide(logon.domain)[..], &wide(logon.user), &password, self.shell, self.folder];
        for text in texts {
            let length = u16::try_from(text.len()).map_err(|_| InfoError::TooLong)?;
            data.extend_from_slice(&length.to_le_bytes());
        }
        for text in texts {
            data.extend_from_slice(text);
            data.extend_from_slice(&[0, 0]);
        }
        password.zeroize();
        data.extend_from_slice(&without_cookie(self.extended)?);
        let length = u16::try_from(data.len()).ok().filter(|length| *length < 0x4000).ok_or(InfoError::TooLong)?;
        let whole = length.checked_add(15).ok_or(InfoError::TooLong)?;
        let route = self.route.get(4..).unwrap_or_default();
        let head = [&[3, 0][..], &whole.to_be_bytes(), route, &(length | 0x8000).to_be_bytes()].concat();
        Ok(Zeroizing::new([&head[..], &data].concat()))
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The part behind the texts (MS-RDPBCGR 2.2.1.11.1.1.1): address, folder, time zone, session, performance, and then
/// the cookie's length and the cookie. Old clients leave off anywhere behind the folder.
fn without_cookie(extended: &[u8]) -> Result<Vec<u8>, InfoError> {
    let mut rest = extended;
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    take_u16(&mut rest)?;
    for _ in 0..2 {
        let length = usize::from(take_u16(&mut rest)?);
        take(&mut rest, length)?;
    }
    let Some(mut after) = rest.get(172 + 4 + 4..).filter(|after| !after.is_empty()) else {
        return Ok(extended.to_vec());
    };
    let before = extended.len() - after.len();
    let length = usize::from(take_u16(&mut after)?);
    take(&mut after, length)?;
    Ok([extended.get(..before).unwrap_or_default(), &[0, 0], after].concat())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A client's word on who it is.
    pub(crate) fn client(password: &str, flags: u32, cookie: &[u8]) -> Vec<u8> {
        let texts = [wide("dom"), wide("eve"), wide(password), wide("shell"), Vec::new()];
        let mut data = [&INFO.to_le_bytes()[..], &[0, 0, 9, 9, 9, 9], &flags.to_le_bytes()].concat();
        for text in &texts {
            data.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        }
        for text in &texts {
            data.extend_from_slice(&[text, &[0, 0][..]].concat());
        }
        let address = [&[2, 0, 4, 0][..], b"a\0\0\0", &[2, 0, 0, 0]].concat();
        let cookie = [&u16::try_from(cookie.len()).unwrap().to_le_bytes()[..], cookie, b"end!"].concat();
        data.extend_from_slice(&[&address[..], &[7; 180], &cookie].concat());
        let length = u16::try_from(data.len() | 0x8000).unwrap().to_be_bytes();
        let whole = u16::try_from(data.len() + 15).unwrap().to_be_bytes();
        [&[3, 0][..], &whole, &[2, 0xf0, 0x80, SEND_DATA, 0, 6, 3, 0xeb, 0x70], &length, &data].concat()
    }

    fn parsed(pdu: &[u8]) -> Info<'_> {
        match read(pdu).unwrap() {
            Said::Info(info) => info,
            Said::Before { .. } => panic!("no info"),
        }
    }

    #[test]
    fn name_and_password_are_the_gates() {
        let pdu = client("one-time", UNICODE | PIN, &[5; 28]);
        let info = parsed(&pdu);
        assert_eq!(info.password().as_str(), "one-time");
        let logon = Logon { user: "ann", domain: "corp", password: "s€cret" };
        let written = info.with(&logon).unwrap();
        let has = |bytes: &[u8]| written.windows(bytes.len()).any(|part| part == bytes);
        assert!(has(&wide("s€cret")) && has(&wide("ann")) && has(&wide("corp")) && has(&wide("shell")) && has(b"end!"));
        for gone in [&wide("one-time")[..], &wide("eve"), &wide("dom"), &[5; 28]] {
            assert!(!has(gone));
        }
        let again = parsed(&written);
        assert_eq!((again.flags, again.password().as_str()), (UNICODE | AUTOLOGON, "s€cret"));
        assert_eq!(again.with(&logon).unwrap(), written);
    }

    #[test]
    fn only_what_is_due_may_come_before() {
        for kind in [ERECT, ATTACH, JOIN] {
            let want = Ok(Said::Before { answered: kind != ERECT });
            assert_eq!(read(&[3, 0, 0, 8, 2, 0xf0, 0x80, kind]), want);
        }
        assert_eq!(read(&[3, 0, 0, 8, 2, 0xf0, 0x80, 8 << 2]), Err(InfoError::Unexpected));
        assert_eq!(read(&client("x", 0, &[])), Err(InfoError::NoUnicode));
        let mut data = client("x", UNICODE, &[]);
        data[15] = 0;
        assert_eq!(read(&data), Err(InfoError::Unexpected));
    }

    #[test]
    fn truncated_messages_are_refused() {
        let whole = client("x", UNICODE, &[]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
        assert!(parsed(&whole).with(&Logon { user: &"x".repeat(40_000), domain: "", password: "" }).is_err());
    }
}
