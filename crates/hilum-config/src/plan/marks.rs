//! Lists of labels and of test patients: what is wrong with them.

use crate::diagnostic::{Draft, Report};
use crate::yaml::Node;

use super::gather::Gathered;

/// The key of the lists of labels.
pub(super) const LABELS: &str = "security-labels";
/// The key of the test patients.
pub(super) const PATIENTS: &str = "test-patients";

pub(super) fn check(gathered: &Gathered, report: &mut Report) {
    let systems = gathered.systems.values().map(|system| &system.tree);
    for tree in gathered.node_tree.iter().chain(systems) {
        for list in tree.get(LABELS).map(Node::items).unwrap_or_default() {
            labels(list, report);
        }
        for rule in tree.get(PATIENTS).map(Node::items).unwrap_or_default() {
            patients(rule, report);
        }
    }
}

fn labels(list: &Node, report: &mut Report) {
    for label in list.get("labels").map(Node::items).unwrap_or_default() {
        let text = label.text().unwrap_or_default();
        if text.is_empty() || text.contains(char::is_whitespace) {
            let what = "a security label is a code, without a space";
            let remedy = "write codes of HL7 v3 such as `R` or `HIV`, or `SYSTEM|CODE`";
            report.push(Draft::error("E0128", label.span, what).remedy(remedy));
        }
    }
}

/// A rule without bounds would stop everybody's messages, and one by a bare number those of another
/// authority's patient.
fn patients(rule: &Node, report: &mut Report) {
    let has = |key: &str| rule.get(key).is_some();
    let number = |key: &str| {
        let text = rule.get(key).and_then(Node::text)?;
        text.trim().parse::<u128>().ok()
    };
    let listed = has("numbers") || has("from") || has("to");
    let (what, remedy) = if listed && !has("authority") {
        (
            "a number of a test patient needs its authority",
            "write `authority: NAME` beside it, as in PID-3.4",
        )
    } else if has("authority") && !listed {
        (
            "every patient of an authority would be a test patient",
            "write `from` and `to`, or `numbers`",
        )
    } else if has("from") != has("to")
        || (has("from") && !matches!((number("from"), number("to")), (Some(a), Some(b)) if a <= b))
    {
        (
            "the range of numbers cannot be used",
            "write `from` and `to` as digits, the smaller one first",
        )
    } else if !listed && !has("family") && !has("given") {
        (
            "a rule for test patients says nothing",
            "write `family`, or `authority` with `from` and `to`",
        )
    } else if ["family", "given"]
        .into_iter()
        .any(|key| matches_all(rule, key))
    {
        (
            "every patient would be a test patient",
            "write at least a letter before the `*`",
        )
    } else {
        return;
    };
    report.push(Draft::error("E0128", rule.span, what).remedy(remedy));
}

fn matches_all(rule: &Node, key: &str) -> bool {
    let names = rule.get(key).map(Node::items).unwrap_or_default();
    let empty = |name: &Node| {
        let text = name.text().unwrap_or_default().trim();
        text.is_empty() || text == "*"
    };
    names.iter().any(empty)
}
