//! Numbers that only a standard can have given: selectors, slots, and the widths of addresses and words.
//!
//! In: the text of a file. Out: the literals in it that look like one. The look decides: four bytes in a row, as many
//! hexadecimal digits as a selector, an address or a hash has, or a width in bits. A number of bytes alone, such as 20,
//! says too little.

use syn::{
    Expr, ExprArray, ExprLit, ItemMod, Lit, Pat, PatSlice,
    visit::{self, Visit},
};

use super::terms::is_test;

/// The literals of a file that look like a selector, a slot or a width.
pub(crate) fn numbers(code: &str) -> syn::Result<Vec<String>> {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(code)?);
    Ok(found.0)
}

/// The digits of selectors, addresses and hashes.
const DIGITS: [usize; 3] = [8, 40, 64];
/// The bits of addresses and words.
const WIDTHS: [&str; 2] = ["160", "256"];

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    /// Looks at the digits of a number: of a hexadecimal one, and of one in a string.
    fn digits(&mut self, text: &str) {
        let plain: String = text.chars().filter(|it| *it != '_').collect();
        let digits = plain.strip_prefix("0x").unwrap_or(&plain);
        let is_hex = digits.chars().all(|it| it.is_ascii_hexdigit());
        let has_number = digits.chars().any(|it| it.is_ascii_digit());
        if DIGITS.contains(&digits.len()) && is_hex && has_number {
            self.0.push(text.to_owned());
        }
    }

    /// Looks at an integer as it is written, without the name of its type.
    fn integer(&mut self, text: &str) {
        let number = text.split(['U', 'u', 'i']).next().unwrap_or(text).trim_end_matches('_');
        if WIDTHS.contains(&number) {
            self.0.push(text.to_owned());
        } else if number.starts_with("0x") {
            self.digits(number);
        }
    }

    fn bytes<'a>(&mut self, literals: impl Iterator<Item = Option<&'a Lit>>) {
        let numbers: Option<Vec<u8>> = literals
            .map(|it| match it {
                Some(Lit::Int(number)) => number.base10_parse().ok(),
                _ => None,
            })
            .collect();
        if let Some(numbers) = numbers.filter(|it| it.len() == 4) {
            self.0.push(format!("{numbers:02x?}"));
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    /// What tests are made of may be spelt out.
    fn visit_item_mod(&mut self, it: &'ast ItemMod) {
        if !is_test(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }

    fn visit_expr_array(&mut self, array: &'ast ExprArray) {
        let literal = |it: &'ast Expr| match it {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        };
        self.bytes(array.elems.iter().map(literal));
        visit::visit_expr_array(self, array);
    }

    fn visit_pat_slice(&mut self, slice: &'ast PatSlice) {
        let literal = |it: &'ast Pat| match it {
            Pat::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        };
        self.bytes(slice.elems.iter().map(literal));
        visit::visit_pat_slice(self, slice);
    }

    fn visit_lit(&mut self, literal: &'ast Lit) {
        match literal {
            Lit::Int(it) => self.integer(&it.to_string()),
            Lit::Str(it) => self.digits(&it.value()),
            Lit::ByteStr(it) if it.value().len() == 4 => self.0.push(format!("{:02x?}", it.value())),
            _ => {}
        }
    }

    /// What stands in a macro is no expression yet: its words are looked at one by one, and its lists of bytes as arrays.
    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        let text = it.tokens.to_string();
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        // A text for a reader is no number, whatever stands in it.
        for (index, part) in text.split('"').enumerate() {
            if index % 2 == 1 {
                self.digits(part);
                continue;
            }
            part.split(|letter| !is_part(letter)).filter(|it| !it.is_empty()).for_each(|it| self.integer(it));
            for list in part.split('[').skip(1).filter_map(|it| it.split_once(']')) {
                if let Ok(array) = syn::parse_str::<ExprArray>(&format!("[{}]", list.0)) {
                    self.visit_expr_array(&array);
                }
            }
        }
    }
}
