//! Writes the blocks of `fixtures/blocks`: `cargo run -p deconflict-executor --example generate_blocks`.
//!
//! Nothing goes in but the contracts that are committed there; running it again gives the same bytes, which a test
//! checks.

mod scenes;
mod world;

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    for (name, text) in scenes::all(&fixtures)? {
        fs::write(fixtures.join("blocks").join(name), text)?;
    }
    Ok(())
}
