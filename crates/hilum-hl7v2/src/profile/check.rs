//! Checks a message against a profile.

use std::borrow::Cow;

use super::expression::{Subject, Truth};
use super::load::Parts;
use super::model::{MessageDef, Predicate, SegmentDef, Slot, Statements, TypeDef, Usage};
use super::path::{Position, Target, View, first_leaf};
use super::values::{Binding, Strength, ValueSets, Verdict};
use crate::message::{Level, Part};
use crate::validate::{Finding, Findings, Form, Rule, Severity, inner_path, segment_path};

pub(crate) struct Check<'m> {
    pub(crate) view: View<'m>,
    pub(crate) def: &'m MessageDef,
    pub(crate) parts: &'m Parts,
    pub(crate) sets: &'m ValueSets,
}

impl<'m> Check<'m> {
    /// Everything but the presence and order of segments.
    pub(crate) fn run(&self, findings: &mut Findings) {
        for (number, occurrence) in self.view.assignment.occurrences.iter().enumerate() {
            let Ok(number) = u32::try_from(number) else {
                break;
            };
            let Some(info) = self.def.nodes.get(usize::from(occurrence.node)) else {
                continue;
            };
            let target = Target::Group(number);
            if self.unwanted(
                info.usage,
                Rule::GroupExcess,
                || self.path(target),
                findings,
            ) {
                continue;
            }
            let subject = Subject {
                target,
                instance: occurrence.ordinal,
            };
            self.statements(&info.statements, subject, findings);
        }
        let mut last: Option<(u32, u16, u32)> = None;
        for (index, place) in self.view.assignment.places.iter().enumerate() {
            let Some(node) = place.node else { continue };
            let instance = match last {
                Some((occurrence, before, count))
                    if (occurrence, before) == (place.occurrence, node) =>
                {
                    count.saturating_add(1)
                }
                _ => 1,
            };
            last = Some((place.occurrence, node, instance));
            let Some(info) = self.def.nodes.get(usize::from(node)) else {
                continue;
            };
            let target = Target::Segment(index);
            let path = || self.path(target);
            if self.unwanted(info.usage, Rule::SegmentNotSupported, path, findings) {
                continue;
            }
            if let Some(def) = info.segment.and_then(|at| self.parts.segments.get(at)) {
                self.segment(def, index, instance, findings);
            }
            if findings.is_full() {
                return;
            }
        }
    }

    fn segment(&self, def: &'m SegmentDef, index: usize, instance: u32, findings: &mut Findings) {
        let Some(segment) = self.view.message.segment(index) else {
            return;
        };
        let target = Target::Segment(index);
        for (at, slot) in def.fields.iter().enumerate() {
            let number = crate::message::pos(at).saturating_add(1);
            let repetitions: Vec<Part<'m>> = segment
                .field(number)
                .map(|field| field.children().collect())
                .unwrap_or_default();
            let path = || format!("{}-{number}", segment_path(self.view.message, index));
            self.field(def, slot, (target, number), &repetitions, path, findings);
        }
        let first = crate::message::pos(def.fields.len()).saturating_add(1);
        let mut beyond = (first..=segment.field_count()).filter_map(|number| segment.field(number));
        if let Some(field) = beyond.find(|field| !field.is_blank()) {
            let path = || self.path(Target::Part(field));
            let text = format!("the profile ends {} before this field", def.name);
            findings.add(path, Rule::FieldUnexpected, Severity::Warning, text);
        }
        self.statements(&def.statements, Subject { target, instance }, findings);
    }

    fn field(
        &self,
        def: &'m SegmentDef,
        slot: &'m Slot,
        (segment, number): (Target<'m>, u32),
        repetitions: &[Part<'m>],
        path: impl Fn() -> String,
        findings: &mut Findings,
    ) {
        // Empty repetitions between valued ones count, those behind the last do not.
        let last = repetitions
            .iter()
            .rposition(|part| Target::Part(*part).is_present());
        let count = last.map_or(0, |last| crate::message::pos(last).saturating_add(1));
        if count == 0 {
            if slot.usage == Usage::Required {
                findings.add(path, Rule::FieldMissing, Severity::Error, required(slot));
            }
            return;
        }
        if self.unwanted(slot.usage, Rule::FieldNotSupported, &path, findings) {
            return;
        }
        if count < slot.min {
            let text = format!("stands {count} times, at least {}", slot.min);
            findings.add(&path, Rule::FieldMissing, Severity::Error, text);
        }
        if let Some(max) = slot.max.filter(|max| count > *max && *max > 0) {
            let text = format!("stands {count} times, at most {max}");
            findings.add(&path, Rule::FieldExcess, Severity::Error, text);
        }
        let data_type = match &def.mapping {
            Some(mapping) if mapping.position == number => self.mapped(def, segment),
            _ => slot.data_type,
        };
        let data_type = data_type.and_then(|at| self.parts.types.get(at));
        for (at, part) in repetitions.iter().enumerate() {
            if Target::Part(*part).is_present() {
                let instance = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
                self.value(slot, data_type, *part, instance, findings);
            }
        }
    }

    /// The data type that another field of the segment decides.
    fn mapped(&self, def: &SegmentDef, segment: Target<'m>) -> Option<usize> {
        let mapping = def.mapping.as_ref()?;
        let value = |position: &Position| self.view.follow(segment, position).first()?.value();
        let first = value(&mapping.reference)?;
        let second = mapping.second.as_ref().and_then(value);
        let cases = || {
            mapping
                .cases
                .iter()
                .filter(|(wanted, _, _)| *wanted == first)
        };
        let exact = cases().find(|(_, wanted, _)| wanted.is_some() && *wanted == second);
        exact
            .or_else(|| cases().find(|(_, wanted, _)| wanted.is_none()))
            .and_then(|(_, _, found)| *found)
    }

    /// A repetition, component or subcomponent that is not empty.
    fn value(
        &self,
        slot: &'m Slot,
        data_type: Option<&'m TypeDef>,
        part: Part<'m>,
        instance: u32,
        findings: &mut Findings,
    ) {
        // Separators are text of their own kind, and an explicit null has no form.
        if part.is_separators() || part.is_null() {
            return;
        }
        let target = Target::Part(part);
        let path = || self.path(target);
        if let Some(constant) = &slot.constant
            && first_leaf(part).text() != constant.as_str()
        {
            findings.add(
                path,
                Rule::Constraint,
                Severity::Error,
                "not the value that the profile fixes",
            );
        }
        let composite = data_type.is_some_and(|found| !found.components.is_empty());
        if let Some(binding) = &slot.binding {
            let first = [1];
            let locations = if composite && binding.locations.is_empty() {
                &first[..]
            } else {
                &binding.locations
            };
            self.bound(binding, locations, part, findings);
        }
        let Some(data_type) = data_type else { return };
        if composite && part.level() != Level::Subcomponent {
            self.components(data_type, part, findings);
        } else {
            self.leaf(slot, data_type.form, part, findings);
        }
        self.statements(
            &data_type.statements,
            Subject { target, instance },
            findings,
        );
    }

    fn components(&self, data_type: &'m TypeDef, part: Part<'m>, findings: &mut Findings) {
        for (at, slot) in data_type.components.iter().enumerate() {
            let number = crate::message::pos(at).saturating_add(1);
            let path = || format!("{}.{number}", self.path(Target::Part(part)));
            let component = part.nth(number).filter(|component| !component.is_blank());
            match component {
                None if slot.usage == Usage::Required => {
                    findings.add(
                        path,
                        Rule::ComponentMissing,
                        Severity::Error,
                        required(slot),
                    );
                }
                None => {}
                Some(_)
                    if self.unwanted(slot.usage, Rule::ComponentNotSupported, path, findings) => {}
                Some(component) => {
                    let data_type = slot.data_type.and_then(|at| self.parts.types.get(at));
                    self.value(slot, data_type, component, 1, findings);
                }
            }
        }
        let more = part.children().skip(data_type.components.len());
        if more.into_iter().any(|component| !component.is_blank()) {
            let text = format!(
                "the profile's data type has {} components",
                data_type.components.len()
            );
            let path = || self.path(Target::Part(part));
            findings.add(path, Rule::ComponentUnexpected, Severity::Warning, text);
        }
    }

    fn leaf(&self, slot: &Slot, form: Form, part: Part<'m>, findings: &mut Findings) {
        let path = || self.path(Target::Part(part));
        if !part.is_leaf() {
            let text = "the profile's data type has no components";
            findings.add(path, Rule::ComponentUnexpected, Severity::Warning, text);
        }
        let value = first_leaf(part).text();
        let count = u32::try_from(value.chars().count()).unwrap_or(u32::MAX);
        let short = slot.length_min.is_some_and(|min| count < min);
        let long = slot.length_max.is_some_and(|max| count > max && max > 0);
        if short || long {
            let limit =
                |limit: Option<u32>| limit.map_or("*".to_owned(), |limit| limit.to_string());
            let text = format!(
                "{count} characters, allowed {}..{}",
                limit(slot.length_min),
                limit(slot.length_max)
            );
            findings.add(path, Rule::Length, Severity::Error, text);
        }
        if !form.accepts(value.trim().as_bytes()) {
            findings.add(
                path,
                Rule::DataType,
                Severity::Error,
                "not of the form of its data type",
            );
        }
    }

    fn bound(&self, binding: &Binding, locations: &[u16], part: Part<'m>, findings: &mut Findings) {
        let severity = match binding.strength {
            Strength::Required => Severity::Error,
            Strength::Suggested => Severity::Warning,
            Strength::Undetermined => return,
        };
        let verdicts = binding
            .sets
            .iter()
            .map(|set| self.sets.verdict(set, part, locations, binding.system));
        let mut worst = None;
        for verdict in verdicts {
            if verdict == Verdict::Inside {
                return;
            }
            worst = Some(verdict);
        }
        let names = || binding.sets.join(", ");
        let text = match worst {
            None | Some(Verdict::Inside) => return,
            Some(Verdict::Outside) => format!("not in value set {}", names()),
            Some(Verdict::Excluded) => format!("excluded by value set {}", names()),
            Some(Verdict::OtherSystem) => {
                format!("other coding system than in value set {}", names())
            }
        };
        findings.add(
            || self.path(Target::Part(part)),
            Rule::ValueSet,
            severity,
            text,
        );
    }

    fn statements(&self, statements: &Statements, subject: Subject<'m>, findings: &mut Findings) {
        if statements.is_empty() {
            return;
        }
        for constraint in &statements.constraints {
            if constraint.expression.check(&self.view, subject, self.sets) == Truth::Fails {
                findings.push(|| Finding {
                    path: self.path(subject.target),
                    rule: Rule::Constraint,
                    severity: constraint.severity,
                    text: Cow::Owned(constraint.text.clone()),
                    id: constraint.id.clone(),
                });
            }
        }
        for predicate in &statements.predicates {
            let usage = match predicate.condition.check(&self.view, subject, self.sets) {
                Truth::Holds => predicate.when_true,
                Truth::Fails => predicate.when_false,
                Truth::Open => continue,
            };
            self.decided(predicate, usage, subject, findings);
        }
        for (position, binding) in &statements.bindings {
            for target in self.view.follow(subject.target, position) {
                if let Target::Part(part) = target
                    && target.is_present()
                    && !part.is_null()
                {
                    self.bound(binding, &binding.locations, part, findings);
                }
            }
        }
    }

    /// Applies the usage that a predicate decided.
    fn decided(
        &self,
        predicate: &Predicate,
        usage: Usage,
        subject: Subject<'m>,
        findings: &mut Findings,
    ) {
        let Some((last, before)) = predicate.target.0.split_last() else {
            return;
        };
        let parents = self.view.follow(subject.target, &Position(before.to_vec()));
        for parent in parents.into_iter().filter(Target::is_present) {
            let found = self.view.follow(parent, &Position(vec![*last]));
            let present = found.iter().any(Target::is_present);
            let (segment_level, rule_missing, rule_present) = match parent {
                Target::Group(_) => (true, Rule::SegmentMissing, Rule::SegmentNotSupported),
                Target::Segment(_) => (false, Rule::FieldMissing, Rule::FieldNotSupported),
                Target::Part(_) => (false, Rule::ComponentMissing, Rule::ComponentNotSupported),
            };
            let rule = match (usage, present) {
                (Usage::Required, false) => rule_missing,
                (Usage::NotSupported, true) => rule_present,
                _ => continue,
            };
            let path = || match parent {
                Target::Group(occurrence) if segment_level => {
                    self.child_path(occurrence, last.position)
                }
                Target::Segment(_) => format!("{}-{}", self.path(parent), last.position),
                Target::Part(_) | Target::Group(_) => {
                    format!("{}.{}", self.path(parent), last.position)
                }
            };
            findings.push(|| Finding {
                path: path(),
                rule,
                severity: Severity::Error,
                text: Cow::Owned(predicate.text.clone()),
                id: predicate.id.clone(),
            });
        }
    }

    /// Reports what must not be there; what is not supported is not looked at further.
    fn unwanted(
        &self,
        usage: Usage,
        rule: Rule,
        path: impl FnOnce() -> String,
        findings: &mut Findings,
    ) -> bool {
        match usage {
            Usage::NotSupported => {
                findings.add(
                    path,
                    rule,
                    Severity::Error,
                    "the profile does not support it",
                );
                true
            }
            Usage::Withdrawn => {
                findings.add(path, rule, Severity::Warning, "withdrawn");
                false
            }
            Usage::Required
            | Usage::RequiredOrEmpty
            | Usage::Conditional
            | Usage::Optional
            | Usage::Backward => false,
        }
    }

    fn child_path(&self, occurrence: u32, position: u16) -> String {
        let view = &self.view;
        let node = view
            .assignment
            .occurrences
            .get(occurrence as usize)
            .map_or(0, |found| found.node);
        let child = view
            .grammar
            .children(node)
            .nth(usize::from(position).saturating_sub(1));
        let name = child.map_or("", |(_, rule)| rule.name.as_str());
        inner_path(view.grammar, view.assignment, occurrence, name)
    }

    fn path(&self, target: Target<'m>) -> String {
        let view = &self.view;
        match target {
            Target::Group(0) => view
                .grammar
                .rule(0)
                .map_or(String::new(), |rule| rule.name.clone()),
            Target::Group(occurrence) => {
                let found = view.assignment.occurrences.get(occurrence as usize);
                let (node, parent, ordinal) =
                    found.map_or((0, 0, 1), |found| (found.node, found.parent, found.ordinal));
                let name = view
                    .grammar
                    .rule(node)
                    .map_or("", |rule| rule.name.as_str());
                let index = if ordinal > 1 {
                    format!("[{ordinal}]")
                } else {
                    String::new()
                };
                inner_path(
                    view.grammar,
                    view.assignment,
                    parent,
                    &format!("{name}{index}"),
                )
            }
            Target::Segment(index) => segment_path(view.message, index),
            Target::Part(part) => part_path(part),
        }
    }
}

fn required(slot: &Slot) -> Cow<'static, str> {
    Cow::Owned(format!("{} is required by the profile", slot.name))
}

/// `PID-3[2].4.1`
fn part_path(part: Part<'_>) -> String {
    let segment = part.segment();
    let mut path = format!(
        "{}-{}",
        segment_path(segment.message(), segment.index()),
        part.field_number()
    );
    let Some(mut at) = segment.field(part.field_number()) else {
        return path;
    };
    while at.level() < part.level() {
        let mut children = at.children().enumerate();
        let found = children.find(|(_, inner)| inner.start <= part.start && part.end <= inner.end);
        let Some((number, inner)) = found else { break };
        let number = number.saturating_add(1);
        match inner.level() {
            Level::Repetition if number == 1 => {}
            Level::Repetition => path.push_str(&format!("[{number}]")),
            _ => path.push_str(&format!(".{number}")),
        }
        at = inner;
    }
    path
}
