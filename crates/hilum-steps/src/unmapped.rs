//! What becomes of a code that a table, a map or a value set does not have, and what the register of
//! unmapped codes is told of it: never more than may be shown.

use hilum_codes::{Coding, shown};
use hilum_component::{Finding, Halted, Severity, StepContext, UnmappedCode, UnmappedFate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of the text of an unmapped code that are kept.
const DISPLAY_MAX: usize = 80;
/// Characters of a code system, which may be an address.
const SYSTEM_MAX: usize = 80;

/// What happens to a message with a code that is not there.
#[derive(
    Clone, Copy, Debug, std::default::Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unmapped {
    /// It stays.
    Keep,
    /// It stays, and a finding says so.
    #[default]
    Flag,
    /// The message waits for a person, and with it those that come after it in its order.
    Hold,
    /// The message is rejected.
    Reject,
}

/// A code that is not there.
pub(crate) struct Absent<'a> {
    /// The table, map or value set.
    pub(crate) table: &'a str,
    /// The field, as the step is set by.
    pub(crate) field: &'a str,
    /// Where it stands in the message.
    pub(crate) location: &'a str,
    /// The code.
    pub(crate) from: &'a Coding,
    /// A finding's code.
    pub(crate) finding: &'a str,
    /// What is wrong, before and behind the name of the table: `no row of TABLE has CODE`.
    pub(crate) text: (&'a str, &'a str),
    /// A default is written.
    pub(crate) has_default: bool,
}

impl Unmapped {
    /// Registers the code and does what the step is set to.
    pub(crate) fn meet(
        self,
        absent: &Absent<'_>,
        context: &mut StepContext<'_>,
    ) -> Result<(), Halted> {
        let hold = self == Self::Hold && !context.released;
        // What was held was counted before.
        if self != Self::Hold || hold {
            context.unmapped(absent.registered(self));
        }
        let (before, behind) = absent.text;
        let text = format!(
            "{before} {} {behind} {}",
            absent.table,
            told(&absent.from.code)
        );
        match self {
            Self::Keep => Ok(()),
            Self::Hold if hold => Err(Halted::Hold {
                reason: format!("{text} at {}", absent.location),
                until_ms: None,
                wake: None,
            }),
            Self::Flag | Self::Hold => {
                context.findings.push(Finding {
                    step: context.step.to_owned(),
                    code: absent.finding.to_owned(),
                    path: Some(absent.location.to_owned()),
                    severity: Severity::Warning,
                    text,
                });
                Ok(())
            }
            Self::Reject => Err(Halted::Reject {
                code: "103".to_owned(),
                path: Some(absent.location.to_owned()),
                text,
            }),
        }
    }
}

impl Absent<'_> {
    fn registered(&self, policy: Unmapped) -> UnmappedCode {
        let fate = match (policy, self.has_default) {
            (Unmapped::Reject, _) => UnmappedFate::Rejected,
            (Unmapped::Hold, _) => UnmappedFate::Held,
            (_, true) => UnmappedFate::Defaulted,
            (Unmapped::Flag, false) => UnmappedFate::Flagged,
            (Unmapped::Keep, false) => UnmappedFate::Kept,
        };
        let code = shown(&self.from.code);
        UnmappedCode {
            table: self.table.to_owned(),
            field: self.field.to_owned(),
            system: shown_system(&self.from.system),
            code: code.map_or_else(
                || format!("({})", self.from.code.chars().count()),
                str::to_owned,
            ),
            display: code
                .map(|_| self.from.display.chars().take(DISPLAY_MAX).collect())
                .unwrap_or_default(),
            fate,
            count: 1,
        }
    }
}

/// A code as a finding may show it: what does not look like a code is only counted.
fn told(code: &str) -> String {
    shown(code).map_or_else(
        || format!("a code of {} characters", code.chars().count()),
        |code| format!("the code {code}"),
    )
}

/// A code system as the register may show it: a name or an address, else only its length.
fn shown_system(system: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/#+%".contains(c);
    if system.len() <= SYSTEM_MAX && system.chars().all(plain) {
        system.to_owned()
    } else {
        format!("({})", system.chars().count())
    }
}
