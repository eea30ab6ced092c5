//! Parquet's hybrid of runs and packed bits, in which levels and places in a dictionary stand.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE> Used by `chunk`. Pure.

use crate::shared::Runs;

/// Values are packed in groups of so many.
const GROUP: usize = 8;

/// Bits that a number up to `most` takes.
pub(crate) fn width(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// Appends the values, each in `width` bits.
pub(crate) fn append(out: &mut Vec<u8>, values: &Runs<u32>, width: u32) {
    let mut packed = Packed { width, values: Vec::new() };
    for (value, count) in values.iter() {
        // A group that was begun has to be filled up first.
        let begun = packed.values.len() % GROUP;
        let fill = if begun == 0 { 0 } else { count.min(GROUP - begun) };
        packed.push(value, fill);
        let left = count - fill;
        if left < GROUP {
            packed.push(value, left);
            continue;
        }
        packed.flush(out);
        append_varint(out, left << 1);
        let bytes = width.div_ceil(8) as usize;
        out.extend(value.to_le_bytes().iter().take(bytes));
    }
    packed.flush(out);
}

/// Values that are no run.
struct Packed {
    width: u32,
    values: Vec<u32>,
}

impl Packed {
    fn push(&mut self, value: u32, count: usize) {
        self.values.resize(self.values.len() + count, value);
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.values.is_empty() {
            return;
        }
        // Only the last group of all is not full; readers know how many values there are.
        self.values.resize(self.values.len().next_multiple_of(GROUP), 0);
        append_varint(out, (self.values.len() / GROUP) << 1 | 1);
        let (mut bits, mut used) = (0_u64, 0);
        for value in self.values.drain(..) {
            bits |= u64::from(value) << used;
            used += self.width;
            while used >= 8 {
                out.push(bits.to_le_bytes()[0]);
                bits >>= 8;
                used -= 8;
            }
        }
    }
}

fn append_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[u32], width: u32) -> Vec<u8> {
        let mut runs = Runs::default();
        values.iter().for_each(|value| runs.push(*value, 1));
        let mut out = Vec::new();
        append(&mut out, &runs, width);
        out
    }

    /// The first is the example of the specification.
    #[test]
    fn runs_and_packed_groups_stand_as_the_specification_says() {
        assert_eq!(encoded(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [3, 0x88, 0xc6, 0xfa]);
        assert_eq!(encoded(&[5; 100], 3), [0xc8, 0x01, 5]);
        assert_eq!(encoded(&[300; 9], 9), [18, 0x2c, 0x01]);
        assert_eq!(encoded(&[0; 9], 0), [18]);
        // The run fills the group that was begun and goes on as a run.
        let values = [[1].as_slice(), &[2; 15]].concat();
        assert_eq!(encoded(&values, 2), [3, 0xa9, 0xaa, 16, 2]);
        assert_eq!(encoded(&[1, 0, 1], 1), [3, 0b101]);
        assert!(encoded(&[], 1).is_empty());
        assert_eq!([0, 1, 2, 255, 256].map(width), [0, 1, 2, 8, 9]);
    }
}
