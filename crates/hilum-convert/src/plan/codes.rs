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
                id: Compiler::row_id(*file, entry),
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
        let number = Number::try_from(compiler.plan.codes.len()).unwrap_or(Number::MAX);
        compiler.codes.insert(name.clone(), number);
        compiler.plan.codes.push(table);
    }
}
