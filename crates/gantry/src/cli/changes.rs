//! The lines in which two texts differ, for `gantry diff`. Memory grows with the texts, not with
//! the product of their lengths.

use std::collections::HashMap;
use std::hash::Hash;

/// The lines that differ, by longest common subsequence: of each place those of `before` with `-`,
/// then those of `after` with `+`. Unchanged ones are left out.
pub(super) fn changes<'a, T: Eq + Hash>(before: &'a [T], after: &'a [T]) -> Vec<(char, &'a T)> {
    let mut numbers = HashMap::new();
    let (old, new) = (numbered(before, &mut numbers), numbered(after, &mut numbers));
    let same = common(&old, &new);
    let (mut old, mut new) = (old.into_iter().zip(before), new.into_iter().zip(after));
    let mut out = Vec::new();
    for line in same.into_iter().map(Some).chain([None]) {
        let differs = |(number, _): &(u32, &T)| Some(*number) != line;
        out.extend(old.by_ref().take_while(differs).map(|(_, line)| ('-', line)));
        out.extend(new.by_ref().take_while(differs).map(|(_, line)| ('+', line)));
    }
    out
}

/// Each line as a number, equal lines as equal numbers.
fn numbered<'a, T: Eq + Hash>(lines: &'a [T], numbers: &mut HashMap<&'a T, u32>) -> Vec<u32> {
    let mut next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let mut number = |line: &'a T| {
        *numbers.entry(line).or_insert_with(|| {
            next += 1;
            next
        })
    };
    lines.iter().map(&mut number).collect()
}

/// A longest common subsequence, by Hirschberg's algorithm (Communications of the ACM 18, 1975):
/// `old` is halved, and `new` where the halves have most in common with its parts.
fn common(old: &[u32], new: &[u32]) -> Vec<u32> {
    let begin = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let ((head, old), new) = (old.split_at(begin), new.split_at(begin).1);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, tail) = old.split_at(old.len() - end);
    let new = new.split_at(new.len() - end).0;
    let middle = match old {
        [] => Vec::new(),
        [only] => new.iter().find(|line| *line == only).copied().into_iter().collect(),
        _ => {
            let (upper, lower) = old.split_at(old.len() / 2);
            let before = lengths(upper.iter(), new.iter());
            let after = lengths(lower.iter().rev(), new.iter().rev());
            let sums = before.iter().zip(after.iter().rev()).map(|(a, b)| a + b);
            let best = sums.enumerate().max_by_key(|(_, sum)| *sum);
            let (left, right) = new.split_at(best.map_or(0, |(at, _)| at));
            [common(upper, left), common(lower, right)].concat()
        }
    };
    [head, &middle, tail].concat()
}

/// For each beginning of `new`, from the empty one on: how long its longest common subsequence
/// with `old` is.
fn lengths<'a>(
    old: impl Iterator<Item = &'a u32>,
    new: impl ExactSizeIterator<Item = &'a u32> + Clone,
) -> Vec<u32> {
    let mut row = vec![0; new.len() + 1];
    for line in old {
        let (mut diagonal, mut left) = (0, 0);
        for (cell, other) in row.iter_mut().skip(1).zip(new.clone()) {
            let above = *cell;
            *cell = if line == other { diagonal + 1 } else { above.max(left) };
            (diagonal, left) = (above, *cell);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &str) -> Vec<String> {
        lines.split_whitespace().map(str::to_owned).collect()
    }

    fn shown(before: &[String], after: &[String]) -> Vec<String> {
        let changed = changes(before, after).into_iter();
        changed.map(|(sign, line)| format!("{sign} {line}")).collect()
    }

    #[test]
    fn shows_only_the_lines_that_differ() {
        let cases = [
            ("a b c", "a x c", vec!["- b", "+ x"]),
            ("", "a b", vec!["+ a", "+ b"]),
            ("a b", "", vec!["- a", "- b"]),
            ("a b c", "a b c", vec![]),
            ("a c", "a b c", vec!["+ b"]),
            ("a b c d e f", "a x c y f z", vec!["- b", "+ x", "- d", "- e", "+ y", "+ z"]),
            ("a a b a", "a b a a", vec!["+ b", "- b"]),
            ("x a y b z", "b a", vec!["- x", "+ b", "- y", "- b", "- z"]),
        ];
        for (before, after, expected) in cases {
            assert_eq!(shown(&text(before), &text(after)), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn texts_of_many_thousand_lines_are_compared_in_little_memory() {
        let line = |i: usize, changed: bool| format!("{i}{}", if changed { "x" } else { "" });
        let count = 6_000;
        let before: Vec<String> = (0..count).map(|i| line(i, false)).collect();
        let after: Vec<String> = (0..count).map(|i| line(i, i % 3 != 1)).collect();
        let found = shown(&before, &after);
        assert_eq!(found.len(), count / 3 * 4);
        assert_eq!(found[..4], ["- 0", "+ 0x", "- 2", "- 3"]);
        let widest = lengths([1].iter(), [2, 1].iter()).capacity();
        assert!(widest <= 4, "one row, not one for each line: {widest}");
    }
}
