//! The search for the name that was probably meant. Called for messages about names of manifests
//! and of models.

/// No name that anybody may give is longer; measuring the distance of two texts takes memory in the
/// order of the product of their lengths, and requests may name anything.
const NEAR_MAX: usize = 256;

/// The known name that was probably meant: at most a third of the letters differ, or it is the
/// only one that begins so. Nothing is near to a single letter.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let most = match name.chars().count() {
        0 | 1 => return None,
        _ if name.len() > NEAR_MAX => return None,
        count => (count / 3).max(1),
    };
    let near = known
        .clone()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known);
    let mut longer = known.filter(|known| name.len() >= 3 && known.starts_with(name));
    near.or_else(|| longer.next().filter(|_| longer.next().is_none()))
}
