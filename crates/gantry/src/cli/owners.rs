//! What each line of a printed manifest belongs to, so that `gantry diff` can name it. Pure.

/// The fields that name an item of a list, the first that it has.
const NAMES: [&str; 4] = ["name", "target", "subject", "key"];

/// A line and the way to it, such as `integrations > gpt`; empty at the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) owner: String,
    pub(super) text: String,
}

/// The lines of a document as [`super::yaml::print`] writes it: two blanks deeper for each level,
/// items of a list behind dashes that are deeper than the list's key.
pub(super) fn lines(document: &str) -> Vec<Line> {
    let all: Vec<&str> = document.lines().collect();
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut positions: Vec<(usize, usize)> = Vec::new();
    let mut out = Vec::new();
    for (at, text) in all.iter().enumerate() {
        let mut indent = depth(text);
        positions.retain(|(depth, _)| *depth <= indent);
        above.retain(|(depth, _)| *depth < indent);
        if text.trim_start().starts_with("- ") {
            let position = next(&mut positions, indent);
            let item = all.get(at..).unwrap_or_default();
            above.push((indent, name(item, indent).unwrap_or_else(|| position.to_string())));
            indent += 2;
        }
        let owner = above.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" > ");
        out.push(Line { owner, text: (*text).to_owned() });
        if let Some((key, "")) = field(text, indent) {
            above.push((indent, key.to_owned()));
        }
    }
    out
}

fn depth(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

/// The position of the next item, from 1, in the list whose dashes stand at `indent`.
fn next(positions: &mut Vec<(usize, usize)>, indent: usize) -> usize {
    if !positions.iter().any(|(depth, _)| *depth == indent) {
        positions.push((indent, 0));
    }
    let found = positions.iter_mut().find(|(depth, _)| *depth == indent);
    found.map_or(0, |(_, count)| {
        *count += 1;
        *count
    })
}

/// Key and value of a field that stands at `indent`, be it behind a dash.
fn field(text: &str, indent: usize) -> Option<(&str, &str)> {
    let rest = text.get(indent..)?;
    let (key, value) = rest.split_once(':')?;
    (!key.starts_with([' ', '"'])).then_some((key, value.trim()))
}

/// How an item is named; `item` begins with its dash and may go on behind its end.
fn name(item: &[&str], indent: usize) -> Option<String> {
    let (first, rest) = item.split_first()?;
    let own = rest.iter().take_while(|text| depth(text) > indent);
    let fields: Vec<_> =
        std::iter::once(first).chain(own).filter_map(|text| field(text, indent + 2)).collect();
    let named = |wanted: &&str| fields.iter().find(|(key, _)| key == wanted);
    let (_, value) = NAMES.iter().find_map(named)?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_knows_what_it_belongs_to() {
        let document = "\
type: t
name: main
auth_data:
  type: api-key
integrations:
  - type: m
    name: gpt
    cost:
      input: 1
    model_types:
      - chat
  - type: m
    routing:
      targets:
        - target: a/b
          params:
            top_p: 1
        - weight: 2
          priority: 3
ownedBy: x
";
        let owners: Vec<String> = lines(document).into_iter().map(|line| line.owner).collect();
        let expected = [
            "",
            "",
            "",
            "auth_data",
            "",
            "integrations > gpt",
            "integrations > gpt",
            "integrations > gpt",
            "integrations > gpt > cost",
            "integrations > gpt",
            "integrations > gpt > model_types > 1",
            "integrations > 2",
            "integrations > 2",
            "integrations > 2 > routing",
            "integrations > 2 > routing > targets > a/b",
            "integrations > 2 > routing > targets > a/b",
            "integrations > 2 > routing > targets > a/b > params",
            "integrations > 2 > routing > targets > 2",
            "integrations > 2 > routing > targets > 2",
            "",
        ];
        assert_eq!(owners, expected);
    }
}
