//! Holds a message against what is known of its patient, visit and orders.
//!
//! What agrees goes on and is remembered. What contradicts waits for a person and is never delivered
//! before: the number of a patient with another name and birth date, an order of another patient, a
//! result for a cancelled visit or order. Of results what is older than what is there, or preliminary
//! after the final one, is taken out, with a finding; so is a charge that was posted before. What is for
//! a merged number is for the survivor. Registrations are what is known from then on, and merges, moves
//! and links change which numbers belong together; one that comes late brings nothing back. Tests are
//! held against other tests alone, and never wait.

mod charges;
mod config;
mod facts;
mod late;
mod lists;
mod sender;
mod survivor;
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Finding, Flow, Halted, Limit, Problem,
    Severity, Step, StepContext, StepExample, SystemInfo, TEST, TraceLine, UnknownPatient, Working,
};
use hilum_hl7v2::Message;
use hilum_identity::results::Ruling;
use hilum_identity::{
    Assessment, Cause, Contradiction, Facts, Identifier, Kind, LinkError, Notice, Patient,
    REASSIGNED, Row, Rows, Unknown, Vouched, assess, remember, report,
};
use hilum_message::Phi;
use serde_json::Value;

use crate::settings::{Problems, read, schema};
use charges::Repeated;
use config::{Config, Late, Merged};
use facts::Group;
use late::Section;
use sender::Sender;

pub(crate) use undo::TAKEN_BACK;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "match",
        summary: "holds a message against what is known of its patient, visit and orders",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "merges one after the other",
                value: "64",
                beyond: "the message is held",
            },
            Limit {
                name: "observations of an order that are remembered",
                value: "2,000",
                beyond: "further ones go on, and nobody looks what they were before",
            },
            Limit {
                name: "visits of an account that are remembered",
                value: "1,000",
                beyond: "further ones do not go with the account when it is moved (A44)",
            },
            Limit {
                name: "late registrations that a merged visit names",
                value: "100",
                beyond: "the stores are not told of further ones when the merge is taken back",
            },
            Limit {
                name: "how long an order is remembered of which nothing new is said",
                value: "3 years",
                beyond: "its number and its results are taken for new ones",
            },
            Limit {
                name: "how long a charge is known again",
                value: "3 years",
                beyond: "a repeat goes on",
            },
            Limit {
                name: "value of a field of a registration that is kept",
                value: "4,096 bytes",
                beyond: "a late message loses the field in place of getting the newest value",
            },
            Limit {
                name: "items of a list of a patient or visit that are known one by one",
                value: "200, and 100 of one message",
                beyond: "a late message loses the list, as far as newer ones told it",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[Example {
    title: "What is known comes from the registrations of the channel",
    yaml: "match: {}\n",
    effect: Some(StepExample {
        format: "hl7v2",
        before: "MSH|^~\\&|PAS|H|||20260101||ADT^A01|1|P|2.5\nPID|||7^^^H^MR||Doe^Jane||19700101|F\n",
        after: "MSH|^~\\&|PAS|H|||20260101||ADT^A01|1|P|2.5\nPID|||7^^^H^MR||Doe^Jane||19700101|F\n",
        files: &[],
    }),
}];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if context.format.name() != "hl7v2" {
        let text = format!(
            "messages of the format {} are not matched; put the step before what converts them",
            context.format.name()
        );
        problems.add(Problem::at(&[], text));
    }
    let mut senders = BTreeMap::new();
    let own = context.sender.and_then(|name| context.site.system(name));
    if config.system.is_none() {
        declared(own.as_deref(), &mut problems);
    }
    let base = sender(own, context, &mut problems);
    if let Some(name) = &config.system {
        let system = problems.keep(context.system(&["system"], name));
        declared(system.as_deref(), &mut problems);
        senders.insert(name.clone(), sender(system, context, &mut problems));
    } else {
        for name in context.site.system_names() {
            let system = context.site.system(&name);
            if let Some(system) = system.filter(|system| system.group.is_some()) {
                senders.insert(name, sender(Some(system), context, &mut problems));
            }
        }
    }
    let unnamed = base.system.is_none() && senders.is_empty();
    let step = Match {
        unnamed,
        fixed: config.system,
        merged: config.merged,
        late: config.late,
        senders,
        base,
    };
    problems.finish(Some(Arc::new(step) as Arc<dyn Step>))
}

/// Whoever sends declares its authorities. Of a group whoever checks the site asks it: this step sees the
/// groups of all channels.
fn declared(system: Option<&SystemInfo>, problems: &mut Problems) {
    if let Some(system) = system.filter(|system| system.identifiers.is_empty()) {
        let text = format!("`{}` does not say who assigns its identifiers", system.name);
        problems.add(
            Problem::at(&["system"], text)
                .hint("write `identifiers: [{ authority: …, type: MR }]`: a number alone names nobody")
                .in_system(&*system.name, &["identifiers"]),
        );
    }
}

fn sender(
    system: Option<Arc<SystemInfo>>,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Sender {
    let zone = system
        .as_ref()
        .and_then(|system| system.zone.clone())
        .or_else(|| context.site.zone());
    let zone = zone.and_then(|name| {
        let zone = crate::zone::named(&name);
        problems.keep(zone.map_err(|text| Problem::at(&["system"], text)))
    });
    Sender { system, zone }
}

struct Match {
    /// Nobody knows who sends.
    unnamed: bool,
    fixed: Option<String>,
    merged: Merged,
    late: Late,
    senders: BTreeMap<String, Sender>,
    base: Sender,
}

impl Step for Match {
    fn warnings(&self) -> Vec<Problem> {
        let text = "the channel does not say which system sends, so nobody knows who assigns the \
                    identifiers of its messages";
        let hint = "write `system: NAME` at the source or at the step";
        let warning = self.unnamed.then(|| Problem::at(&[], text).hint(hint));
        warning.into_iter().collect()
    }

    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
            return Err(Halted::reject("only messages of HL7 v2 are matched"));
        };
        context.spend()?;
        let (is_test, vouched) = (message.metadata.get(TEST).is_some(), context.released);
        if is_test {
            context.keep_apart(TEST);
            // Nobody decides about a test, and one that waited would hold up what is real.
            context.released = true;
        }
        let sender = self.sender_of(message);
        let facts::Read {
            mut groups,
            doubtful,
        } = facts::read(v2, sender, context.arrived_ms);
        if let Some(path) = doubtful {
            let text = "the clock was changed in that hour and the time says no offset: whether it is \
                        older than others of that hour nobody can tell, so the order of arrival counts";
            finding_at(context, path, "time-in-clock-change", text.to_owned());
        }
        if let Some(asked) = undo::asked(message) {
            return undo::take_back(message, &groups, &asked, sender, context);
        }
        let reassigned = message
            .metadata
            .get(REASSIGNED)
            .and_then(Identifier::of_key);
        let repeated = match v2.component("MSH", 9, 1).as_deref() {
            Some("DFT") => charges::once(v2, sender, context)?,
            _ => Repeated::default(),
        };
        if repeated.all {
            let why = "all of its charges were posted before";
            return Ok(Flow::Filtered(why.to_owned()));
        }
        if let Some(to) = reassigned {
            reassign(message, &mut groups, to, context)?;
        }
        let (mut followed, mut withheld) = (Vec::new(), repeated.segments);
        let (single, mut fates) = (groups.len() == 1, Vec::new());
        let policy = self.policy(sender, vouched);
        let mut rows = Rows::default();
        for (group, number) in groups.iter().zip(0..) {
            context.spend()?;
            let found = assess(&mut rows.over(context), &group.facts)
                .map_err(|error| waits(error.to_string()))?;
            tell(&found, context);
            if !context.released {
                self.decide(&found, sender, &group.facts, context)?;
            }
            let sections = match is_test {
                true => Vec::new(),
                false => Section::of(group, single, message.id.derive("told", number)),
            };
            let past = late::past(&sections, &mut rows, context)?;
            self.remember((message.id, number), &group.facts, &mut rows, context)?;
            for (section, past) in sections.into_iter().zip(past) {
                fates.push(late::judge(
                    message, section, past, &policy, &mut rows, context,
                )?);
            }
            withheld.extend(life(group, &mut rows, context)?);
            followed.push((group, found));
        }
        rows.flush(context);
        if let Some(why) = late::write(fates, message)? {
            return Ok(Flow::Filtered(why.to_owned()));
        }
        if self.merged == Merged::Rewrite {
            for (group, found) in followed {
                survivor::follow(message, group, &found)?;
            }
        }
        if nothing_left(&groups, &withheld) {
            let why = "all of its results are older than what is there, or preliminary ones after \
                       the final ones";
            return Ok(Flow::Filtered(why.to_owned()));
        }
        withhold(message, withheld)?;
        Ok(Flow::Next)
    }
}

impl Match {
    /// The habits of whoever sent a message.
    fn sender_of(&self, message: &Working) -> &Sender {
        let noted = || message.metadata.get(crate::sender::SENDER);
        let name = self.fixed.as_deref().or_else(noted);
        name.and_then(|name| self.senders.get(name))
            .unwrap_or(&self.base)
    }

    /// What becomes of what is late; what a person vouches for goes on as it is.
    const fn policy<'s>(&self, sender: &'s Sender, vouched: bool) -> late::Policy<'s> {
        late::Policy {
            late: if vouched { Late::Keep } else { self.late },
            merged: self.merged,
            sender,
        }
    }

    /// Whether the message goes on.
    fn decide(
        &self,
        found: &Assessment,
        sender: &Sender,
        facts: &Facts,
        context: &StepContext<'_>,
    ) -> Result<(), Halted> {
        if !found.contradictions.is_empty() {
            let all: Vec<_> = found
                .contradictions
                .iter()
                .map(ToString::to_string)
                .collect();
            return Err(waits(all.join("; ")));
        }
        // A registration is what makes a patient known.
        if facts.kind == Kind::Registration || !found.unknown.contains(&Unknown::Patient) {
            return Ok(());
        }
        let until_ms = match sender.unknown() {
            UnknownPatient::Create => return Ok(()),
            UnknownPatient::Hold => None,
            UnknownPatient::Wait(wait) => Some(context.arrived_ms.saturating_add(wait.0)),
        };
        let wake = facts.sides.patients.first();
        Err(Halted::Hold {
            reason: "nobody has registered the patient yet".to_owned(),
            until_ms,
            wake: wake.map(|wake| (context.scope(Patient::SCOPE), wake.key())),
        })
    }

    fn remember(
        &self,
        (message, number): (hilum_message::MessageId, u64),
        facts: &Facts,
        rows: &mut Rows,
        context: &mut StepContext<'_>,
    ) -> Result<(), Halted> {
        let (at_ms, by) = (context.arrived_ms, message.to_string());
        let cause = Cause {
            id: message.derive("match", number),
            at_ms,
            by: &by,
            reason: "",
        };
        let remembered = remember(&mut rows.over(context), facts, &cause);
        match remembered {
            Ok(_) => Ok(()),
            // A person let it go on: all but the links is remembered.
            Err(error) if context.released => {
                let unlinked = Facts {
                    event: None,
                    ..facts.clone()
                };
                let again = remember(&mut rows.over(context), &unlinked, &cause);
                again.map_err(|error| waits(error.to_string()))?;
                let text = format!("released, but the links were not changed: {error}");
                finding(context, "links", text);
                Ok(())
            }
            Err(LinkError::Unreadable(error)) => Err(waits(error.to_string())),
            Err(error) => Err(waits(Contradiction::Links(error).to_string())),
        }
    }
}

/// Every line of its results is withheld.
fn nothing_left(groups: &[Group], withheld: &[usize]) -> bool {
    let reports = groups.iter().flat_map(|group| &group.reports);
    let lines = reports.flat_map(|report| &report.observations);
    !withheld.is_empty() && withheld.len() == lines.map(|(_, lines)| lines.len()).sum::<usize>()
}

/// Gives a message of one patient to the patient whom a person chose.
fn reassign(
    message: &mut Working,
    groups: &mut [Group],
    to: Identifier,
    context: &mut StepContext<'_>,
) -> Result<(), Halted> {
    let [group] = groups else {
        return Err(waits(
            "a message of several patients cannot be reassigned".to_owned(),
        ));
    };
    let Some(from) = group.facts.sides.patients.first().cloned() else {
        return Err(waits(
            "a message without a patient's number cannot be reassigned".to_owned(),
        ));
    };
    survivor::patient(message, group, &from, &to)?;
    if let Some(first) = group.facts.sides.patients.first_mut() {
        *first = to;
    }
    finding(
        context,
        "reassigned",
        "a person gave the message another patient".to_owned(),
    );
    Ok(())
}

/// What the results of a message become; gives the segments of those that are not carried out.
fn life(
    group: &Group,
    rows: &mut Rows,
    context: &mut StepContext<'_>,
) -> Result<Vec<usize>, Halted> {
    let vouched = if context.released {
        Vouched::Yes
    } else {
        Vouched::No
    };
    let mut withheld = Vec::new();
    for one in &group.reports {
        context.spend()?;
        let observations: Vec<_> = one
            .observations
            .iter()
            .map(|(observation, _)| observation.clone())
            .collect();
        let next = report(
            &mut rows.over(context),
            &one.order,
            &observations,
            one.as_of,
            vouched,
        )
        .map_err(|error| waits(error.to_string()))?;
        for (next, (_, segments)) in next.iter().zip(&one.observations) {
            let (code, text) = match next.ruling {
                Ruling::Legal => continue,
                Ruling::Flagged(text) => ("result-state", text),
                Ruling::Kept(text) => {
                    withheld.extend(segments);
                    ("result-withheld", text)
                }
                Ruling::Held(text) => return Err(waits(text.to_owned())),
            };
            finding_at(context, "OBX-11", code, text.to_owned());
        }
    }
    Ok(withheld)
}

/// Takes results out of the message, each with the notes behind it.
fn withhold(message: &mut Working, mut segments: Vec<usize>) -> Result<(), Halted> {
    segments.sort_unstable();
    let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() else {
        return Ok(());
    };
    for at in segments.into_iter().rev() {
        while v2.segment(at + 1).is_some_and(|next| next.has_id("NTE")) {
            remove(v2, at + 1)?;
        }
        remove(v2, at)?;
    }
    Ok(())
}

fn remove(v2: &mut Message, at: usize) -> Result<(), Halted> {
    let removed = v2.remove_segment(at);
    removed.map_err(|error| Halted::reject(format!("a result cannot be withheld: {error}")))
}

/// It waits for a person.
fn waits(reason: String) -> Halted {
    Halted::Hold {
        reason,
        until_ms: None,
        wake: None,
    }
}

/// Findings and trace of an assessment.
fn tell(found: &Assessment, context: &mut StepContext<'_>) {
    for notice in &found.notices {
        let (code, text) = (notice.code(), notice.text());
        if *notice != Notice::VisitFollowed {
            finding(context, code, text.to_owned());
            continue;
        }
        for (level, ..) in &found.visits {
            finding_at(context, survivor::path(*level), code, text.to_owned());
        }
    }
    if found.unknown.contains(&Unknown::Patient) && context.released {
        finding(
            context,
            "unknown-patient",
            "the patient was not known before this message".into(),
        );
    }
    context.note(|step| {
        let mut words: Vec<String> = Vec::new();
        words.extend(
            found
                .contradictions
                .iter()
                .map(|one| format!("contradicts: {one}")),
        );
        words.extend(
            found
                .unknown
                .iter()
                .map(|what| format!("unknown: {what:?}").to_lowercase()),
        );
        words.extend(found.notices.iter().map(|one| one.text().to_owned()));
        if words.is_empty() {
            words.push("agrees with what is known".to_owned());
        }
        TraceLine {
            step: step.to_owned(),
            path: Some("PID-3".to_owned()),
            before: None,
            after: Some(Phi::new(
                found
                    .patients
                    .iter()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", "),
            )),
            note: words.join("; "),
        }
    });
}

fn finding(context: &mut StepContext<'_>, code: &str, text: String) {
    finding_at(context, "PID-3", code, text);
}

fn finding_at(context: &mut StepContext<'_>, path: &str, code: &str, text: String) {
    let step = context.step.to_owned();
    context.findings.push(Finding {
        step,
        code: code.to_owned(),
        path: Some(path.to_owned()),
        severity: Severity::Warning,
        text,
    });
}
