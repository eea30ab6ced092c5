//! `docs/records.md`: the fields of a record, from the table in `gantry-model`. Used by `codegen`,
//! which writes or checks it.

use gantry_model::record::RequestRecord;
use gantry_model::record::table::{Field, Row};

/// The path from the root of the repository.
pub(crate) const PATH: &str = "docs/records.md";

const HEAD: &str = "# Fields of a record

Written by `cargo xtask codegen` from the rows in `crates/gantry-model/src/record.rs`; do not edit.

Each request leaves one record. `gantry logs --json` and the REST API call a field by its name; the
Parquet files of the lake have the columns. What is empty is left out, and null in the files. Fields
for the operator are not for the caller whose request it was.

| field | column | type | for | |
|---|---|---|---|---|
";

/// The page as the table says.
pub(crate) fn text() -> String {
    let mut page = HEAD.to_owned();
    append(&mut page, "", RequestRecord::FIELDS);
    page
}

fn append(page: &mut String, path: &str, fields: &[Field]) {
    for field in fields {
        let name = format!("{path}{}", field.name);
        let (column, kind) = match field.column {
            Some(column) => (format!("`{}`", column.name), column.kind.as_str()),
            None => (String::new(), ""),
        };
        let whom = if field.operator_only { "operator" } else { "" };
        let doc = field.doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let cells = ["", &format!("`{name}`"), &column, kind, whom, &doc].map(|cell| match cell {
            "" => String::new(),
            cell => format!(" {cell} "),
        });
        page.push_str(&cells.join("|"));
        page.push_str("|\n");
        append(page, &format!("{name}."), field.inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_a_line_with_its_column() {
        let page = text();
        let line = |begin: &str| page.lines().find(|line| line.starts_with(begin)).unwrap();
        assert!(line("| `cost` |").starts_with("| `cost` | `cost_nano_usd` | integer |"));
        assert!(line("| `attempts.url` |").contains("| operator |"));
        assert!(line("| `usage.input` |").contains("`input_tokens`"));
    }
}
