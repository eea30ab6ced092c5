//! Manifests as files: which ones lie below a path, and their texts.
//!
//! `gantry apply` and a gateway that runs from files use it. It never looks into a manifest.

use anyhow::{Context, bail};
use gantry_model::rest::Source;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads files and directories (their `.yaml`, `.yml` and `.json` files, by name).
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read standard input")?;
            sources.push(Source { file: "-".to_owned(), text });
            continue;
        }
        for file in files_below(path)? {
            let text = text_of(&file)?;
            sources.push(Source { file: file.display().to_string(), text });
        }
    }
    if sources.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no manifests: {} holds no .yaml, .yml or .json file", paths.join(", "));
    }
    Ok(sources)
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let (bytes, good) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let lines = bytes.iter().take(good).filter(|byte| **byte == b'\n').count();
        anyhow::anyhow!("{}:{}: this line is not UTF-8 text", file.display(), lines + 1)
    })
}

/// The manifests below a directory, or the file itself.
///
/// What begins with a dot is left out, and links to directories are not followed: a mounted
/// ConfigMap holds each file once more below such entries, and a link may lead back up.
pub(crate) fn files_below(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let entries = std::fs::read_dir(path)
        .with_context(|| format!("read the directory {}", path.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (file, link) = (entry.path(), entry.file_type()?.is_symlink());
        let manifest = file
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"));
        if file.is_dir() {
            if !link {
                files.extend(files_below(&file)?);
            }
        } else if manifest {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_named_with_the_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"type: x\nname: \xff\n").unwrap();
        let error = read(&[file.path().to_owned()]).err().unwrap().to_string();
        assert!(error.ends_with(":2: this line is not UTF-8 text"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_mounted_config_map_is_read_once_and_a_link_upwards_is_not_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("..2024_1")).unwrap();
        std::fs::create_dir_all(at("sub")).unwrap();
        std::fs::write(at("..2024_1/a.yaml"), "a").unwrap();
        std::fs::write(at("sub/b.yml"), "b").unwrap();
        std::fs::write(at(".hidden.yaml"), "no").unwrap();
        symlink("..2024_1", at("..data")).unwrap();
        symlink("..data/a.yaml", at("a.yaml")).unwrap();
        symlink(".", at("loop")).unwrap();
        let texts = |sources: Vec<Source>| sources.into_iter().map(|s| s.text).collect::<Vec<_>>();
        assert_eq!(texts(read(&[dir.path().to_owned()]).unwrap()), ["a", "b"]);
        let named = [at(".hidden.yaml"), at("..data")];
        assert_eq!(texts(read(&named).unwrap()), ["no", "a"], "what is named is read");
    }
}
