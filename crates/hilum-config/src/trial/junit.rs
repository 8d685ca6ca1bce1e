//! Results as JUnit XML, as build servers read it.

use std::collections::BTreeMap;

use super::{TestResult, TestRun};

/// The results as a JUnit report.
#[must_use]
pub fn junit(run: &TestRun) -> String {
    let mut files: BTreeMap<&str, Vec<&TestResult>> = BTreeMap::new();
    for result in &run.results {
        files.entry(&result.file).or_default().push(result);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out += &format!(
        "<testsuites tests=\"{}\" failures=\"{}\">\n",
        run.results.len(),
        run.failed()
    );
    for (file, results) in files {
        let failed = results.iter().filter(|result| !result.passed()).count();
        let (file, tests) = (escaped(file), results.len());
        out += &format!("  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\">\n");
        results.iter().for_each(|result| case(&mut out, result));
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

fn case(out: &mut String, result: &TestResult) {
    let (channel, name) = (escaped(&result.channel), escaped(&result.name));
    let (file, line) = (escaped(&result.file), result.line);
    let open = format!(
        "    <testcase classname=\"{channel}\" name=\"{name}\" file=\"{file}\" line=\"{line}\""
    );
    if result.passed() {
        *out += &format!("{open}/>\n");
        return;
    }
    let places = result
        .differences
        .iter()
        .map(|d| format!("{}: expected {}, got {}", d.place, d.expected, d.got));
    let text = places.collect::<Vec<_>>().join("\n");
    *out += &format!(
        "{open}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
        escaped(&result.outcome),
        escaped(&text)
    );
}

/// Text for XML 1.0; characters that it cannot carry are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
