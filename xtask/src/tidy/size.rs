//! Sizes: lines of a file and of a function, columns, parameters, nesting. Tests count as well.
//!
//! Nesting is the depth of `if`, `match`, `for`, `while` and `loop` inside one another in one
//! function. An `else if` continues its `if`, a match arm belongs to its `match`, a closure
//! continues the function it stands in, and a function inside a function starts again at zero.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::sources::{Language, Source};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
const PARAMETERS_MAX: usize = 5;
const NESTING_MAX: usize = 3;

/// Checks one file.
pub(super) fn check(source: &Source, found: &mut Vec<Finding>) {
    match source.language {
        Language::Rust | Language::Script => check_lines(source, found),
        Language::Markdown | Language::Config => return,
    }
    let Some(tree) = &source.tree else { return };
    Functions { source, found, parameters_are_ours: true, depth: 0, deepest: (0, 0) }
        .visit_file(tree);
}

fn check_lines(source: &Source, found: &mut Vec<Finding>) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let advice =
            format!("{lines} lines, at most {FILE_LINES_MAX}: split it along its subjects");
        found.push(source.finding(FILE_LINES_MAX + 1, "file-length", advice));
    }
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            let advice = format!("{columns} columns, at most {COLUMNS_MAX}: break the line");
            found.push(source.finding(index + 1, "line-length", advice));
        }
    }
}

/// Walks all functions of a file, at any depth of modules, impls, traits and functions.
struct Functions<'a> {
    source: &'a Source,
    found: &'a mut Vec<Finding>,
    /// False in an implementation of a trait, which does not choose its parameters.
    parameters_are_ours: bool,
    depth: usize,
    /// Deepest nesting of the current function and its line.
    deepest: (usize, usize),
}

impl Functions<'_> {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (start, end) = (signature.span().start().line, block.span().end().line);
        let name = &signature.ident;
        let lines = end.saturating_sub(start) + 1;
        if lines > FUNCTION_LINES_MAX {
            let advice = format!(
                "`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}: take a step out of it"
            );
            self.report(start, "function-length", advice);
        }
        self.parameters(signature);
        let outer = (self.depth, self.deepest);
        (self.depth, self.deepest) = (0, (0, start));
        visit::visit_block(self, block);
        let (depth, line) = self.deepest;
        (self.depth, self.deepest) = outer;
        if depth > NESTING_MAX {
            let advice = format!(
                "`{name}` nests {depth} deep, at most {NESTING_MAX}: return early or take the \
                 inner part out"
            );
            self.report(line, "nesting", advice);
        }
    }

    fn parameters(&mut self, signature: &syn::Signature) {
        let parameters = signature.inputs.len();
        if self.parameters_are_ours && parameters > PARAMETERS_MAX {
            let advice = format!(
                "`{}` has {parameters} parameters, at most {PARAMETERS_MAX}: pass one struct",
                signature.ident
            );
            self.report(signature.span().start().line, "parameters", advice);
        }
    }

    fn report(&mut self, line: usize, rule: &'static str, advice: String) {
        self.found.push(self.source.finding(line, rule, advice));
    }

    fn deeper(&mut self, line: usize, inner: impl FnOnce(&mut Self)) {
        self.depth += 1;
        if self.depth > self.deepest.0 {
            self.deepest = (self.depth, line);
        }
        inner(self);
        self.depth -= 1;
    }

    fn else_branch(&mut self, branch: &syn::Expr) {
        let syn::Expr::If(next) = branch else {
            self.visit_expr(branch);
            return;
        };
        // The chain goes on at the depth of its first `if`.
        self.visit_expr(&next.cond);
        self.visit_block(&next.then_branch);
        if let Some((_, branch)) = &next.else_branch {
            self.else_branch(branch);
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let ours = std::mem::replace(&mut self.parameters_are_ours, true);
        self.function(&item.sig, &item.block);
        self.parameters_are_ours = ours;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let ours = std::mem::replace(&mut self.parameters_are_ours, item.trait_.is_none());
        visit::visit_item_impl(self, item);
        self.parameters_are_ours = ours;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => self.function(&item.sig, block),
            None => self.parameters(&item.sig),
        }
    }

    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        self.deeper(expr.span().start().line, |walk| {
            walk.visit_expr(&expr.cond);
            walk.visit_block(&expr.then_branch);
            if let Some((_, branch)) = &expr.else_branch {
                walk.else_branch(branch);
            }
        });
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        self.deeper(expr.span().start().line, |walk| visit::visit_expr_match(walk, expr));
    }

    fn visit_expr_for_loop(&mut self, expr: &'ast syn::ExprForLoop) {
        self.deeper(expr.span().start().line, |walk| visit::visit_expr_for_loop(walk, expr));
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        self.deeper(expr.span().start().line, |walk| visit::visit_expr_while(walk, expr));
    }

    fn visit_expr_loop(&mut self, expr: &'ast syn::ExprLoop) {
        self.deeper(expr.span().start().line, |walk| visit::visit_expr_loop(walk, expr));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::testing::{rust, seen};

    #[track_caller]
    fn assert_seen(text: &str, expected: &[(&'static str, usize)]) {
        let mut found = Vec::new();
        check(&rust(text), &mut found);
        assert_eq!(seen(&found), expected, "{text}");
    }

    fn function_of(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    #[test]
    fn measures_functions_from_the_signature_to_the_brace() {
        assert_seen(&function_of(70), &[]);
        assert_seen(&function_of(71), &[("function-length", 1)]);
        let documented = format!("/// Doc.\n#[inline]\n{}", function_of(70));
        assert_seen(&documented, &[]);
        assert_seen(&format!("mod tests {{\n{}}}", function_of(71)), &[("function-length", 2)]);
        assert_seen(&format!("impl X {{\n{}}}", function_of(71)), &[("function-length", 2)]);
    }

    #[test]
    fn measures_files_and_lines() {
        assert_seen(&"// x\n".repeat(600), &[]);
        assert_seen(&"// x\n".repeat(601), &[("file-length", 601)]);
        assert_seen(&format!("// {}\n", "ä".repeat(97)), &[]);
        assert_seen(&format!("\n// {}\n", "ä".repeat(98)), &[("line-length", 2)]);
    }

    #[test]
    fn counts_parameters_except_where_a_trait_decides() {
        let five = "a: u8, b: u8, c: u8, d: u8, e: u8";
        assert_seen(&format!("fn f({five}) {{}}"), &[]);
        assert_seen(&format!("fn f({five}, g: u8) {{}}"), &[("parameters", 1)]);
        assert_seen(&format!("impl X {{ fn f(&self, {five}) {{}} }}"), &[("parameters", 1)]);
        assert_seen(&format!("trait X {{ fn f(&self, {five}); }}"), &[("parameters", 1)]);
        assert_seen(&format!("impl T for X {{ fn f(&self, {five}) {{}} }}"), &[]);
    }

    #[test]
    fn counts_the_depth_of_control_flow() {
        let cases: &[(&str, &[(&str, usize)])] = &[
            ("fn f() { if a { for b in c { match d { _ => e() } } } }", &[]),
            ("fn f() {\nif a { for b in c { match d { _ => \nif e {} } } } }", &[("nesting", 3)]),
            ("fn f() { if a {} else if b {} else if c {} else if d { while e {} } }", &[]),
            ("fn f() { loop { while a { if b { g(|| if c {}) } } } }", &[("nesting", 1)]),
            ("fn f() { if a { if b { if c { fn g() { if d {} } } } } }", &[]),
            ("fn f() { if let Some(a) = b { c.map(|x| match x { _ => 1 }); } }", &[]),
        ];
        for (text, expected) in cases {
            assert_seen(text, expected);
        }
    }
}
