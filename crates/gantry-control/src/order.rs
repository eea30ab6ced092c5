//! Things in an order in which each comes after what it needs, for the dependency tree.
//!
//! Time grows with the number of things and needs, whatever they are: anybody with a token may ask.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// One thing: what others call it, and what it needs.
pub(crate) struct Item<K> {
    pub name: K,
    pub needs: Vec<K>,
}

/// All things with one name.
struct Group {
    /// How many of them have no place yet.
    left: usize,
    /// Positions of those that need them.
    waiting: Vec<usize>,
}

/// The positions of `items`, each after all that it needs as far as there are any, else as they
/// came. Where all that are left wait, on a circle, the first goes first. What needs its own name
/// does not wait for itself.
pub(crate) fn in_order<K: Eq + Hash>(items: &[Item<K>]) -> Vec<usize> {
    let mut groups: HashMap<&K, Group> = HashMap::new();
    for item in items {
        let new = || Group { left: 0, waiting: Vec::new() };
        groups.entry(&item.name).or_insert_with(new).left += 1;
    }
    let mut missing = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        let mut count = 0_usize;
        for need in item.needs.iter().filter(|need| **need != item.name) {
            if let Some(group) = groups.get_mut(need) {
                group.waiting.push(position);
                count += 1;
            }
        }
        missing.push(count);
    }
    let mut unplaced: BTreeSet<usize> = (0..items.len()).collect();
    let free = |position: &usize| missing.get(*position) == Some(&0);
    let mut ready: BTreeSet<usize> = unplaced.iter().copied().filter(free).collect();
    let mut placed = Vec::with_capacity(items.len());
    while let Some(next) = ready.pop_first().or_else(|| unplaced.first().copied()) {
        unplaced.remove(&next);
        placed.push(next);
        let Some(group) = items.get(next).and_then(|item| groups.get_mut(&item.name)) else {
            continue;
        };
        group.left -= 1;
        if group.left > 0 {
            continue;
        }
        for waiting in std::mem::take(&mut group.waiting) {
            let Some(count) = missing.get_mut(waiting) else { continue };
            *count -= 1;
            if *count == 0 && unplaced.contains(&waiting) {
                ready.insert(waiting);
            }
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<'a>(items: &[(&'a str, &[&'a str])]) -> Vec<usize> {
        let items = items.iter().map(|(name, needs)| Item { name: *name, needs: needs.to_vec() });
        in_order(&items.collect::<Vec<_>>())
    }

    #[test]
    fn each_comes_after_what_it_needs_and_else_where_it_was() {
        assert_eq!(ordered(&[]), [0_usize; 0]);
        assert_eq!(ordered(&[("a", &["c"]), ("b", &[]), ("c", &["gone"])]), [1, 2, 0]);
        assert_eq!(ordered(&[("a", &["b", "b"]), ("b", &[])]), [1, 0], "a need said twice");
        assert_eq!(ordered(&[("a", &["b"]), ("b", &[]), ("b", &[])]), [1, 2, 0], "both of them");
        assert_eq!(ordered(&[("a", &["b"]), ("b", &["a"]), ("x", &["b"])]), [0, 1, 2]);
        assert_eq!(ordered(&[("a", &["b"]), ("b", &["a"]), ("x", &[])]), [2, 0, 1]);
        assert_eq!(ordered(&[("a", &["a"]), ("b", &["a"])]), [0, 1], "itself");
    }

    #[test]
    fn a_long_chain_and_many_of_one_name_take_no_longer_than_their_length() {
        let count = 100_000_usize;
        let chain: Vec<Item<usize>> =
            (0..count).map(|name| Item { name, needs: vec![name + 1] }).collect();
        let mut backwards = in_order(&chain);
        backwards.reverse();
        assert!(backwards.into_iter().eq(0..count));
        let same = (0..count).map(|i| Item { name: i % 2, needs: vec![0] });
        assert_eq!(in_order(&same.collect::<Vec<_>>()).len(), count);
    }
}
