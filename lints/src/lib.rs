//! Reads Solidity projects and lints them.
