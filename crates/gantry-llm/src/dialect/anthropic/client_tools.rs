//! Tools that Anthropic defines and the caller runs: its models know their input by heart.
//!
//! The parser of requests uses it, so that other models get the same tools as functions. Inputs
//! are those of Anthropic's Python SDK and documentation of tools. Tools that run at Anthropic are
//! not here, nor is `computer_*`, which models must be trained for.

/// What a tool's model must be told about it.
pub(super) struct ClientTool {
    pub(super) description: &'static str,
    /// JSON Schema of the input.
    pub(super) schema: &'static str,
}

/// First version of the text editor that calls the inserted text `insert_text`.
const EDITOR_INSERT_TEXT: &str = "20250728";

/// First version of the text editor that does not undo.
const EDITOR_NO_UNDO: &str = "20250429";

/// The tool of a dated type such as `bash_20250124`.
pub(super) fn find(kind: &str) -> Option<&'static ClientTool> {
    let (name, date) = kind.rsplit_once('_')?;
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match name {
        "bash" => &BASH,
        "memory" => &MEMORY,
        "text_editor" if date < EDITOR_NO_UNDO => &EDITOR_UNDO,
        "text_editor" if date < EDITOR_INSERT_TEXT => &EDITOR_NEW_STR,
        "text_editor" => &EDITOR,
        _ => return None,
    })
}

static BASH: ClientTool = ClientTool {
    description: "Runs commands in a bash session that stays open between calls.",
    schema: r#"{"type":"object","properties":{
"command":{"type":"string","description":"Command to run. Required unless `restart` is true."},
"restart":{"type":"boolean","description":"True: restart the session instead."}}}"#,
};

static EDITOR: ClientTool = ClientTool {
    description: "Views, creates and edits text files.",
    schema: r#"{"type":"object","required":["command","path"],"properties":{
"command":{"type":"string","enum":["view","create","str_replace","insert"]},
"path":{"type":"string","description":"Path of the file, or of the directory to view."},
"view_range":{"type":"array","items":{"type":"integer"},
"description":"For view: first and last line, counted from 1; -1 is the end of the file."},
"file_text":{"type":"string","description":"For create: the content of the file."},
"old_str":{"type":"string",
"description":"For str_replace: the text to replace, which must occur exactly once."},
"new_str":{"type":"string","description":"For str_replace: the text that replaces it."},
"insert_line":{"type":"integer",
"description":"For insert: the line after which to insert; 0 is the start of the file."},
"insert_text":{"type":"string","description":"For insert: the text to insert."}}}"#,
};

/// The input of the editors before `insert_text`, which know these commands.
macro_rules! earlier_editor {
    ($commands:literal) => {
        concat!(
            r#"{"type":"object","required":["command","path"],"properties":{
"command":{"type":"string","enum":"#,
            $commands,
            r#"},
"path":{"type":"string","description":"Path of the file, or of the directory to view."},
"view_range":{"type":"array","items":{"type":"integer"},
"description":"For view: first and last line, counted from 1; -1 is the end of the file."},
"file_text":{"type":"string","description":"For create: the content of the file."},
"old_str":{"type":"string",
"description":"For str_replace: the text to replace, which must occur exactly once."},
"new_str":{"type":"string",
"description":"For str_replace: the text that replaces it. For insert: the text to insert."},
"insert_line":{"type":"integer",
"description":"For insert: the line after which to insert; 0 is the start of the file."}}}"#
        )
    };
}

static EDITOR_NEW_STR: ClientTool = ClientTool {
    description: EDITOR.description,
    schema: earlier_editor!(r#"["view","create","str_replace","insert"]"#),
};

static EDITOR_UNDO: ClientTool = ClientTool {
    description: EDITOR.description,
    schema: earlier_editor!(r#"["view","create","str_replace","insert","undo_edit"]"#),
};

static MEMORY: ClientTool = ClientTool {
    description: "Keeps notes in files under /memories that stay after this conversation. \
                  View the directory before you begin, and note what will be needed later.",
    schema: r#"{"type":"object","required":["command"],"properties":{
"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},
"path":{"type":"string","description":"Path under /memories; for all commands but rename."},
"view_range":{"type":"array","items":{"type":"integer"},
"description":"For view: first and last line, counted from 1."},
"file_text":{"type":"string","description":"For create: the content of the file."},
"old_str":{"type":"string",
"description":"For str_replace: the text to replace, which must occur exactly once."},
"new_str":{"type":"string","description":"For str_replace: the text that replaces it."},
"insert_line":{"type":"integer",
"description":"For insert: the line after which to insert; 0 is the start of the file."},
"insert_text":{"type":"string","description":"For insert: the text to insert."},
"old_path":{"type":"string","description":"For rename: the present path."},
"new_path":{"type":"string","description":"For rename: the new path."}}}"#,
};

#[cfg(test)]
mod tests {
    use super::find;

    /// Names of the input's properties.
    fn properties(kind: &str) -> Option<Vec<String>> {
        let schema: serde_json::Value = serde_json::from_str(find(kind)?.schema).unwrap();
        Some(schema["properties"].as_object()?.keys().cloned().collect())
    }

    #[test]
    fn each_tool_has_its_versions_input() {
        for (kind, has, lacks) in [
            ("bash_20241022", "restart", "path"),
            ("bash_20250124", "command", "path"),
            ("text_editor_20241022", "new_str", "insert_text"),
            ("text_editor_20250429", "new_str", "insert_text"),
            ("text_editor_20250728", "insert_text", "old_path"),
            ("text_editor_20270101", "insert_text", "old_path"),
            ("memory_20250818", "old_path", "restart"),
        ] {
            let names = properties(kind).unwrap();
            assert!(names.contains(&has.to_owned()), "{kind}: {names:?}");
            assert!(!names.contains(&lacks.to_owned()), "{kind}: {names:?}");
        }
        let undoes = |kind| find(kind).unwrap().schema.contains("undo_edit");
        assert!(undoes("text_editor_20250124") && !undoes("text_editor_20250429"));
    }

    #[test]
    fn tools_that_run_at_anthropic_or_need_training_are_not_here() {
        for kind in ["web_search_20260318", "code_execution_20260521", "computer_20251124", "bash"]
        {
            assert!(find(kind).is_none(), "{kind}");
        }
    }
}
