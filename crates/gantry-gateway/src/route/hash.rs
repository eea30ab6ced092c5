//! The hash that draws of routing are made with: FNV-1a over 64 bits, then murmur3's last mix.
//!
//! `order` is its only caller. It must never change: a session keeps its target across restarts,
//! builds and replicas only while all of them hash alike. FNV-1a alone changes its upper bits too
//! little for short keys, hence the mix (`fmix64` of MurmurHash3, public domain). It is no defence
//! against callers who choose their keys: they can only choose their own target by it.

/// FNV's 64-bit offset basis and prime (draft-eastlake-fnv).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A hash in the making. Every part is framed, so that `ab` + `c` is not `a` + `bc`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn new() -> Self {
        Self(BASIS)
    }

    /// Eight bytes, the lowest first.
    pub(super) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// The text's UTF-8 behind its length.
    pub(super) fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    pub(super) fn finish(self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        Self(bytes.iter().fold(self.0, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code. A change of one moves every caller's sessions.
    #[test]
    fn hashes_are_what_they_always_were() {
        let cases = [
            (Hash::new(), 0xefd0_1f60_ba99_2926),
            (Hash::new().number(0), 0x7bd3_144f_29c0_cc9e),
            (Hash::new().number(7).number(u64::MAX), 0x8849_af8c_beff_fc57),
            (Hash::new().text(""), 0x7bd3_144f_29c0_cc9e),
            (Hash::new().text("route/chat").text("acc/a").number(1), 0x7634_b807_efe2_e365),
            (Hash::new().text("ab").text("c"), 0x0495_f5d6_4226_8de7),
            (Hash::new().text("a").text("bc"), 0x028d_4aba_4bf9_93b3),
        ];
        for (at, (hash, expected)) in cases.into_iter().enumerate() {
            assert_eq!(hash.finish(), expected, "case {at}");
        }
    }
}
