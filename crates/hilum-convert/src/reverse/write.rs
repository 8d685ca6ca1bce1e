//! Writing what a row found.

use std::borrow::Cow;

use hilum_fhir::Node;

use super::draft::{Spot, escape};
use super::given::Givens;
use super::plan::{CodeTable, Row, Target, Way};
use super::run::{Base, Run};
use super::{ReverseCode, systems, value};
use crate::plan::Number;
use crate::text::Inverse;

impl<'r, 'p> Run<'r, 'p> {
    /// Writes one value; whether anything was written.
    pub(super) fn write(
        &mut self,
        row: &'p Row,
        item: Option<Node<'r>>,
        base: Base,
        place: Option<Spot>,
        items: &[Node<'r>],
    ) -> bool {
        if let Way::Map { map, codes } = &row.way {
            let base = match (row.target, place) {
                (Target::Whole, _) => base,
                (_, Some(spot)) => Base::Value(spot),
                (_, None) => return false,
            };
            let outer = std::mem::replace(&mut self.codes, *codes);
            let wrote = self.map(*map, item, base);
            self.codes = outer;
            return wrote;
        }
        let Some(spot) = place else { return false };
        match &row.way {
            Way::Map { .. } => false,
            Way::Constant(text) => {
                let wrote = self.draft.put(spot, |out| escape(text, out));
                if wrote {
                    self.note(row.id, spot, item.filter(|_| row.source.is_some()));
                    if let Some(node) = item.filter(|_| row.source.is_some())
                        && node.is_primitive()
                    {
                        self.mark(node, false);
                    }
                }
                wrote
            }
            Way::Given(given) => {
                let text = self.givens.text(*given).into_owned();
                let mut wrote = false;
                if Givens::has_parts(*given) {
                    for (at, part) in (1..).zip(text.split('^')) {
                        if let Some(spot) = spot.part(at, 0) {
                            wrote |= self.draft.put(spot, |out| escape(part, out));
                        }
                    }
                } else {
                    wrote = self.draft.put(spot, |out| escape(&text, out));
                }
                if wrote {
                    self.note(row.id, spot, None);
                }
                wrote
            }
            Way::Type => {
                let Some(node) = item else { return false };
                let kind = node.type_def().primitive();
                let text = node.text().unwrap_or_default();
                let zone = self.givens.settings.zone.as_deref();
                let wrote = self
                    .draft
                    .put(spot, |out| value::primitive(kind, text, zone, out));
                self.wrote(wrote, row, spot, node, false)
            }
            Way::Codes(table) => {
                let Some(node) = item else { return false };
                let Some((code, picked)) = self.pick(node, *table) else {
                    return false;
                };
                let wrote = self.draft.put(spot, |out| escape(&code, out));
                self.wrote(wrote, row, spot, picked, true)
            }
            Way::Function {
                function,
                argument,
                codes,
            } => {
                let Some(node) = item else { return false };
                self.function(row, *function, argument, *codes, node, items, spot)
            }
        }
    }

    /// Notes what was written from a node.
    fn wrote(
        &mut self,
        wrote: bool,
        row: &'p Row,
        spot: Spot,
        node: Node<'r>,
        below: bool,
    ) -> bool {
        if wrote {
            self.substance = true;
            self.mark(node, below);
            self.note(row.id, spot, Some(node));
        }
        wrote
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a function of a row may need"
    )]
    fn function(
        &mut self,
        row: &'p Row,
        function: Inverse,
        argument: &str,
        codes: Option<Number>,
        node: Node<'r>,
        items: &[Node<'r>],
        spot: Spot,
    ) -> bool {
        let text = match node.text() {
            Some(text) => text,
            // Only its extensions are there, such as the reason why it is not.
            None if node.is_primitive() && function != Inverse::Join => return false,
            None => "",
        };
        let written = match function {
            Inverse::Concept => {
                let table = codes.or(self.codes);
                return self.concept(row, node, spot, table);
            }
            Inverse::Authority => {
                let settings = self.givens.settings;
                let (namespace, id, ty) = systems::authority(&settings.authorities, text);
                let mut wrote = false;
                for (at, part) in [(1, &*namespace), (2, &*id), (3, ty)] {
                    if let Some(spot) = spot.part(at, 0) {
                        wrote |= self.draft.put(spot, |out| escape(part, out));
                    }
                }
                // What stands there already says the same.
                return self.wrote(wrote || self.draft.is_valued(spot), row, spot, node, false);
            }
            Inverse::Join => {
                let zone = self.givens.settings.zone.as_deref();
                let wrote = self.draft.put(spot, |out| {
                    // A value may be there by its extensions alone.
                    let said = items.iter().filter(|item| item.text().is_some());
                    for (at, item) in said.enumerate() {
                        if at > 0 {
                            escape(argument, out);
                        }
                        let kind = item.type_def().primitive();
                        value::primitive(kind, item.text().unwrap_or_default(), zone, out);
                    }
                });
                if wrote {
                    items.iter().for_each(|item| self.mark(*item, false));
                }
                return self.wrote(wrote, row, spot, node, false);
            }
            Inverse::Namespace | Inverse::Universal | Inverse::Scheme => {
                let settings = self.givens.settings;
                let (namespace, id, ty) = systems::authority(&settings.authorities, text);
                match function {
                    Inverse::Namespace => namespace,
                    Inverse::Universal => id,
                    _ => Cow::Borrowed(ty),
                }
            }
            Inverse::Spread => {
                let mut wrote = false;
                for (at, part) in (1..).zip(text.split(argument)) {
                    if let Some(spot) = spot.part(at, 0) {
                        wrote |= self.draft.put(spot, |out| escape(part, out));
                    }
                }
                return self.wrote(wrote, row, spot, node, false);
            }
            Inverse::System => systems::system(&self.givens.settings.systems, text),
            Inverse::After => match text.split_once(argument) {
                Some((_, rest)) => Cow::Borrowed(rest),
                None => return false,
            },
            Inverse::Before => match text.split_once(argument) {
                Some((first, _)) => Cow::Borrowed(first),
                None => return false,
            },
            Inverse::Day => Cow::Owned(text.split('T').next().unwrap_or_default().replace('-', "")),
            Inverse::Plain if value::is_outside(text) => {
                self.limit("text attachments outside memory", Some(node));
                return false;
            }
            Inverse::Plain => match value::plain(text) {
                Some(text) => Cow::Owned(text),
                None => return false,
            },
            Inverse::Upper => Cow::Owned(text.to_uppercase()),
        };
        let wrote = self.draft.put(spot, |out| escape(&written, out));
        self.wrote(wrote, row, spot, node, false)
    }

    fn table(&self, number: Number) -> Option<&'p CodeTable> {
        let plan = self.plan;
        plan.codes.get(number as usize)
    }

    /// The code of v2 for a code, a Coding or a CodeableConcept, and what it was taken from. What
    /// has no row goes as it is, where it is not of a fixed set of FHIR.
    fn pick(&mut self, node: Node<'r>, number: Number) -> Option<(Cow<'r, str>, Node<'r>)> {
        let table = self.table(number)?;
        if let Some(text) = node.text() {
            let found = table.find(text, None);
            if found.is_none() {
                self.unmapped_code(node, table);
            }
            return found.map(|code| (Cow::Owned(code.to_owned()), node));
        }
        let concept = node.children_named("coding").collect::<Vec<_>>();
        let codings = if concept.is_empty() {
            vec![node]
        } else {
            concept
        };
        let picked = pick_coding(table, &codings);
        if let Some((at, code)) = picked {
            let coding = codings.get(at).copied()?;
            for other in &codings {
                let same = mapped(table, *other).is_some_and(|found| found == code);
                if same {
                    self.mark(*other, true);
                }
            }
            return Some((Cow::Owned(code.to_owned()), coding));
        }
        self.unmapped_code(node, table);
        let plain = codings
            .iter()
            .find_map(|coding| Some((coding.child_text("code")?, *coding)));
        let text = || Some((node.child_text("text")?, node.child("text")?));
        plain
            .or_else(text)
            .map(|(code, node)| (Cow::Borrowed(code), node))
    }

    fn unmapped_code(&mut self, node: Node<'r>, table: &CodeTable) {
        self.find(
            ReverseCode::UnmappedCode,
            Some(node),
            Some(table.name.clone()),
        );
    }

    /// Codings as the three triplets of CWE (HL7 v2.5.1 §2.A.13): the one of the v2 table first.
    fn concept(&mut self, row: &'p Row, node: Node<'r>, spot: Spot, table: Option<Number>) -> bool {
        let table = table.and_then(|number| self.table(number));
        let inner: Vec<Node<'r>> = node.children_named("coding").collect();
        let is_coding = node.type_name() == "Coding";
        let mut codings = if is_coding { vec![node] } else { inner };
        let mut replaced = None;
        if let Some(table) = table
            && let Some((at, code)) = pick_coding(table, &codings)
        {
            let first = codings.remove(at);
            // Translations of the same code say nothing more.
            let (same, rest): (Vec<_>, Vec<_>) = codings
                .into_iter()
                .partition(|other| mapped(table, *other).is_some_and(|found| found == code));
            same.into_iter().for_each(|other| self.mark(other, true));
            if first.child_text("system") != table.v2.as_deref() {
                replaced = Some((code, table));
            }
            codings = std::iter::once(first).chain(rest).collect();
        } else if let Some(table) = table
            && !codings.is_empty()
        {
            self.unmapped_code(node, table);
        }
        let mut wrote = false;
        for ((start, version), coding) in [(1, 7), (4, 8), (10, 13)].into_iter().zip(&codings) {
            wrote |= self.coding(row, *coding, spot, start, version, replaced.take());
        }
        let Some(text) = node.child("text").filter(|_| !is_coding) else {
            return wrote;
        };
        let words = text.text().unwrap_or_default();
        let shown = codings
            .iter()
            .any(|coding| coding.child_text("display") == Some(words));
        if shown {
            self.mark(text, false);
            return wrote;
        }
        let part = if codings.is_empty() { 2 } else { 9 };
        if let Some(spot) = spot.part(part, 0) {
            let put = self.draft.put(spot, |out| escape(words, out));
            wrote |= self.wrote(put, row, spot, text, false);
        }
        wrote
    }

    fn coding(
        &mut self,
        row: &'p Row,
        coding: Node<'r>,
        spot: Spot,
        start: u16,
        version_at: u16,
        replaced: Option<(&str, &'p CodeTable)>,
    ) -> bool {
        let settings = self.givens.settings;
        let mut wrote = false;
        for child in coding.children() {
            let text = child.text().unwrap_or_default();
            let (part, text) = match (child.name(), replaced) {
                ("code", Some((code, _))) => (start, Cow::Borrowed(code)),
                ("code", None) => (start, Cow::Borrowed(text)),
                ("display", _) => (start + 1, Cow::Borrowed(text)),
                ("system", Some((_, table))) => {
                    let system = table.v2.as_deref().unwrap_or_default();
                    (start + 2, systems::system(&settings.systems, system))
                }
                ("system", None) => (start + 2, systems::system(&settings.systems, text)),
                ("version", _) => (version_at, Cow::Borrowed(text)),
                _ => continue,
            };
            let Some(spot) = spot.part(part, 0) else {
                continue;
            };
            let put = self.draft.put(spot, |out| escape(&text, out));
            wrote |= self.wrote(put, row, spot, child, false);
        }
        wrote
    }
}

/// The code of v2 that a coding is or stands for.
fn mapped<'t>(table: &'t CodeTable, coding: Node<'t>) -> Option<&'t str> {
    let code = coding.child_text("code")?;
    let system = coding.child_text("system");
    if system.is_some() && system == table.v2.as_deref() {
        return Some(code);
    }
    table.find(code, system)
}

/// The coding that says the code of v2: one of its table, else one that has a row.
fn pick_coding<'t>(table: &'t CodeTable, codings: &[Node<'t>]) -> Option<(usize, &'t str)> {
    let own = codings.iter().position(|coding| {
        let system = coding.child_text("system");
        system.is_some() && system == table.v2.as_deref()
    });
    if let Some(at) = own {
        return Some((at, codings.get(at)?.child_text("code")?));
    }
    let mut all = codings.iter().enumerate();
    all.find_map(|(at, coding)| Some((at, mapped(table, *coding)?)))
}
