//! Documents: relative links lead somewhere, and `ARCHITECTURE.md` has a line for each crate.

use super::finding::Finding;
use super::graph::Graph;
use super::sources::{Language, Source};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ARCHITECTURE_LINES_MAX: usize = 200;

/// Checks that each relative link of a Markdown file names a file that is there.
pub(super) fn check_links(source: &Source, found: &mut Vec<Finding>) {
    if source.language != Language::Markdown {
        return;
    }
    for (line, target) in links(&source.text) {
        let path = target.split(['#', '?']).next().unwrap_or_default();
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        if !elsewhere && !path.is_empty() && !source.folder.join(path).exists() {
            let advice = format!("`{target}` leads nowhere: mend the link");
            found.push(source.finding(line, "link", advice));
        }
    }
}

/// Checks that the map of the code names every crate and stays short.
pub(super) fn check_architecture(sources: &[Source], graph: &Graph, found: &mut Vec<Finding>) {
    let Some(source) = sources.iter().find(|source| source.path == ARCHITECTURE) else {
        let advice = "write it: one line a crate, and what is absent on purpose".to_owned();
        found.push(Finding {
            file: ARCHITECTURE.to_owned(),
            line: 1,
            rule: "architecture",
            advice,
        });
        return;
    };
    for member in graph.members() {
        if !source.text.contains(&format!("`{}`", member.name)) {
            let advice = format!("no line for the crate `{}`: add one", member.name);
            found.push(source.finding(1, "architecture", advice));
        }
    }
    let lines = source.text.lines().count();
    if lines >= ARCHITECTURE_LINES_MAX {
        let advice = format!("{lines} lines, fewer than {ARCHITECTURE_LINES_MAX}: shorten it");
        found.push(source.finding(ARCHITECTURE_LINES_MAX, "architecture", advice));
    }
}

/// Targets of inline links with their lines, code blocks left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let starts = line.split("](").skip(1);
            let ends = starts.filter_map(|rest| rest.split([')', ' ']).next());
            targets.extend(ends.map(|target| (index + 1, target)));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::testing::graph;
    use crate::tidy::sources::testing::seen;

    fn markdown(path: &str, text: &str) -> Source {
        Source::new(path, Language::Markdown, text.to_owned(), crate::workspace::root())
    }

    #[test]
    fn finds_links_that_lead_nowhere() {
        let cases: &[(&str, &[(&str, usize)])] = &[
            ("see [a](Cargo.toml) and [b](xtask/src/main.rs#top)", &[]),
            ("[a](https://example.com/x) [b](#heading) [c](mailto:a@b.c)", &[]),
            ("\n[a](no-such-file.md)", &[("link", 2)]),
            ("```\n[a](no-such-file.md)\n```", &[]),
        ];
        for (text, expected) in cases {
            let mut found = Vec::new();
            check_links(&markdown("x.md", text), &mut found);
            assert_eq!(seen(&found), *expected, "{text}");
        }
    }

    #[test]
    fn wants_a_line_for_each_crate() {
        let graph = graph(1, &[("gantry", &[], &[])]);
        let check_text = |sources: &[Source]| {
            let mut found = Vec::new();
            check_architecture(sources, &graph, &mut found);
            seen(&found)
        };
        assert_eq!(check_text(&[markdown(ARCHITECTURE, "- `gantry`: the binary")]), []);
        assert_eq!(check_text(&[markdown(ARCHITECTURE, "nothing")]), [("architecture", 1)]);
        assert_eq!(check_text(&[]), [("architecture", 1)]);
        let long = format!("`gantry`\n{}", "x\n".repeat(199));
        assert_eq!(check_text(&[markdown(ARCHITECTURE, &long)]), [("architecture", 200)]);
    }
}
