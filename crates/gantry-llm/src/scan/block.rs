//! Finds the end of a string, looking at up to 64 bytes at a time.
//!
//! The cursor's innermost step. Special are the quote, the backslash and control characters; bytes
//! beyond ASCII are only noted. It never reads outside the given bytes. Long strings are walked
//! with the widest vectors that the processor has, found out once.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};
use std::sync::LazyLock;

/// Bytes looked at together in long strings.
const BLOCK: u32 = 64;

/// Where and why a walk along a string stopped.
pub(super) struct End {
    /// From the string's first byte.
    pub(super) at: usize,
    pub(super) stop: Stop,
    pub(super) escapes: Escapes,
    /// There was no byte beyond ASCII; one that stands close behind the end counts as well.
    pub(super) ascii: bool,
}

/// Which escapes a string has.
#[derive(Clone, Copy, Default)]
pub(super) struct Escapes {
    pub(super) any: bool,
    /// Halves of surrogate pairs, together or not.
    pub(super) surrogates: bool,
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
    // What every processor of the target has, so that this costs no call.
    let (specials, ascii) = dispatch!(Level::baseline(), simd => {
        let bytes = u8x16::from_slice(simd, block);
        (specials16(bytes).to_bitmask(), bytes.simd_ge(0x80).to_bitmask() == 0)
    });
    let len = specials.trailing_zeros() as usize;
    Some(len).filter(|len| block.get(*len) == Some(&b'"') && ascii)
}

/// Walks along a string from the byte behind its first quote.
#[inline(never)]
pub(super) fn string(bytes: &[u8]) -> End {
    static LEVEL: LazyLock<Level> = LazyLock::new(Level::new);
    dispatch!(*LEVEL, simd => walk(simd, bytes))
}

#[inline(always)]
fn walk<S: Simd>(simd: S, bytes: &[u8]) -> End {
    let (mut at, mut seen, mut escapes) = (0, u8x64::splat(simd, 0), Escapes::default());
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (plain, specials) = find(simd, rest, &mut seen, &mut escapes);
        match pass(bytes, at + plain, specials, &mut escapes) {
            Ok(next) => at = next,
            Err((at, stop)) => {
                let ascii = seen.simd_ge(0x80).to_bitmask() == 0;
                return End { at, stop, escapes, ascii };
            }
        }
    }
}

/// Finds the first block whose special bytes are more than the usual escapes: the place where to
/// look at them one by one, and which of the 64 bytes from there are special, one bit each, the
/// first byte's the lowest. `seen` collects the high bits.
#[inline(always)]
fn find<S: Simd>(
    simd: S,
    bytes: &[u8],
    seen: &mut u8x64<S>,
    escapes: &mut Escapes,
) -> (usize, u64) {
    let (mut rest, mut carry) = (bytes, 0);
    while let Some((block, after)) = rest.split_first_chunk::<64>() {
        let block = u8x64::from_slice(simd, block);
        *seen |= block;
        let specials = specials64(block).to_bitmask();
        if specials | carry != 0 {
            let usual = usual_escapes(block, (specials, carry), after, escapes);
            let Some(next) = usual else { break };
            (escapes.any, carry) = (true, next);
        }
        rest = after;
    }
    // An escape that began in the block before begins anew.
    let at = bytes.len() - rest.len() - usize::from(carry != 0);
    let rest = bytes.get(at..).unwrap_or_default();
    let block = match rest.first_chunk::<64>() {
        Some(block) => u8x64::from_slice(simd, block),
        None => u8x64::from_slice(simd, &padded::<64>(rest)),
    };
    *seen |= block;
    (at, specials64(block).to_bitmask())
}

/// Looks at all escapes of a block at once, without a branch for each: text of programs has
/// several in every line, at places that no processor foresees. `carry` is 1 when the block's
/// first byte is escaped. Returns that of the next block, or `None` when the string ends here or
/// something is rare or wrong.
#[inline(always)]
fn usual_escapes<S: Simd>(
    block: u8x64<S>,
    (specials, carry): (u64, u64),
    after: &[u8],
    escapes: &mut Escapes,
) -> Option<u64> {
    let backslashes = block.simd_eq(b'\\').to_bitmask();
    let (escaped, next) = escaped_bytes(backslashes, carry);
    let units = block.simd_eq(b'u').to_bitmask() & escaped;
    if units != 0 {
        if !four_digits_follow(block, units, after) {
            return None;
        }
        escapes.surrogates |= surrogates_among(block, units, after);
    }
    let kinds = block.simd_eq(b'n')
        | block.simd_eq(b't')
        | block.simd_eq(b'r')
        | block.simd_eq(b'/')
        | block.simd_eq(b'"')
        | block.simd_eq(b'\\');
    let wrong_kind = escaped & !kinds.to_bitmask() & !units;
    let unescaped = specials & !backslashes & !escaped;
    (wrong_kind | unescaped == 0).then_some(next)
}

/// Which bytes stand behind a backslash that is not itself escaped, and whether the byte behind
/// the block does (0 or 1).
///
/// The addition runs through each row of backslashes that begins at an odd place and flips the
/// bit behind it, so that the rows of odd length stand out (the idea is simdjson's).
#[inline(always)]
fn escaped_bytes(backslashes: u64, carry: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !carry;
    let behind = backslashes << 1 | carry;
    let odd_begins = backslashes & !EVEN & !behind;
    let (sum, over) = odd_begins.overflowing_add(backslashes);
    ((EVEN ^ (sum << 1)) & behind, u64::from(over))
}

/// Whether four hexadecimal digits stand behind each of the `units`, the places of an escape's `u`.
#[inline(always)]
fn four_digits_follow<S: Simd>(block: u8x64<S>, units: u64, after: &[u8]) -> bool {
    let lower = block | u8x64::splat(block.simd, 0x20);
    let digits =
        (block.simd_ge(b'0') & block.simd_le(b'9')) | (lower.simd_ge(b'a') & lower.simd_le(b'f'));
    let digits = digits.to_bitmask();
    let missing = units & !(digits >> 1 & digits >> 2 & digits >> 3 & digits >> 4);
    if missing == 0 {
        return true;
    }
    // Only one escape can reach over the block's end.
    let first = missing.trailing_zeros();
    let over = (first + 5).saturating_sub(BLOCK) as usize;
    let within = (digits >> first >> 1).count_ones() as usize;
    over + within == 4
        && over > 0
        && after.get(..over).is_some_and(|over| over.iter().all(u8::is_ascii_hexdigit))
}

/// Whether one of the `units` begins with the digits of a surrogate: `d`, and `8` to `f`.
#[inline(always)]
fn surrogates_among<S: Simd>(block: u8x64<S>, units: u64, after: &[u8]) -> bool {
    let lower = block | u8x64::splat(block.simd, 0x20);
    let (ds, highs) = (lower.simd_eq(b'd').to_bitmask(), block.simd_ge(b'8').to_bitmask());
    // The digits of the last two places stand behind the block.
    let d_behind = after.first().is_some_and(|byte| byte | 0x20 == b'd');
    let high_behind = |at: usize| after.get(at).is_some_and(|byte| *byte >= b'8');
    let over = (units >> 62 & ds >> 63 & 1 != 0 && high_behind(0))
        || (units >> 63 != 0 && d_behind && high_behind(1));
    units & (ds >> 1) & (highs >> 2) != 0 || over
}

/// Passes over the escapes of a block at `start`. Returns where the string goes on, behind the
/// block or behind an escape that crosses its end; or where and why it stops.
#[inline(always)]
fn pass(
    bytes: &[u8],
    start: usize,
    mut specials: u64,
    escapes: &mut Escapes,
) -> Result<usize, (usize, Stop)> {
    while specials != 0 {
        let place = specials.trailing_zeros();
        let at = start + place as usize;
        match bytes.get(at) {
            Some(b'\\') => escapes.any = true,
            Some(b'"') => return Err((at, Stop::Quote)),
            Some(_) => return Err((at, Stop::Control)),
            None => return Err((at, Stop::End)),
        }
        let next = match escape_len(bytes, at) {
            0 => return Err((at, Stop::Escape)),
            len => {
                escapes.surrogates |= len == 6 && is_surrogate(bytes, at);
                place + len
            }
        };
        if next >= BLOCK {
            return Ok(start + next as usize);
        }
        specials &= u64::MAX << next;
    }
    Ok(start + BLOCK as usize)
}

/// The special bytes of a block.
#[inline(always)]
fn specials64<S: Simd>(block: u8x64<S>) -> <u8x64<S> as SimdBase<S>>::Mask {
    block.simd_lt(0x20) | block.simd_eq(b'"') | block.simd_eq(b'\\')
}

#[inline(always)]
fn specials16<S: Simd>(block: u8x16<S>) -> <u8x16<S> as SimdBase<S>>::Mask {
    block.simd_lt(0x20) | block.simd_eq(b'"') | block.simd_eq(b'\\')
}

/// Whether the escape of a unit at a backslash is half of a pair.
#[inline(always)]
fn is_surrogate(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at + 2..at + 4), Some([b'd' | b'D', high]) if *high >= b'8')
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
