//! Where the analyser is not exact yet, and why.
//!
//! The test demands that this list is exact: a new failure and a closed gap both fail.

/// One failure of one function of one case.
pub(crate) struct Gap {
    /// File, compiler and contract.
    pub(crate) case: &'static str,
    pub(crate) function: &'static str,
    /// As the test words it.
    pub(crate) failure: &'static str,
}

/// Every gap.
pub(crate) const KNOWN_GAPS: &[Gap] = &[];
