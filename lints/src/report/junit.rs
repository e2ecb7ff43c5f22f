//! The XML of `JUnit`, which every build server shows as a list of tests.
//!
//! In: what was checked. Out: one suite an input, one test a finding. What fails the run is a failure; a warning is a
//! test that passes and says something, so that the list agrees with the exit code.

use std::fmt::Write as _;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Format, Rendering, Section, region};
use crate::diagnostic::{Diagnostic, Severity};

/// The format's entry in the registry.
pub(super) const FORMAT: Format =
    Format { name: "junit", summary: "JUnit's XML, where denied findings are failures", render };

fn render(rendering: &Rendering<'_>) -> String {
    let mut document = Report::new("deconflict");
    for &Section { project, report } in rendering.sections {
        let name = project.root.file_name().map_or_else(
            || "deconflict".to_owned(),
            |folder| format!("deconflict check {}", folder.to_string_lossy()),
        );
        let mut suite = TestSuite::new(name);
        suite.add_property(Property::new("profile", report.profile.name()));
        for diagnostic in &report.diagnostics {
            let region = region::primary(project, diagnostic, rendering.repository);
            let place = match &region {
                Some(region) => format!("{}:{}:{}", region.file, region.start.line, region.start.column),
                None => format!("{} at {}", diagnostic.contract, diagnostic.pc),
            };
            let text = describe(diagnostic, &place);
            let mut status = TestCaseStatus::success();
            if diagnostic.severity == Severity::Error {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(diagnostic.code).set_message(&*diagnostic.message).set_description(&*text);
            }
            let mut case =
                TestCase::new(format!("{} {} at {place}", diagnostic.code, diagnostic.rule), status);
            case.set_classname(format!("{}.{}", diagnostic.contract, diagnostic.rule));
            if diagnostic.severity != Severity::Error {
                case.set_system_out(text);
            }
            suite.add_test_case(case);
        }
        if report.diagnostics.is_empty() {
            suite.add_test_case(TestCase::new("nothing found", TestCaseStatus::success()));
        }
        document.add_test_suite(suite);
    }
    let mut text = document.to_string().expect("a report in memory can be written");
    text.push('\n');
    text
}

fn describe(diagnostic: &Diagnostic, place: &str) -> String {
    let mut text = format!("{}: {}\nat {place}\n", diagnostic.severity.name(), diagnostic.message);
    for note in &diagnostic.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(text, "help: {}", diagnostic.help);
    text
}
