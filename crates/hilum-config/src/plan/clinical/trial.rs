//! Small synthetic messages, on which conditions are tried.

use hilum_component::{Document, Format, Rule};
use hilum_fhirpath::{Env, Moment};
use hilum_message::Payload;

use super::{Condition, constants};

/// Messages that one condition is tried on, at most: enough for three fields with seven constants.
const CONTEXTS_MAX: usize = 512;
/// Fields besides the statuses that are varied, at most.
const FIELDS_MAX: usize = 5;

/// What is tried: a result, with a status in one of three places.
pub(super) struct Trial<'f> {
    format: &'f dyn Format,
    base: Box<dyn Document>,
}

/// A value in a place of the message.
pub(super) type Value<'v> = (&'v str, &'v str);

/// The message that all others are made of: a final result with every segment that conditions
/// commonly ask for.
const FINAL: &str = "MSH|^~\\&|LIS|LAB|EHR|H|20260101080000||ORU^R01^ORU_R01|1|P|2.5.1\r\
PID|1||4711^^^H^MR||DOE^JANE||19700101|F\r\
PV1|1|I|W1^1^1^H||||||||||||||||V1^^^H\r\
ORC|RE|P1^EHR|F1^LIS||CM\r\
OBR|1|P1^EHR|F1^LIS|K^Potassium^L|||20260101070000|||||||||||||||20260101080000||LAB|F\r\
OBX|1|NM|K^Potassium^L||4.1|mmol/L|3.5-5.1|N|||F\r";

impl<'f> Trial<'f> {
    /// `None` if the format does not read the message.
    pub(super) fn new(format: &'f dyn Format) -> Option<Self> {
        let base = format.parse(&Payload::inline(FINAL.into())).ok()?;
        Some(Self { format, base })
    }

    /// The result with these values.
    pub(super) fn message(&self, values: &[Value<'_>]) -> Option<Box<dyn Document>> {
        let mut message = self.base.boxed_clone();
        for (path, value) in values {
            let target = self.format.target(path).ok()?;
            message.set(&target, &[(*value).to_owned()]).ok()?;
        }
        Some(message)
    }

    /// A message goes on as far as this condition says.
    pub(super) fn goes_on(&self, condition: &Condition, values: &[Value<'_>]) -> bool {
        let Some(message) = self.message(values) else {
            return false;
        };
        holds(&condition.rule, &*message) == Some(condition.passes)
    }

    /// The messages in which other parts of the condition may hold: each field that it reads, but
    /// those of `fixed`, with each constant that it names, and as it is.
    pub(super) fn contexts(
        &self,
        condition: &Condition,
        fixed: &[&str],
    ) -> Vec<Vec<(String, String)>> {
        let constants = constants(condition.rule.text());
        let mut fields: Vec<String> = Vec::new();
        for found in condition.rule.expression().literals() {
            let path = &found.literal.text;
            let known = fields.contains(path) || fixed.iter().any(|fixed| names(path, fixed));
            if !known && fields.len() < FIELDS_MAX && self.format.target(path).is_ok() {
                fields.push(path.clone());
            }
        }
        combinations(&fields, &constants, CONTEXTS_MAX)
    }
}

/// Every combination of places with constants, each place with one of them or as it is; at most so many.
pub(super) fn combinations<P: Clone>(
    places: &[P],
    constants: &[String],
    most: usize,
) -> Vec<Vec<(P, String)>> {
    let mut found = vec![Vec::new()];
    for place in places {
        let before = found.clone();
        for constant in constants {
            for one in &before {
                if found.len() >= most {
                    return found;
                }
                let mut next = one.clone();
                next.push((place.clone(), constant.clone()));
                found.push(next);
            }
        }
    }
    found
}

/// When the messages arrive, Unix milliseconds: the day of [`FINAL`].
pub(super) const TRIED_MS: u64 = 1_767_254_400_000;

/// What a condition comes to; `None` if it cannot be evaluated.
pub(super) fn holds(rule: &Rule, message: &dyn Document) -> Option<bool> {
    let env = Env::new(Moment::from_unix_millis(TRIED_MS.cast_signed(), 0));
    rule.test(message, &env).ok()
}

/// A path of HL7 v2 is about a field: indexes, groups and components set aside.
pub(super) fn names(path: &str, field: &str) -> bool {
    let plain = plain(path);
    let Some(rest) = plain.strip_prefix(field) else {
        return false;
    };
    !rest.starts_with(|c: char| c.is_ascii_digit())
}

/// A path without groups and indexes: `PATIENT[1]/OBX[2]-6[1].1` is `OBX-6.1`.
pub(super) fn plain(path: &str) -> String {
    let mut inside = false;
    let last = path.rsplit('/').next().unwrap_or(path);
    let kept = last.chars().filter(|c| {
        let was = inside;
        inside = (inside || *c == '[') && *c != ']';
        !(was || inside)
    });
    kept.filter(|c| !c.is_whitespace()).collect()
}

/// Contexts as pairs of borrowed texts, with more values behind them.
pub(super) fn with<'c>(context: &'c [(String, String)], more: &[Value<'c>]) -> Vec<Value<'c>> {
    let own = context
        .iter()
        .map(|(path, value)| (path.as_str(), value.as_str()));
    own.chain(more.iter().copied()).collect()
}
