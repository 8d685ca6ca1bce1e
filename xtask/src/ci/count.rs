//! How many tests passed and failed, read from what the test runners print.

use std::fmt;

/// Tests that passed and checks that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Count {
    /// A check that is not a test, and failed.
    pub(super) fn failure() -> Self {
        Self {
            passed: 0,
            failed: 1,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads a summary line of nextest or of the standard test harness; other lines say nothing.
    pub(super) fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let line = plain.trim_start();
        let summary = line.starts_with("Summary [") || line.starts_with("test result:");
        if !summary {
            return;
        }
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '.' | '('))
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match *what {
                "passed" => self.passed += number,
                "failed" | "timed" => self.failed += number,
                _ => {}
            }
        }
    }

    /// The count, with at least one failure if the runner itself ended badly.
    pub(super) fn ended(mut self, well: bool) -> Self {
        if !well && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        for c in chars.by_ref() {
            if c.is_ascii_alphabetic() {
                break;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, passed: u64, failed: u64) {
        let mut count = Count::default();
        count.read(line);
        assert_eq!(count, Count { passed, failed }, "{line}");
    }

    #[test]
    fn reads_the_summaries_of_both_runners() {
        check(
            "     Summary [   0.512s] 12 tests run: 12 passed, 0 skipped",
            12,
            0,
        );
        check(
            "     Summary [   1.0s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped",
            10,
            2,
        );
        check(
            "     Summary [   9.0s] 3 tests run: 2 passed, 1 timed out, 0 skipped",
            2,
            1,
        );
        check(
            "\u{1b}[32m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m passed, 0 skipped",
            4,
            0,
        );
        check(
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s",
            7,
            0,
        );
        check("test result: FAILED. 7 passed; 2 failed; 0 ignored", 7, 2);
        check("test reads_5_passed ... ok", 0, 0);
    }

    #[test]
    fn counts_a_runner_that_ended_badly_without_a_summary() {
        assert_eq!(Count::default().ended(false), Count::failure());
        let failed = Count {
            passed: 3,
            failed: 2,
        };
        assert_eq!(failed.ended(false), failed);
    }
}
