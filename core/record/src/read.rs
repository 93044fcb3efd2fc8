//! Reads recordings, chunk by chunk, finished or not.

use std::io::{self, Read, Seek as _, SeekFrom};

use tapgate_audit::TapeFacts;
use tapgate_model::SessionId;

use crate::limits::{LISTED_MAX, SEALED_MAX};
use crate::seal::{ChunkKey, MAGIC};
use crate::shelf::Reading;
use crate::{Frame, Kind, Shelf, frames};

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no recording of this session")]
    Missing,
    /// The file can't be read.
    #[error("the recording cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is none of this gate's, or was changed.
    #[error("the recording was altered, or is none of this gate's")]
    Altered,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Unreadable(error) }
    }
}

/// A piece of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its frames, encoded; [`frames`] reads them.
    pub bytes: Vec<u8>,
    /// Where the next piece is; none where this is all there is at present.
    pub next: Option<(u64, u64)>,
    /// Whether this is the end of a recording that was ended in good order.
    pub last: bool,
}

/// A frame with its data, for those who keep it.
pub type Shown = (u64, u32, Kind, Vec<u8>);

/// A recording in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub facts: TapeFacts,
    /// Its size on the shelf, in bytes.
    pub size: u64,
}

/// The chunk of this number at this place; the first one without a place.
pub fn page(shelf: &dyn Shelf, key: &[u8], session: SessionId, at: Option<(u64, u64)>) -> Result<Page, ReadError> {
    let key = ChunkKey::new(key, session).ok_or(ReadError::Altered)?;
    let mut file = shelf.open(session)?;
    let (number, place) = match at {
        Some(at) => at,
        None => (0, head(&mut *file)?),
    };
    file.seek(SeekFrom::Start(place))?;
    let Some(sealed) = chunk(&mut *file)? else { return Ok(Page { bytes: Vec::new(), next: None, last: false }) };
    let (bytes, last) = key.open(number, &sealed).ok_or(ReadError::Altered)?;
    let after = place + 4 + u64::try_from(sealed.len()).unwrap_or(0);
    Ok(Page { bytes, next: (!last).then_some((number + 1, after)), last })
}

/// The newest recordings. One that can't be read is left out.
pub fn list(shelf: &dyn Shelf, key: &[u8]) -> Result<Vec<Listed>, ReadError> {
    let mut all = shelf.all()?;
    all.sort_unstable_by_key(|kept| std::cmp::Reverse((kept.begun, kept.session)));
    all.truncate(LISTED_MAX);
    let facts = |session| {
        let first = page(shelf, key, session, None).ok()?;
        let frames = frames(&first.bytes)?;
        let Frame { data, .. } = frames.iter().find(|frame| frame.kind == Kind::Facts)?;
        serde_json::from_slice::<TapeFacts>(data).ok()
    };
    let listed = all.into_iter().filter_map(|kept| Some(Listed { facts: facts(kept.session)?, size: kept.size }));
    let mut listed: Vec<Listed> = listed.collect();
    // A shelf may know less of when they began than they say themselves. What began in one second stays as it is.
    listed.sort_by_key(|listed| std::cmp::Reverse(listed.facts.started));
    Ok(listed)
}

fn head(file: &mut dyn Reading) -> Result<u64, ReadError> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(|_| ReadError::Altered)?;
    if magic == MAGIC { Ok(u64::try_from(MAGIC.len()).unwrap_or(0)) } else { Err(ReadError::Altered) }
}

/// The sealed chunk here; none where it is not there, or not whole.
fn chunk(file: &mut dyn Reading) -> Result<Option<Vec<u8>>, ReadError> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > SEALED_MAX {
        return Err(ReadError::Altered);
    }
    let mut sealed = Vec::new();
    file.take(u64::try_from(length).unwrap_or(0)).read_to_end(&mut sealed)?;
    Ok((sealed.len() == length).then_some(sealed))
}
