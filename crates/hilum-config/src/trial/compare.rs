//! What was expected against what came.

use hilum_component::{
    Disposition, Finding, Format, PlannedDelivery, Processed, Reason, TraceLine,
};
use hilum_fhirpath::{Env, Moment};
use serde_json::Value;

use super::Difference;
use super::read::{Case, Field, Wanted};
use super::run::State;
use crate::yaml::{Kind, Node, Style};

/// Longest value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 300;

pub(super) struct Compare<'c> {
    pub(super) case: &'c Case,
    /// What was known before.
    pub(super) state: &'c State,
    pub(super) processed: &'c Processed,
    pub(super) deliveries: &'c [&'c PlannedDelivery],
    pub(super) trace: &'c [TraceLine],
}

/// What came of a message, in a few words.
pub(super) fn outcome(processed: &Processed) -> String {
    let word = processed.disposition.word();
    match &processed.reason {
        Some(Reason { step, text, .. }) => format!("{word} at {step}: {text}"),
        None if processed.children.is_empty() => word.to_owned(),
        None => format!("{word} as {} messages", processed.children.len()),
    }
}

impl Compare<'_> {
    pub(super) fn all(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        self.answer(&mut found);
        self.outcome(&mut found);
        self.flags(&mut found);
        self.metadata(&mut found);
        self.state(&mut found);
        let expect = &self.case.expect;
        if let Some(count) = expect
            .deliveries
            .filter(|count| *count != self.deliveries.len() as u64)
        {
            push(
                &mut found,
                "deliveries",
                &count.to_string(),
                &self.deliveries.len().to_string(),
            );
        }
        for (name, wanted) in &self.case.destinations {
            self.destination(name, wanted, &mut found);
        }
        found
    }

    fn answer(&self, found: &mut Vec<Difference>) {
        let Some(want) = &self.case.expect.answer else {
            return;
        };
        let answer = self.processed.answer.as_ref();
        let got = answer.map_or_else(
            || "none".to_owned(),
            |answer| match self.case.channel.format.read_answer(answer.for_record()) {
                Ok(read) => read.code,
                Err(_) if answer.is_positive() => "positive".to_owned(),
                Err(_) => "negative".to_owned(),
            },
        );
        if *want != got {
            let got = format!("{got} ({})", outcome(self.processed));
            push(found, "answer", want, &got);
        }
    }

    fn outcome(&self, found: &mut Vec<Difference>) {
        let expect = &self.case.expect;
        let named = [
            (Disposition::Filtered, &expect.filtered),
            (Disposition::Refused, &expect.refused),
            (Disposition::Rejected, &expect.rejected),
            (Disposition::Held, &expect.held),
        ];
        let mut any = expect.answer.is_some();
        for (disposition, text) in named
            .iter()
            .filter_map(|(d, text)| Some((*d, text.as_ref()?)))
        {
            any = true;
            let said = self
                .processed
                .reason
                .as_ref()
                .map(|r| format!("{} {}", r.step, r.text));
            let fits = said
                .as_ref()
                .is_some_and(|said| said.contains(text.as_str()));
            if self.processed.disposition != disposition || !fits {
                push(found, disposition.word(), text, &outcome(self.processed));
            }
        }
        if !any && self.processed.disposition != Disposition::Accepted {
            push(found, "outcome", "accepted", &outcome(self.processed));
        }
    }

    fn flags(&self, found: &mut Vec<Difference>) {
        let findings = all_findings(self.processed);
        for want in self.case.expect.flags.iter().flatten() {
            if !findings.iter().any(|finding| self.flagged(finding, want)) {
                let got: Vec<String> = findings
                    .iter()
                    .map(|finding| {
                        format!(
                            "{} {}",
                            finding.code,
                            finding.path.as_deref().unwrap_or_default()
                        )
                    })
                    .collect();
                let got = if got.is_empty() {
                    "nothing".to_owned()
                } else {
                    got.join(", ")
                };
                push(found, "flags", want, &got);
            }
        }
    }

    /// Code, path, and a value or a part of the sentence.
    fn flagged(&self, finding: &Finding, want: &str) -> bool {
        let mut words = want.splitn(3, char::is_whitespace);
        if words.next() != Some(finding.code.as_str()) {
            return false;
        }
        let Some(path) = words.next() else {
            return true;
        };
        let at = finding.path.as_deref().unwrap_or_default();
        if at != path && without_indexes(at) != path {
            return false;
        }
        let Some(rest) = words.next() else {
            return true;
        };
        let value = |line: &TraceLine| {
            line.step == finding.step
                && line.path == finding.path
                && [&line.before, &line.after]
                    .into_iter()
                    .flatten()
                    .any(|value| value.reveal() == rest)
        };
        finding.text.contains(rest) || self.trace.iter().any(value)
    }

    fn metadata(&self, found: &mut Vec<Difference>) {
        let wanted = self.case.expect.metadata.iter().flatten();
        let metadata = self
            .deliveries
            .first()
            .map_or(&self.processed.metadata, |d| &d.metadata);
        for (name, value) in wanted {
            let (want, got) = (literal(value), metadata.get(name));
            if got != want.as_deref() {
                push(
                    found,
                    &format!("metadata {name}"),
                    &shown(want.as_deref()),
                    &shown(got),
                );
            }
        }
    }

    fn state(&self, found: &mut Vec<Difference>) {
        for (scope, keys) in self.case.expect.state.iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                let written = self
                    .processed
                    .writes
                    .iter()
                    .find(|w| *w.scope == **scope && *w.key == **key);
                let before = self.state.get(&(scope.clone(), key.clone()));
                let bytes = written.map_or(before, |write| write.value.as_ref());
                let got = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                let want = literal(value);
                if want != got {
                    let place = format!("state {scope} {key}");
                    push(
                        found,
                        &place,
                        &shown(want.as_deref()),
                        &shown(got.as_deref()),
                    );
                }
            }
        }
    }

    fn destination(&self, name: &str, wanted: &Wanted, found: &mut Vec<Difference>) {
        let own: Vec<&&PlannedDelivery> = self
            .deliveries
            .iter()
            .filter(|delivery| &*delivery.destination == name)
            .collect();
        let sent = own
            .iter()
            .filter(|delivery| delivery.dead_letter.is_none())
            .count();
        let got = || self.got(&own);
        match wanted {
            Wanted::Delivered if sent == 0 => push(found, name, "delivered", &got()),
            Wanted::NotDelivered if !own.is_empty() => push(found, name, "not-delivered", &got()),
            Wanted::DeadLetter if sent == own.len() => push(found, name, "dead-letter", &got()),
            Wanted::Messages(_, messages) if messages.len() != own.len() => {
                push(found, name, &count(messages.len()), &got());
            }
            Wanted::Messages(format, messages) => {
                for (place, (fields, delivery)) in messages.iter().zip(&own).enumerate() {
                    let name = if messages.len() > 1 {
                        format!("{name}[{}]", place + 1)
                    } else {
                        name.to_owned()
                    };
                    self.fields(&name, &**format, fields, delivery, found);
                }
            }
            Wanted::Delivered | Wanted::NotDelivered | Wanted::DeadLetter => {}
        }
    }

    fn got(&self, own: &[&&PlannedDelivery]) -> String {
        match own {
            [] => format!("not delivered; {}", outcome(self.processed)),
            [one] => match &one.dead_letter {
                Some(reason) => format!("dead letter at {}: {}", reason.step, reason.text),
                None => "delivered".to_owned(),
            },
            more => count(more.len()),
        }
    }

    fn fields(
        &self,
        name: &str,
        format: &dyn Format,
        fields: &[Field],
        delivery: &PlannedDelivery,
        found: &mut Vec<Difference>,
    ) {
        if let Some(reason) = &delivery.dead_letter {
            push(
                found,
                name,
                "delivered",
                &format!("dead letter at {}: {}", reason.step, reason.text),
            );
            return;
        }
        let document = match format.parse(&delivery.payload) {
            Ok(document) => document,
            Err(reject) => return push(found, name, "a readable message", &reject.to_string()),
        };
        let now = i64::try_from(self.case.arrived_ms).unwrap_or(i64::MAX);
        let env = Env::new(Moment::from_unix_millis(now, 0));
        for field in fields {
            let place = format!("{name} {}", field.path);
            match field.rule.strings(&*document, &env) {
                Ok(values) if fits(&field.value, &values) => {}
                Ok(values) => push(found, &place, &wanted(&field.value), &list(&values)),
                Err(text) => push(
                    found,
                    &place,
                    &wanted(&field.value),
                    &format!("an error: {text}"),
                ),
            }
        }
    }
}

fn all_findings(processed: &Processed) -> Vec<&Finding> {
    let below = processed.children.iter().flat_map(all_findings);
    processed.findings.iter().chain(below).collect()
}

fn count(messages: usize) -> String {
    if messages == 1 {
        "1 message".to_owned()
    } else {
        format!("{messages} messages")
    }
}

/// `OBX[2]-3` as `OBX-3`.
fn without_indexes(path: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

fn fits(want: &Node, got: &[String]) -> bool {
    match &want.kind {
        Kind::List(items) => {
            items.len() == got.len() && items.iter().zip(got).all(|(w, g)| same(w, g))
        }
        Kind::Scalar(_) if want.is_null() => got.is_empty(),
        Kind::Scalar(_) => matches!(got, [one] if same(want, one)),
        Kind::Map(_) => false,
    }
}

/// A text equals itself; a number that was written without quotes equals the same number.
fn same(want: &Node, got: &str) -> bool {
    let Some(scalar) = want.scalar() else {
        return false;
    };
    let number = scalar.style == Style::Plain && scalar.text.bytes().any(|b| b.is_ascii_digit());
    scalar.text == got || (number && decimal(&scalar.text).is_some_and(|w| Some(w) == decimal(got)))
}

/// Sign, whole part without leading zeros, fraction without trailing ones.
fn decimal(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let good = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let zero = whole.is_empty() && fraction.is_empty();
    (!digits.is_empty() && good(whole) && good(fraction)).then_some((
        negative && !zero,
        whole,
        fraction,
    ))
}

fn wanted(node: &Node) -> String {
    match &node.kind {
        Kind::List(items) => list(
            &items
                .iter()
                .filter_map(|item| item.text().map(str::to_owned))
                .collect::<Vec<_>>(),
        ),
        Kind::Scalar(_) | Kind::Map(_) => shown(node.text()),
    }
}

fn list(values: &[String]) -> String {
    match values {
        [] => shown(None),
        [one] => shown(Some(one)),
        more => format!(
            "[{}]",
            more.iter()
                .map(|value| clip(value))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".to_owned(), clip)
}

fn clip(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn push(found: &mut Vec<Difference>, place: &str, expected: &str, got: &str) {
    found.push(Difference {
        place: place.to_owned(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    });
}
