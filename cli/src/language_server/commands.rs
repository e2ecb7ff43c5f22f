//! The commands that a client may send, by the names that are public.
//!
//! Nothing here runs a command.

/// Shows the page of a rule.
pub(super) const OPEN_PAGE: &str = "deconflict.server.openPage";
/// Shows the functions of a contract and how they conflict.
pub(super) const SHOW_MATRIX: &str = "deconflict.server.showMatrix";
/// Reads all projects anew.
pub(super) const RELOAD: &str = "deconflict.server.reload";

/// All of them.
pub(super) const COMMANDS: [&str; 3] = [OPEN_PAGE, SHOW_MATRIX, RELOAD];
