//! Whether a store holds together.

use super::reading::{Ask, Reading};
use crate::entry::{Rows, TableRow, table_rows};
use crate::error::StoreError;
use crate::shared::Shared;

use super::text::word_text;

/// Findings after which verification stops: a damaged store has many.
const FINDINGS_MAX: usize = 100;
/// Resources that are compared with the index at a time.
const BATCH: i64 = 500;

/// Counts that must be 0, and what it means if one is not.
const COUNTS: &[(&str, &str)] = &[
    (
        "SELECT count(*) FROM resource r LEFT JOIN version v ON v.seq = r.seq \
         WHERE v.pk IS DISTINCT FROM r.pk OR v.version <> r.version \
         OR (v.body IS NULL) <> r.deleted",
        "resources without their current version",
    ),
    (
        "SELECT count(*) FROM version v LEFT JOIN resource r ON r.pk = v.pk \
         WHERE r.pk IS NULL OR v.seq > r.seq OR v.version > r.version",
        "versions without a resource",
    ),
    (
        "SELECT count(*) FROM (SELECT 1 FROM version GROUP BY pk, version HAVING count(*) > 1) d",
        "versions that exist twice",
    ),
    (
        "SELECT count(*) FROM (SELECT updated_ms, lag(updated_ms) OVER (ORDER BY seq) AS before \
         FROM version) d WHERE before > updated_ms",
        "changes that are older than the one before",
    ),
    (
        "SELECT count(*) FROM (SELECT type, count(*) AS n FROM resource WHERE NOT deleted \
         GROUP BY type) r LEFT JOIN counter c ON c.type = r.type \
         WHERE c.count IS DISTINCT FROM r.n",
        "types that are counted wrongly",
    ),
    (
        "SELECT count(*) FROM version v JOIN resource r ON r.pk = v.pk \
         WHERE (v.method = 3 AND v.body IS NOT NULL) OR (r.fhir_id = '' AND v.method <> 3)",
        "erased versions with content",
    ),
    (
        "SELECT count(*) FROM part p LEFT JOIN content c ON c.id = p.content WHERE c.id IS NULL",
        "parts of content that is not there",
    ),
    (
        "SELECT count(*) FROM content c WHERE NOT EXISTS \
         (SELECT 1 FROM part p WHERE p.content = c.id AND p.part = 0)",
        "content without parts",
    ),
    (
        "SELECT count(*) FROM word w WHERE NOT EXISTS \
         (SELECT 1 FROM token t WHERE t.param = w.param AND t.code = w.code)",
        "words without rows",
    ),
    (
        "SELECT count(*) FROM resource r WHERE r.deleted AND EXISTS \
         (SELECT 1 FROM fulltext f WHERE f.pk = r.pk)",
        "deleted resources with full text",
    ),
];

/// What does not hold together; names kinds and numbers only. Empty is good.
pub(super) fn verify(
    reading: &mut Reading<'_>,
    shared: &Shared,
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let last = reading.number("SELECT seq FROM store", &[])?;
    // Whole tables are compared here: these are good at that.
    reading.batch(
        "SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; \
         SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on",
    )?;
    let count = reading.number("SELECT count(*) FROM version", &[])?;
    let newest = reading.number("SELECT coalesce(max(seq), 0) FROM version", &[])?;
    if (count, newest) != (last, last) {
        found.push("the numbers of changes have gaps".to_owned());
    }
    for (sql, what) in COUNTS {
        reading.goes_on()?;
        let count = reading.number(sql, &[])?;
        if count != 0 {
            found.push(format!("{what}: {count}"));
        }
    }
    index_rows(reading, shared, &mut found)?;
    found.truncate(FINDINGS_MAX);
    Ok(found)
}

/// Every packed row is in its table, and the tables hold nothing else.
fn index_rows(
    reading: &mut Reading<'_>,
    shared: &Shared,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let (mut tokens, mut spans, mut wides) = (0, 0, 0);
    let mut after = 0_i64;
    loop {
        reading.goes_on()?;
        let sql = "SELECT pk, rows FROM resource WHERE NOT deleted AND pk > $1 \
                   ORDER BY pk LIMIT $2";
        let rows = reading.query(sql, &[&after, &BATCH])?;
        let Some(last) = rows.last() else { break };
        after = last.get(0);
        let mut expected = Expected::default();
        for row in &rows {
            let pk: i64 = row.get(0);
            let packed = row.get::<_, Option<&[u8]>>(1).unwrap_or_default();
            for row in table_rows(Rows(packed), &shared.tokens) {
                match row {
                    TableRow::Token { .. } | TableRow::Word { .. } => tokens += 1,
                    TableRow::Span { wide, .. } => {
                        spans += 1;
                        wides += i64::from(wide);
                    }
                }
                expected.push(pk, &row);
            }
        }
        expected.missing(reading, found)?;
    }
    for (sql, table, expected) in [
        ("SELECT count(*) FROM token", "token", tokens),
        ("SELECT count(*) FROM span", "span", spans),
        ("SELECT count(*) FROM wide", "wide", wides),
    ] {
        let count = reading.number(sql, &[])?;
        if count != expected {
            found.push(format!("{table} has {count} rows instead of {expected}"));
        }
    }
    Ok(())
}

/// Rows that must be in the tables.
#[derive(Default)]
struct Expected {
    token: [Vec<i64>; 4],
    span: [Vec<i64>; 5],
    word: [Vec<i64>; 3],
    texts: Vec<String>,
}

impl Expected {
    fn push(&mut self, pk: i64, row: &TableRow<'_>) {
        fn add<const N: usize>(columns: &mut [Vec<i64>; N], row: [i64; N]) {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        match row {
            TableRow::Token { index, code, extra } => {
                add(&mut self.token, [index.0, *code, pk, *extra]);
            }
            TableRow::Word {
                index,
                code,
                extra,
                text,
            } => {
                add(&mut self.token, [index.0, *code, pk, *extra]);
                add(&mut self.word, [index.0, *code, pk]);
                self.texts.push(word_text(text).into_owned());
            }
            TableRow::Span {
                index,
                unit,
                low,
                high,
                ..
            } => add(&mut self.span, [index.0, *unit, *low, pk, *high]),
        }
    }

    fn missing(
        &self,
        reading: &mut Reading<'_>,
        found: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let [param, code, pk, extra] = &self.token;
        let tokens = reading.query(
            "SELECT DISTINCT n.c FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[]) n (a, b, c, d) WHERE NOT EXISTS (SELECT 1 FROM token t \
             WHERE t.param = n.a AND t.code = n.b AND t.pk = n.c AND t.extra = n.d)",
            &[param, code, pk, extra],
        )?;
        let [param, code, pk] = &self.word;
        let words = reading.query(
            "SELECT DISTINCT n.c FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::text[]) n (a, b, c, d) WHERE NOT EXISTS (SELECT 1 FROM word w \
             WHERE w.param = n.a AND w.text = n.d AND w.code = n.b)",
            &[param, code, pk, &self.texts],
        )?;
        let [param, unit, low, pk, high] = &self.span;
        let spans = reading.query(
            "SELECT DISTINCT n.d FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[], $5::bigint[]) n (a, b, c, d, e) WHERE NOT EXISTS (SELECT 1 FROM span s \
             WHERE s.param = n.a AND s.unit = n.b AND s.low = n.c AND s.pk = n.d AND s.high = n.e)",
            &[param, unit, low, pk, high],
        )?;
        for row in tokens.iter().chain(&words).chain(&spans) {
            if found.len() < FINDINGS_MAX {
                let pk: i64 = row.get(0);
                found.push(format!("resource {pk} is not found by one of its values"));
            }
        }
        Ok(())
    }
}
