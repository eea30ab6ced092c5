//! Walks `tests/manifests`: each folder holds `manifest.yaml` and the `problems.txt` that applying
//! it gives. A new case is a new folder; with `UPDATE_GOLDEN=1` the test writes missing answers.

use super::super::*;
use std::fs;
use std::path::Path;

fn problems(text: &str) -> Vec<String> {
    let documents = match parse("manifest.yaml", text) {
        Ok(documents) => documents,
        Err(problems) => return problems.iter().map(Problem::to_string).collect(),
    };
    let mut found = Vec::new();
    let mut valid = Vec::new();
    for document in &documents {
        match document.check() {
            Ok(manifest) => valid.push((manifest, document)),
            Err(problems) => found.extend(problems),
        }
    }
    if found.is_empty() {
        let entries: Vec<SetEntry<'_>> = valid
            .iter()
            .map(|(manifest, document)| SetEntry { manifest, document: Some(document) })
            .collect();
        let teams = ["ml".to_owned(), "search".to_owned()];
        let tenancy = Tenancy { tenant: "acme", teams: &teams };
        let set = check_set(&entries).into_iter().chain(check_access(&entries, tenancy));
        found.extend(set.map(|(_, problem)| problem));
    }
    found.iter().map(Problem::to_string).collect()
}

#[test]
fn bad_manifests_are_refused_with_place_and_advice() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|c| c.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 15, "only {} cases found", cases.len());
    for case in cases {
        let text = fs::read_to_string(case.join("manifest.yaml")).unwrap();
        let found = problems(&text).into_iter().map(|line| line + "\n").collect::<String>();
        let answer = case.join("problems.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !answer.exists() {
            fs::write(&answer, &found).unwrap();
        }
        let wanted = fs::read_to_string(&answer).unwrap();
        assert_eq!(found, wanted, "{}", case.display());
    }
}
