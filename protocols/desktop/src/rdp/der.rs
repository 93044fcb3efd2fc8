//! One value in DER from a stream: its head tells its length.

use tapgate_relay::Io;
use tokio::io::AsyncReadExt as _;

use super::x224::ReadError;

/// Reads one value with its head, which may be so long at most.
pub(super) async fn read(io: &mut (impl Io + ?Sized), most: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; 2];
    io.read_exact(&mut bytes).await?;
    let further = match bytes.get(1) {
        Some(first) if first & 0x80 != 0 => usize::from(first & 0x7f),
        _ => 0,
    };
    if further > 4 {
        return Err(ReadError::TooLong);
    }
    bytes.resize(2 + further, 0);
    io.read_exact(bytes.get_mut(2..).unwrap_or_default()).await?;
    let length = match bytes.get(2..).unwrap_or_default() {
        [] => usize::from(bytes.get(1).copied().unwrap_or_default()),
        more => more.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    };
    if length > most {
        return Err(ReadError::TooLong);
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    io.read_exact(bytes.get_mut(head..).unwrap_or_default()).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_value_and_nothing_behind_it() {
        let read = async |bytes: &'static [u8]| read(&mut tokio::io::join(bytes, tokio::io::sink()), 300).await.ok();
        assert_eq!(read(&[0x30, 2, 7, 8, 9]).await, Some(vec![0x30, 2, 7, 8]));
        assert_eq!(read(&[0x30, 0x81, 1, 7, 9]).await, Some(vec![0x30, 0x81, 1, 7]));
        for bad in [&[0x30][..], &[0x30, 3, 1], &[0x30, 0x82, 2, 0], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x30, 0x84, 0xff]]
        {
            assert_eq!(read(bad).await, None, "{bad:?}");
        }
    }
}
