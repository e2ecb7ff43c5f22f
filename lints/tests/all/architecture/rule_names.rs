//! Names and codes of rules that are spelt out where something is decided.
//!
//! In: the text of a file and the names to look for. Out: the literals that are one of them. Only the declaration of a rule
//! spells its name; whoever means the rule refers to the declaration, so that no other name can be meant.

use syn::{
    ExprStruct, ItemMod, Lit,
    visit::{self, Visit},
};

use super::terms::is_test;

/// The literals of a file that name a rule, but for those of declarations.
pub(crate) fn spelt_out(code: &str, names: &[&str]) -> syn::Result<Vec<String>> {
    let mut found = Found { names, found: Vec::new() };
    found.visit_file(&syn::parse_file(code)?);
    Ok(found.found)
}

struct Found<'n> {
    names: &'n [&'n str],
    found: Vec<String>,
}

impl Found<'_> {
    fn text(&mut self, text: &str) {
        if self.names.contains(&text) {
            self.found.push(text.to_owned());
        }
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    /// What tests are made of may be spelt out.
    fn visit_item_mod(&mut self, it: &'ast ItemMod) {
        if !is_test(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }

    fn visit_expr_struct(&mut self, it: &'ast ExprStruct) {
        if !it.path.is_ident("Rule") {
            visit::visit_expr_struct(self, it);
        }
    }

    fn visit_lit(&mut self, literal: &'ast Lit) {
        if let Lit::Str(it) = literal {
            self.text(&it.value());
        }
    }

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        it.tokens.to_string().split('"').for_each(|part| self.text(part));
    }
}
