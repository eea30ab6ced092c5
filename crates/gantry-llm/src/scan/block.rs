//! Finds the end of a string, looking at 16 or 32 bytes at a time.
//!
//! The cursor's innermost step. Special are the quote, the backslash and control characters; bytes
//! beyond ASCII are only noted. It never reads outside the given bytes.

use wide::u8x16;

/// Bytes looked at together in long strings.
const BLOCK: u32 = 32;

/// Where and why a walk along a string stopped.
pub(super) struct End {
    /// From the string's first byte.
    pub(super) at: usize,
    pub(super) stop: Stop,
    pub(super) escaped: bool,
    /// There was no byte beyond ASCII; one that stands close behind the end counts as well.
    pub(super) ascii: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Stop {
    Quote,
    /// An invalid escape, at its backslash.
    Escape,
    Control,
    /// The bytes ended.
    End,
}

/// The length of a string that is plain ASCII and ends within 16 bytes, as most do: keys, roles,
/// small words. `None` for any other, which [`string`] has to look at.
#[inline(always)]
pub(super) fn short_string(bytes: &[u8]) -> Option<usize> {
    let block = bytes.first_chunk::<16>()?;
    let (specials, seen) = specials16(block);
    let len = specials.to_bitmask().trailing_zeros() as usize;
    Some(len).filter(|len| block.get(*len) == Some(&b'"') && is_ascii(seen))
}

/// Walks along a string from the byte behind its first quote.
#[inline(never)]
pub(super) fn string(bytes: &[u8]) -> End {
    let (mut at, mut seen, mut escaped) = (0, u8x16::ZERO, false);
    loop {
        let (plain, specials) = find(bytes.get(at..).unwrap_or_default(), &mut seen);
        match pass(bytes, at + plain, specials, &mut escaped) {
            Ok(next) => at = next,
            Err((at, stop)) => return End { at, stop, escaped, ascii: is_ascii(seen) },
        }
    }
}

/// Finds the first block of 32 bytes with special ones: its place and theirs.
#[inline(always)]
fn find(bytes: &[u8], seen: &mut u8x16) -> (usize, u32) {
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        let specials = specials32(block, seen);
        if specials != 0 {
            return (bytes.len() - rest.len(), specials);
        }
        rest = after;
    }
    (bytes.len() - rest.len(), specials32(&padded(rest), seen))
}

/// Passes over the escapes of a block at `start`. Returns where the string goes on, behind the
/// block or behind an escape that crosses its end; or where and why it stops.
#[inline(always)]
fn pass(
    bytes: &[u8],
    start: usize,
    mut specials: u32,
    escaped: &mut bool,
) -> Result<usize, (usize, Stop)> {
    while specials != 0 {
        let place = specials.trailing_zeros();
        let at = start + place as usize;
        match bytes.get(at) {
            Some(b'\\') => *escaped = true,
            Some(b'"') => return Err((at, Stop::Quote)),
            Some(_) => return Err((at, Stop::Control)),
            None => return Err((at, Stop::End)),
        }
        let next = match escape_len(bytes, at) {
            0 => return Err((at, Stop::Escape)),
            len => place + len,
        };
        if next >= BLOCK {
            return Ok(start + next as usize);
        }
        specials &= u32::MAX << next;
    }
    Ok(start + BLOCK as usize)
}

/// One bit for each special byte, the first byte's the lowest. `seen` collects the high bits.
#[inline(always)]
fn specials32(block: &[u8; 32], seen: &mut u8x16) -> u32 {
    let ([low, high], _) = block.as_chunks::<16>() else { return 0 };
    let ((low, first), (high, second)) = (specials16(low), specials16(high));
    *seen |= first | second;
    low.to_bitmask() | high.to_bitmask() << 16
}

/// All bits set at the special bytes, and the bytes, changed below the high bit.
///
/// Exchanging bit 1 moves the quote (0x22) to 0x20, next to the control characters, so that one
/// comparison finds both; those stay among themselves, and no other byte gets there.
#[inline(always)]
fn specials16(bytes: &[u8; 16]) -> (u8x16, u8x16) {
    let moved = u8x16::new(*bytes) ^ u8x16::splat(0x02);
    let low = moved.simd_eq(moved.min(u8x16::splat(b'"' ^ 0x02)));
    (low | moved.simd_eq(u8x16::splat(b'\\' ^ 0x02)), moved)
}

#[inline(always)]
fn is_ascii(seen: u8x16) -> bool {
    seen.to_bitmask() == 0
}

/// The length of the escape at a backslash, 0 when it is none.
#[inline(always)]
fn escape_len(bytes: &[u8], at: usize) -> u32 {
    let kind = bytes.get(at + 1).copied().unwrap_or_default();
    if kind != b'u' {
        return ESCAPE_LEN.get(usize::from(kind)).copied().unwrap_or_default();
    }
    match bytes.get(at + 2..).and_then(|digits| digits.first_chunk::<4>()) {
        Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
        _ => 0,
    }
}

/// The length of an escape by the byte behind its backslash, without `u`.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256, and this runs in the compiler")]
const ESCAPE_LEN: [u32; 256] = {
    let mut table = [0; 256];
    let mut short: &[u8] = b"\"\\/bfnrt";
    while let [kind, rest @ ..] = short {
        table[*kind as usize] = 2;
        short = rest;
    }
    table
};

/// Zero is a control character, so it is special, and behind the end there is nothing.
#[cold]
#[inline(never)]
fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = *from;
    }
    block
}
