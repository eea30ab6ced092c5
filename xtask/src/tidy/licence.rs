//! SPDX licence expressions: `OR`, `AND`, `WITH`, parentheses, and the old `A/B` for `A OR B`.
//!
//! Called by `packages` only. `AND` binds closer than `OR`, `WITH` closer than both.

/// Whether a package may be used under the allowed licences.
///
/// # Errors
/// A sentence that says what is wrong, to stand after the package's name.
pub(super) fn check(expression: Option<&str>, allowed: &[&str]) -> Result<(), String> {
    let Some(expression) = expression else {
        return Err("says no licence: replace it or ask its authors".to_owned());
    };
    let mut parser = Parser { tokens: tokens(expression), at: 0, allowed };
    let fits = parser.any().filter(|_| parser.at == parser.tokens.len());
    match fits {
        Some(true) => Ok(()),
        Some(false) => Err(format!("licence `{expression}` is not on the allow list")),
        None => Err(format!("licence `{expression}` is not an SPDX expression")),
    }
}

fn tokens(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    allowed: &'a [&'a str],
}

/// Each function returns whether its part is satisfied, or `None` when it does not parse.
impl Parser<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut fits = self.all()?;
        while self.take("OR") {
            fits |= self.all()?;
        }
        Some(fits)
    }

    fn all(&mut self) -> Option<bool> {
        let mut fits = self.one()?;
        while self.take("AND") {
            fits &= self.one()?;
        }
        Some(fits)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let fits = self.any()?;
            return self.take(")").then_some(fits);
        }
        let mut name = self.word()?;
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.word()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Option<String> {
        let word = self.tokens.get(self.at).filter(|token| !is_operator(token))?.clone();
        self.at += 1;
        Some(word)
    }
}

fn is_operator(token: &str) -> bool {
    matches!(token, "OR" | "AND" | "WITH" | "(" | ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_expressions_as_spdx_says() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        let cases = [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("MIT OR Apache-2.0 AND GPL-3.0-only", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
            ("MIT WITH Something-else", false),
            ("(MIT", false),
            ("MIT OR", false),
            ("MIT Apache-2.0", false),
            ("", false),
        ];
        for (expression, good) in cases {
            assert_eq!(check(Some(expression), &allowed).is_ok(), good, "{expression}");
        }
        assert!(check(None, &allowed).is_err());
    }
}
