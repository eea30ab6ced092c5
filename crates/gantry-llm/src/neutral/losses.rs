//! Collects what a translation dropped or approximated.
//!
//! Parsers and printers write to it; `translate` and `stream` hand the list to the gateway.

use gantry_model::record::{Loss, LossKind};
use std::fmt::Display;

/// Most losses kept; a prompt of ten thousand odd parts must not make a record of megabytes.
const LOSSES_MAX: usize = 64;

/// Most places named of one loss that a long conversation holds in every turn.
const PLACES_MAX: usize = 8;

/// Longest field or note, in characters: both can hold names of the caller's.
const CHARS_MAX: usize = 200;

/// Members of the caller's request that no wire struct knows.
#[derive(Clone, Debug, Default)]
pub struct Unknown {
    /// Such as `messages[3].content[1].foo`, as far as they are listed.
    pub paths: Vec<String>,
    /// How many there are besides.
    pub more: usize,
}

/// What did not fit, in the order it was found.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    list: Vec<Loss>,
    /// How often each entry of `list` was seen again elsewhere.
    repeats: Vec<u32>,
    /// What Gantry added on its own, which is no loss of the caller's.
    added: Vec<Loss>,
    /// How many are not in the list; its last entry says so.
    more: usize,
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

    /// Dropped, for what a long conversation holds in every turn: only the first places are named,
    /// the others are counted.
    pub fn dropped_often(&mut self, field: impl Display, note: &str) {
        let alike = |loss: &Loss| loss.kind == LossKind::Dropped && loss.note == note;
        let places = self.list.iter().filter(|loss| alike(loss)).count();
        let last = self.list.iter().rposition(alike).filter(|_| places >= PLACES_MAX);
        match last.and_then(|at| self.repeats.get_mut(at)) {
            Some(count) => *count = count.saturating_add(1),
            None => self.push(LossKind::Dropped, &field, note),
        }
    }

    /// A default or a spelling of Gantry's own, which takes nothing from the caller's request; each
    /// is told once, the first of them only.
    pub fn added(&mut self, field: &str, note: &str) {
        if self.added.len() >= PLACES_MAX
            || self.added.iter().any(|added| added.field == field && added.note == note)
        {
            return;
        }
        let (field, note) = (short(field), short(note));
        self.added.push(Loss { field, kind: LossKind::Approximated, note });
    }

    /// Members that nothing reads, but for those of what was dropped as a whole. `prefix` is the
    /// path of the value that they were found in.
    pub fn unknown(&mut self, prefix: &str, unknown: Unknown) {
        for path in &unknown.paths {
            let path = format!("{prefix}{path}");
            let inside = |loss: &Loss| {
                let rest = path.strip_prefix(&loss.field);
                loss.kind == LossKind::Dropped
                    && rest.is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            if !self.list.iter().any(inside) {
                self.dropped(path, "is not known, so it is not sent");
            }
        }
        self.overflow(unknown.more);
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

    /// What Gantry added on its own.
    #[must_use]
    pub fn take_added(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.added)
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
        if self.more > 0 || self.list.len() == LOSSES_MAX {
            return self.overflow(1);
        }
        self.list.push(Loss { field: short(&field.to_string()), kind, note: short(note) });
        self.repeats.push(0);
    }

    /// Counts what is not listed, in one last entry.
    fn overflow(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        if self.more > 0 {
            self.list.pop();
            self.repeats.pop();
        }
        self.more = self.more.saturating_add(count);
        let (field, note) = (format!("{} more", self.more), "not listed one by one".to_owned());
        self.list.push(Loss { field, kind: LossKind::Dropped, note });
        self.repeats.push(0);
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHARS_MAX, LOSSES_MAX, Losses, PLACES_MAX, Unknown};

    fn fields(losses: Losses) -> Vec<String> {
        losses.into_vec().into_iter().map(|loss| loss.field).collect()
    }

    #[test]
    fn repeated_losses_are_counted_at_the_last_place_that_is_named() {
        let mut losses = Losses::default();
        for turn in 0..PLACES_MAX + 2 {
            losses.dropped_often(format!("messages[{turn}]"), "gone");
        }
        let list = losses.into_vec();
        assert_eq!(list.len(), PLACES_MAX);
        assert_eq!((list[0].field.as_str(), list[0].note.as_str()), ("messages[0]", "gone"));
        let last = list.last().unwrap();
        assert_eq!((last.field.as_str(), last.note.as_str()), ("messages[7]", "gone (and 2 more)"));
    }

    #[test]
    fn the_list_is_bounded_and_says_how_many_are_missing() {
        let mut losses = Losses::default();
        for index in 0..LOSSES_MAX + 3 {
            losses.dropped(format!("stop[{index}]"), "gone");
        }
        let paths = vec!["a".to_owned(), "x".repeat(2 * CHARS_MAX)];
        losses.unknown("", Unknown { paths, more: 5 });
        let list = fields(losses);
        assert_eq!(list.len(), LOSSES_MAX + 1);
        assert_eq!(list.last().unwrap(), "10 more");
    }

    #[test]
    fn members_of_what_was_dropped_as_a_whole_are_not_listed_again() {
        let mut losses = Losses::default();
        losses.dropped("tools[1]", "gone");
        losses.approximated("tools[2]", "nearly");
        let names = ["[1].size", "[10].size", "[2].size", "[3].size"];
        let paths = names.map(str::to_owned).to_vec();
        losses.unknown("tools", Unknown { paths, more: 0 });
        let list = fields(losses);
        assert_eq!(
            list,
            ["tools[1]", "tools[2]", "tools[10].size", "tools[2].size", "tools[3].size"]
        );
    }

    #[test]
    fn long_names_are_cut() {
        let mut losses = Losses::default();
        losses.dropped("é".repeat(CHARS_MAX + 1), "gone");
        assert_eq!(fields(losses)[0].chars().count(), CHARS_MAX + 1);
    }
}
