//! Collects what a translation dropped or approximated.
//!
//! Parsers and printers write to it; `translate` and `stream` hand the list to the gateway.

use gantry_model::record::{Loss, LossKind};
use std::fmt::Display;

/// Most losses kept; a prompt of ten thousand odd parts must not make a record of megabytes.
const LOSSES_MAX: usize = 64;

/// What did not fit, in the order it was found.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    list: Vec<Loss>,
    /// How often each entry of `list` was seen again elsewhere.
    repeats: Vec<u32>,
}

impl Losses {
    /// The field is not sent at all.
    pub fn dropped(&mut self, field: impl Display, note: &str) {
        self.push(LossKind::Dropped, &field, note);
    }

    /// The field is sent as something that means nearly the same.
    pub fn approximated(&mut self, field: impl Display, note: &str) {
        self.push(LossKind::Approximated, &field, note);
    }

    /// Dropped, for what a long conversation holds in every turn: only the first place is named,
    /// the others are counted.
    pub fn dropped_often(&mut self, field: impl Display, note: &str) {
        let known = self.list.iter().position(|l| l.kind == LossKind::Dropped && l.note == note);
        match known.and_then(|at| self.repeats.get_mut(at)) {
            Some(count) => *count = count.saturating_add(1),
            None => self.push(LossKind::Dropped, &field, note),
        }
    }

    /// Whether an equal loss is already in the list; streams report each kind once.
    pub fn once(&mut self, field: &str, note: &str) {
        if !self.list.iter().any(|l| l.field == field && l.note == note) {
            self.push(LossKind::Dropped, &field, note);
        }
    }

    /// The list as found so far, without the counts of repetitions.
    #[must_use]
    pub fn as_slice(&self) -> &[Loss] {
        &self.list
    }

    /// The list, with counts of repetitions in the notes.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Loss> {
        for (loss, count) in self.list.iter_mut().zip(&self.repeats) {
            if *count > 0 {
                loss.note.push_str(&format!(" (and {count} more)"));
            }
        }
        self.list
    }

    fn push(&mut self, kind: LossKind, field: &dyn Display, note: &str) {
        if self.list.len() < LOSSES_MAX {
            self.list.push(Loss { field: field.to_string(), kind, note: note.to_owned() });
            self.repeats.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Losses;

    #[test]
    fn repeated_losses_are_counted_at_their_first_place() {
        let mut losses = Losses::default();
        losses.dropped_often("messages[1]", "gone");
        losses.dropped_often("messages[3]", "gone");
        losses.dropped_often("messages[5]", "gone");
        let list = losses.into_vec();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].field, "messages[1]");
        assert_eq!(list[0].note, "gone (and 2 more)");
    }
}
