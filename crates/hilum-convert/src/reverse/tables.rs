//! Tables of codes turned round: which code of v2 stands for a code of FHIR.

use std::collections::HashSet;

use super::compile::{Compiler, Raw};
use super::plan::CodeTable;
use crate::plan::Number;
use crate::problem::Fault;
use crate::text::ReverseHead;

impl Compiler<'_> {
    /// The codes of the way there, turned round.
    pub(super) fn code_tables(&mut self) {
        let all = self.all;
        for (name, (head, merged)) in &all.codes {
            let mut table = CodeTable {
                name: name.clone(),
                v2: head.from.as_deref().map(Into::into),
                ..CodeTable::default()
            };
            let marked = self
                .blocks
                .get(&ReverseHead::Codes(name.clone()).to_string());
            for raw in marked.map(|(_, rows)| rows.as_slice()).unwrap_or_default() {
                if let (Some(code), Some(v2)) = (raw.cell(0), raw.cell(1)) {
                    let code = unquoted(code);
                    table
                        .by_code
                        .insert(code.into(), vec![(None, unquoted(v2).into())]);
                }
            }
            let marks: HashSet<Box<str>> = table.by_code.keys().cloned().collect();
            let mut seen: HashSet<(Box<str>, Option<Box<str>>)> = HashSet::new();
            for (_, entry) in &merged.rows {
                let row = &entry.row;
                let (Some(v2), Some(code)) = (row.code.as_deref(), row.target.as_deref()) else {
                    continue;
                };
                if v2 == "*" || row.condition.is_some() || marks.contains(code) {
                    continue;
                }
                let system: Option<Box<str>> =
                    row.system.as_deref().or(head.to.as_deref()).map(Into::into);
                if !seen.insert((code.into(), system.clone())) {
                    table.ambiguous.push(code.to_owned());
                    continue;
                }
                let list = table.by_code.entry(code.into()).or_default();
                list.push((system, v2.into()));
            }
            let number = Number::try_from(self.plan.codes.len()).unwrap_or(Number::MAX);
            self.codes.insert(name.clone(), number);
            self.plan.codes.push(table);
        }
        let marked: Vec<(String, Raw)> = self
            .blocks
            .values()
            .filter_map(|(head, rows)| match head {
                ReverseHead::Codes(name) if !self.codes.contains_key(name) => {
                    Some((name.clone(), rows.first()?.clone()))
                }
                _ => None,
            })
            .collect();
        for (name, raw) in marked {
            let fault = Fault::new(0, &name, "there is no table of codes of this name");
            let names: Vec<String> = self.codes.keys().cloned().collect();
            let fault = fault.nearest(names.iter().map(String::as_str));
            self.row_fault(&raw, 0, fault);
        }
    }
}

/// Codes with blanks stand in quotes.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .unwrap_or(text)
}
