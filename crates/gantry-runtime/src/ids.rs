//! Randomness and ids; the only door to the system's random source.

use crate::clock::Clock;
use gantry_model::ids::RequestId;
use std::cell::Cell;

/// Fills `bytes` from the operating system's generator.
///
/// # Errors
/// When the operating system refuses, which no supported one does after boot.
pub fn random_bytes(bytes: &mut [u8]) -> Result<(), RandomError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| RandomError)
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("read random bytes from the operating system")]
pub struct RandomError;

/// A quick random number for load spreading and ids: not for secrets.
#[must_use]
pub fn fast_random_u64() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let mut seed = state.get();
        if seed == 0 {
            let mut bytes = [0u8; 8];
            // A failure leaves zeros: the generator still spreads, from a fixed start.
            let _ = random_bytes(&mut bytes);
            seed = u64::from_le_bytes(bytes) | 1;
        }
        let drawn = draw(&mut seed);
        state.set(seed);
        drawn
    })
}

/// The next number of the sequence that a seed begins: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A new request id: 48 bits of time, then random bits, with version and variant of UUID v7.
#[must_use]
pub fn request_id(clock: &Clock) -> RequestId {
    let time = u128::from(clock.unix_ms() & 0xffff_ffff_ffff) << 80;
    let high = u128::from(fast_random_u64() & 0x0fff) << 64;
    let low = u128::from(fast_random_u64() & 0x3fff_ffff_ffff_ffff);
    RequestId(time | (7 << 76) | high | (2 << 62) | low)
}
