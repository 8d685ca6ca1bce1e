//! Tables of codes.

use std::collections::HashMap;

use super::compile::Compiler;
use super::condition::condition;
use super::source::Reading;
use super::{CodeTable, CodeTarget, Number};

pub(super) fn compile(compiler: &mut Compiler<'_>) {
    let all = compiler.all;
    for (name, (head, merged)) in &all.codes {
        let reading = Reading {
            of: String::new(),
            is_segment: true,
            own: None,
        };
        let to = head.to.as_deref();
        let mut table = CodeTable {
            name: name.clone(),
            from: head.from.as_deref().map(Into::into),
            rows: Vec::new(),
            by_code: HashMap::new(),
            by_lower: HashMap::new(),
            other: None,
        };
        for (file, entry) in &merged.rows {
            let Some(code) = entry.row.code.as_deref() else {
                continue;
            };
            let test = entry
                .row
                .condition
                .as_ref()
                .map(|test| condition(&reading, test));
            let condition = match test {
                None => None,
                Some(Ok(condition)) => Some(condition),
                Some(Err(fault)) => {
                    compiler.row_fault(*file, entry, 3, fault);
                    continue;
                }
            };
            let number = Number::try_from(table.rows.len()).unwrap_or(Number::MAX);
            let row = &entry.row;
            table.rows.push(CodeTarget {
                condition,
                code: row.target.as_deref().map(Into::into),
                system: row.system.as_deref().or(to).map(Into::into),
                display: row.display.as_deref().map(Into::into),
            });
            if code == "*" {
                table.other = Some(number);
            } else {
                table.by_code.entry(code.into()).or_default().push(number);
            }
        }
        table.by_lower = by_lower(&table.by_code);
        let number = Number::try_from(compiler.plan.codes.len()).unwrap_or(Number::MAX);
        compiler.codes.insert(name.clone(), number);
        compiler.plan.codes.push(table);
    }
}

/// Rows by their codes in small letters; codes that differ only in their letters' size are left out.
fn by_lower(by_code: &HashMap<Box<str>, Vec<Number>>) -> HashMap<Box<str>, Vec<Number>> {
    let mut lower: HashMap<Box<str>, Vec<Number>> = HashMap::new();
    let mut twice = Vec::new();
    for (code, rows) in by_code {
        let code: Box<str> = code.to_lowercase().into();
        if lower.insert(code.clone(), rows.clone()).is_some() {
            twice.push(code);
        }
    }
    for code in twice {
        lower.remove(&code);
    }
    lower
}
