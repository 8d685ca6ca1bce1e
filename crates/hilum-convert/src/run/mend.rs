//! Rules of R4 that a value by itself keeps and the message as a whole breaks. The message is right
//! in what it says; what FHIR cannot hold is left out, with a finding.

use hilum_fhir::At;
use hilum_fhir::definitions::{Child, Definitions, ElementId};

use super::Run;
use super::names::names;
use crate::finding::{FindingCode, Location};

impl Run<'_, '_> {
    fn text_below(&self, at: At, of: Child, name: &str) -> Option<(At, &str)> {
        let child = Definitions::r4().child(of.scope, name)?;
        let at = self.draft.child(at, child)?;
        Some((at, self.draft.text(at)?))
    }

    /// Looks at one element; `scope` is that of what holds it.
    pub(super) fn mend(&mut self, at: At, of: Child, scope: ElementId, place: Location) {
        let tables = Definitions::r4();
        let names = names();
        match of.ty {
            // per-1.
            ty if ty == names.period => {
                let start = self.text_below(at, of, "start").map(|(_, text)| text);
                let end = self.text_below(at, of, "end");
                if let (Some(start), Some((end_at, end))) = (start, end)
                    && is_before(end, start)
                {
                    self.draft.remove(end_at);
                    self.finding(
                        FindingCode::ValueRefused,
                        place,
                        Some("the end of a period lies before its start"),
                    );
                }
            }
            // cpt-2.
            ty if ty == names.contact_point => {
                let value = self.text_below(at, of, "value").is_some();
                // A reason for its absence is a system too.
                let system = tables.child(of.scope, "system");
                let system = system.and_then(|system| self.draft.child(at, system));
                if value && system.is_none_or(|system| self.draft.is_empty(system)) {
                    self.set_below(at, of, "system", "other");
                }
                self.not_at_home(at, of, scope, place);
            }
            ty if ty == names.address => self.not_at_home(at, of, scope, place),
            // rat-1.
            ty if ty == names.ratio => {
                for (one, other) in [("numerator", "denominator"), ("denominator", "numerator")] {
                    let child = |name| tables.child(of.scope, name);
                    let (Some(one), Some(other)) = (child(one), child(other)) else {
                        continue;
                    };
                    let there = |child| {
                        self.draft
                            .child(at, child)
                            .is_some_and(|at| !self.draft.is_empty(at))
                    };
                    if there(one) && !there(other) {
                        self.absent(at, other.element, tables.element(other.element), 0);
                    }
                }
            }
            _ => {
                // tim-2.
                if of.element == names.timing_repeat
                    && let Some((period, _)) = self.text_below(at, of, "period")
                    && self.text_below(at, of, "periodUnit").is_none()
                {
                    self.draft.remove(period);
                    self.finding(
                        FindingCode::ValueRefused,
                        place,
                        Some("a period without its unit"),
                    );
                }
            }
        }
    }

    /// org-2, org-3: nothing of an organization is at home.
    fn not_at_home(&mut self, at: At, of: Child, scope: ElementId, place: Location) {
        let tables = Definitions::r4();
        if tables.type_def(names().organization).root != scope {
            return;
        }
        if let Some((use_at, "home")) = self.text_below(at, of, "use") {
            self.draft.remove(use_at);
            self.finding(
                FindingCode::ValueRefused,
                place,
                Some("nothing of an organization is at home"),
            );
        }
    }

    fn set_below(&mut self, at: At, of: Child, name: &str, text: &str) {
        if let Some(child) = Definitions::r4().child(of.scope, name)
            && let Some(at) = self.draft.single(at, child)
        {
            let _known = self.draft.set(at, text);
        }
    }
}

/// Whether one time certainly lies before another one: compared as far as both go, and only where
/// they have the same offset.
fn is_before(one: &str, other: &str) -> bool {
    let (one_day, one_clock) = one.split_once('T').unwrap_or((one, ""));
    let (other_day, other_clock) = other.split_once('T').unwrap_or((other, ""));
    let length = one_day.len().min(other_day.len());
    let (one_day, other_day) = (one_day.get(..length), other_day.get(..length));
    if one_day != other_day {
        return one_day < other_day;
    }
    let offset = |clock: &str| {
        clock
            .find(['+', '-', 'Z'])
            .and_then(|at| clock.get(at..))
            .map(str::to_owned)
    };
    !one_clock.is_empty()
        && !other_clock.is_empty()
        && offset(one_clock) == offset(other_clock)
        && one_clock.get(..8) < other_clock.get(..8)
}

#[cfg(test)]
mod tests {
    use super::is_before;

    #[test]
    fn times_are_compared_as_far_as_both_go() {
        assert!(is_before("2024-01-01", "2024-01-02"));
        assert!(is_before("2023", "2024-01-02T10:00:00Z"));
        assert!(!is_before("2024", "2024-01-02"));
        assert!(is_before("2024-01-02T09:00:00Z", "2024-01-02T10:00:00Z"));
        assert!(!is_before(
            "2024-01-02T09:00:00+01:00",
            "2024-01-02T10:00:00Z"
        ));
    }
}
