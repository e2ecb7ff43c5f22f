//! The `deconflict` command line.
fn main() {}
