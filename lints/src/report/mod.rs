//! What a report looks like, one module a format.

pub mod human;
pub mod json;
