//! What the text itself may and may not hold.

use super::super::*;

fn refused(text: &str) -> Vec<String> {
    parse("m.yaml", text).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn several_documents_come_with_their_places() {
    let text =
        "# first\ntype: a\nname: x\n---\n---\n# only a comment\n---\ntype: b\n  \nname: y\n...\n";
    let documents = parse("m.yaml", text).unwrap();
    let names: Vec<_> = documents.iter().map(|d| (d.kind().unwrap(), d.name().unwrap())).collect();
    assert_eq!(names, [("a", "x"), ("b", "y")]);
    let at = documents[1].problem(&["name".into()], String::new());
    assert_eq!((at.line, at.column), (10, 7));
    assert!(parse("m.yaml", "").unwrap().is_empty());
    assert!(parse("m.yaml", "# nothing\n").unwrap().is_empty());
}

#[test]
fn json_text_is_read_too() {
    let text = "\u{feff}{\n\t\"type\": \"a\",\n\t\"name\": \"\\ud83d\\ude00 \\/\"\n}";
    assert_eq!(parse("m.json", text).unwrap()[0].name(), Some("😀 /"));
    let spaced = parse("m.json", "{\"type\": \"a\",\n \"name\": 5}").unwrap();
    assert_eq!(spaced[0].problem(&["name".into()], String::new()).line, 2);
}

#[test]
fn text_that_is_no_yaml_is_refused_at_its_place() {
    let found = refused("type: a\nname: [x\nother: y\n");
    assert!(found[0].starts_with("m.yaml:3:") && found[0].contains("bad YAML"), "{found:?}");
}

#[test]
fn what_could_mean_two_things_is_refused() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", "m.yaml:3:1: `a` is given twice, first on line 1"),
        ("a: &x 1\nb: *x\n", "m.yaml:2:4: aliases are not supported: write the value out"),
        ("a: !env X\n", "m.yaml:1:4: the tag `!env` is not supported"),
        ("a: !!int x\n", "m.yaml:1:4: the tag `!!int` does not fit here"),
        ("a: .inf\n", "m.yaml:1:4: `.inf` is not a number that a manifest may hold"),
        ("? [a]\n: b\n", "m.yaml:1:3: a field's name is text, not a list"),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text), [wanted], "{text}");
    }
}

#[test]
fn all_doubtful_places_are_reported_at_once() {
    assert_eq!(refused("a: !x 1\nb: 2\nb: 3\n").len(), 2);
}

#[test]
fn hostile_texts_meet_a_limit() {
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    assert!(refused(&deep)[0].contains("nested more than 64 deep"));
    let many = format!("a: [{}1]", "1,".repeat(100_001));
    assert!(refused(&many)[0].contains("more than 100000 values"));
    let long = " ".repeat((4 << 20) + 1);
    assert!(refused(&long)[0].contains("at most 4194304 are read"));
    let very_deep = "[".repeat(200_000);
    assert!(!refused(&very_deep).is_empty());
}
