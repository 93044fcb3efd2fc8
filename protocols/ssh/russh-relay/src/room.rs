//! The memory of buffers between two packets.

/// The most that an idle connection keeps of a buffer, in bytes: a line that is typed, and its echo.
const KEPT: usize = 512;

/// A buffer of more than this, in bytes, is one of a transfer, which will need it again at once.
const BUSY: usize = 4096;

/// Empties a buffer. What the key exchange and the login made it grow to is given back.
pub(crate) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if (KEPT..BUSY).contains(&buffer.capacity()) {
        buffer.shrink_to(KEPT);
    }
}
