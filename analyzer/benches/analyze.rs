//! Measures the analyser.
fn main() {}
