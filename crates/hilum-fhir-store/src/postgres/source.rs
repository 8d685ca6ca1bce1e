//! The index tables, as searches see them.

use tokio_postgres::Row as SqlRow;

use super::link::Values;
use super::read::in_order;
use super::reading::Ask;
use super::text::{clean, query_of, word_text};
use crate::error::StoreError;
use crate::search::{Part, Row, Source, SpanRange, TextMatch, Way, WideRange, WordMatch};

/// Tables being searched.
pub(super) struct PgSource<A>(pub(super) A);

impl<A: Ask> PgSource<A> {
    fn all(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<SqlRow>, StoreError> {
        self.0.goes_on()?;
        self.0.query(sql, values)
    }

    fn pks(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<i64>, StoreError> {
        let rows = self.all(sql, values)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn pairs(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = self.all(sql, values)?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl<A: Ask> Source for PgSource<A> {
    fn last_seq(&mut self) -> Result<i64, StoreError> {
        self.0.number("SELECT seq FROM store", &[])
    }

    fn token(
        &mut self,
        index: i64,
        code: i64,
        extra: Option<i64>,
        part: Part,
    ) -> Result<Vec<i64>, StoreError> {
        let Part { above, to, .. } = part;
        let limit = rows_limit(part.limit);
        match (part.way, extra) {
            (Way::Up, None) => self.pks(
                "SELECT pk FROM token WHERE param = $1 AND code = $2 AND pk > $3 AND pk <= $4 \
                 ORDER BY pk LIMIT $5",
                &[&index, &code, &above, &to, &limit],
            ),
            (Way::Up, Some(extra)) => self.pks(
                "SELECT pk FROM token WHERE param = $1 AND code = $2 AND pk > $3 AND pk <= $4 \
                 AND extra = $6 ORDER BY pk LIMIT $5",
                &[&index, &code, &above, &to, &limit, &extra],
            ),
            (Way::Down, None) => self.pks(
                "SELECT pk FROM token WHERE param = $1 AND code = $2 AND pk < $3 AND pk >= $4 \
                 ORDER BY pk DESC LIMIT $5",
                &[&index, &code, &above, &to, &limit],
            ),
            (Way::Down, Some(extra)) => self.pks(
                "SELECT pk FROM token WHERE param = $1 AND code = $2 AND pk < $3 AND pk >= $4 \
                 AND extra = $6 ORDER BY pk DESC LIMIT $5",
                &[&index, &code, &above, &to, &limit, &extra],
            ),
        }
    }

    fn token_count(
        &mut self,
        index: i64,
        code: i64,
        extra: Option<i64>,
        to: i64,
    ) -> Result<u64, StoreError> {
        self.0.goes_on()?;
        let count = match extra {
            None => self.0.number(
                "SELECT count(*) FROM (SELECT DISTINCT pk FROM token \
                 WHERE param = $1 AND code = $2 AND pk <= $3) d",
                &[&index, &code, &to],
            )?,
            Some(extra) => self.0.number(
                "SELECT count(*) FROM token \
                 WHERE param = $1 AND code = $2 AND pk <= $3 AND extra = $4",
                &[&index, &code, &to, &extra],
            )?,
        };
        Ok(count.unsigned_abs())
    }

    fn token_behind(&mut self, index: i64, code: i64) -> Result<Option<i64>, StoreError> {
        let found = self.pks(
            "SELECT code FROM token WHERE param = $1 AND code > $2 ORDER BY code LIMIT 1",
            &[&index, &code],
        )?;
        Ok(found.first().copied())
    }

    fn extra_behind(
        &mut self,
        index: i64,
        code: i64,
        extra: i64,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let found = self.pairs(
            "SELECT extra, pk FROM token WHERE param = $1 AND code = $2 AND extra > $3 \
             ORDER BY extra, pk LIMIT 1",
            &[&index, &code, &extra],
        )?;
        Ok(found.first().copied())
    }

    fn span(
        &mut self,
        range: &SpanRange,
        from: Option<(i64, i64)>,
        way: Way,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let SpanRange {
            index,
            unit,
            low,
            high,
        } = range;
        let limit = rows_limit(limit);
        match way {
            Way::Up => {
                let from = from.unwrap_or((low.0, i64::MIN));
                self.pairs(
                    "SELECT low, pk FROM span WHERE param = $1 AND unit = $2 \
                     AND (low, pk) > ($3, $4) AND low <= $5 AND high BETWEEN $6 AND $7 \
                     ORDER BY low, pk LIMIT $8",
                    &[
                        index, unit, &from.0, &from.1, &low.1, &high.0, &high.1, &limit,
                    ],
                )
            }
            Way::Down => {
                let from = from.unwrap_or((low.1, i64::MAX));
                self.pairs(
                    "SELECT low, pk FROM span WHERE param = $1 AND unit = $2 \
                     AND (low, pk) < ($3, $4) AND low >= $5 AND high BETWEEN $6 AND $7 \
                     ORDER BY low DESC, pk DESC LIMIT $8",
                    &[
                        index, unit, &from.0, &from.1, &low.0, &high.0, &high.1, &limit,
                    ],
                )
            }
        }
    }

    fn within(&mut self, range: &SpanRange, limit: usize) -> Result<Vec<i64>, StoreError> {
        let SpanRange {
            index,
            unit,
            low,
            high,
        } = range;
        self.pks(
            "SELECT pk FROM span WHERE param = $1 AND unit = $2 AND low BETWEEN $3 AND $4 \
             AND high BETWEEN $5 AND $6 LIMIT $7",
            &[
                index,
                unit,
                &low.0,
                &low.1,
                &high.0,
                &high.1,
                &rows_limit(limit),
            ],
        )
    }

    fn wide(&mut self, range: &WideRange, limit: usize) -> Result<Vec<i64>, StoreError> {
        self.pks(
            "SELECT pk FROM wide WHERE param = $1 AND unit = $2 AND high >= $3 AND low <= $4 \
             LIMIT $5",
            &[
                &range.index,
                &range.unit,
                &range.high_min,
                &range.low_max,
                &rows_limit(limit),
            ],
        )
    }

    fn words(
        &mut self,
        index: i64,
        wanted: &WordMatch,
        from: Option<&str>,
        way: Way,
        limit: usize,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let limit = rows_limit(limit);
        let from = from.map(clean);
        let from = from.as_deref();
        let rows = match (wanted, way, from) {
            (WordMatch::Prefix(prefix), _, _) => {
                let prefix = word_text(prefix);
                let end = format!("{prefix}\u{10ffff}");
                self.all(
                    "SELECT text, code FROM word WHERE param = $1 AND text >= $2 AND text < $3 \
                     LIMIT $4",
                    &[&index, &&*prefix, &end, &limit],
                )
            }
            (WordMatch::Contains(part), _, _) => self.all(
                "SELECT text, code FROM word WHERE param = $1 AND position($2 IN text) > 0 \
                 LIMIT $3",
                &[&index, &&*clean(part), &limit],
            ),
            (WordMatch::All, Way::Up, Some(from)) => self.all(
                "SELECT text, code FROM word WHERE param = $1 AND text > $2 \
                 ORDER BY text LIMIT $3",
                &[&index, &from, &limit],
            ),
            (WordMatch::All, Way::Up, None) => self.all(
                "SELECT text, code FROM word WHERE param = $1 ORDER BY text LIMIT $2",
                &[&index, &limit],
            ),
            (WordMatch::All, Way::Down, Some(from)) => self.all(
                "SELECT text, code FROM word WHERE param = $1 AND text < $2 \
                 ORDER BY text DESC LIMIT $3",
                &[&index, &from, &limit],
            ),
            (WordMatch::All, Way::Down, None) => self.all(
                "SELECT text, code FROM word WHERE param = $1 ORDER BY text DESC LIMIT $2",
                &[&index, &limit],
            ),
        }?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn resources(&mut self, of: Option<u16>, part: Part) -> Result<Vec<i64>, StoreError> {
        let Part { above, to, .. } = part;
        let limit = rows_limit(part.limit);
        let of = of.map(i64::from);
        match (part.way, &of) {
            (Way::Up, Some(of)) => self.pks(
                "SELECT pk FROM resource WHERE type = $1 AND NOT deleted AND pk > $2 AND pk <= $3 \
                 ORDER BY pk LIMIT $4",
                &[of, &above, &to, &limit],
            ),
            (Way::Up, None) => self.pks(
                "SELECT pk FROM resource WHERE NOT deleted AND pk > $1 AND pk <= $2 \
                 ORDER BY pk LIMIT $3",
                &[&above, &to, &limit],
            ),
            (Way::Down, Some(of)) => self.pks(
                "SELECT pk FROM resource WHERE type = $1 AND NOT deleted AND pk < $2 AND pk >= $3 \
                 ORDER BY pk DESC LIMIT $4",
                &[of, &above, &to, &limit],
            ),
            (Way::Down, None) => self.pks(
                "SELECT pk FROM resource WHERE NOT deleted AND pk < $1 AND pk >= $2 \
                 ORDER BY pk DESC LIMIT $3",
                &[&above, &to, &limit],
            ),
        }
    }

    fn count_of(&mut self, resource_type: u16) -> Result<u64, StoreError> {
        self.0.goes_on()?;
        let count = self.0.number(
            "SELECT coalesce((SELECT count FROM counter WHERE type = $1), 0)",
            &[&i64::from(resource_type)],
        )?;
        Ok(count.unsigned_abs())
    }

    fn recent(&mut self, of: Option<u16>, part: Part) -> Result<Vec<(i64, i64)>, StoreError> {
        let Part { above, to, .. } = part;
        let limit = rows_limit(part.limit);
        let of = of.map(i64::from);
        match (part.way, &of) {
            (Way::Up, Some(of)) => self.pairs(
                "SELECT v.seq, v.pk FROM version v JOIN resource r ON r.pk = v.pk \
                 WHERE v.type = $1 AND v.seq > $2 AND v.seq <= $3 AND r.seq = v.seq \
                 AND NOT r.deleted ORDER BY v.seq LIMIT $4",
                &[of, &above, &to, &limit],
            ),
            (Way::Up, None) => self.pairs(
                "SELECT v.seq, v.pk FROM version v JOIN resource r ON r.pk = v.pk \
                 WHERE v.seq > $1 AND v.seq <= $2 AND r.seq = v.seq AND NOT r.deleted \
                 ORDER BY v.seq LIMIT $3",
                &[&above, &to, &limit],
            ),
            (Way::Down, Some(of)) => self.pairs(
                "SELECT v.seq, v.pk FROM version v JOIN resource r ON r.pk = v.pk \
                 WHERE v.type = $1 AND v.seq < $2 AND v.seq >= $3 AND r.seq = v.seq \
                 AND NOT r.deleted ORDER BY v.seq DESC LIMIT $4",
                &[of, &above, &to, &limit],
            ),
            (Way::Down, None) => self.pairs(
                "SELECT v.seq, v.pk FROM version v JOIN resource r ON r.pk = v.pk \
                 WHERE v.seq < $1 AND v.seq >= $2 AND r.seq = v.seq AND NOT r.deleted \
                 ORDER BY v.seq DESC LIMIT $3",
                &[&above, &to, &limit],
            ),
        }
    }

    fn seq_at(&mut self, updated_ms: i64) -> Result<i64, StoreError> {
        // Times rise with numbers, so this is a search by halves; the server does it alone, which
        // saves a round trip for each half.
        self.0.goes_on()?;
        self.0.number(
            "WITH RECURSIVE half AS ( \
               SELECT 1::bigint AS low, (SELECT seq + 1 FROM store) AS high \
               UNION ALL \
               SELECT CASE WHEN v.updated_ms < $1 THEN v.seq + 1 ELSE h.low END, \
                      CASE WHEN v.updated_ms < $1 THEN h.high ELSE h.low + (h.high - h.low) / 2 END \
               FROM half h LEFT JOIN LATERAL ( \
                 SELECT seq, updated_ms FROM version WHERE seq >= h.low + (h.high - h.low) / 2 \
                 ORDER BY seq LIMIT 1) v ON true \
               WHERE h.low < h.high) \
             SELECT max(low) FROM half",
            &[&updated_ms],
        )
    }

    fn rows(&mut self, pks: &[i64]) -> Result<Vec<Row>, StoreError> {
        let found = self.all(
            "SELECT pk, type, token, seq, updated_ms, fhir_id, rows FROM resource \
             WHERE pk = ANY($1) AND NOT deleted",
            &[&pks],
        )?;
        let row = |row: &SqlRow| Row {
            pk: row.get(0),
            resource_type: small(row.get(1)),
            token: row.get(2),
            seq: row.get(3),
            updated_ms: row.get(4),
            id: row.get(5),
            rows: row.get::<_, Option<Vec<u8>>>(6).unwrap_or_default(),
        };
        let found = found.iter().map(row).collect();
        Ok(in_order(pks, found, |row| row.pk))
    }

    fn fulltext(&mut self, matching: &TextMatch, limit: usize) -> Result<Vec<i64>, StoreError> {
        let Some(query) = query_of(&matching.phrases) else {
            return Ok(Vec::new());
        };
        let limit = rows_limit(limit);
        if matching.narrative {
            let sql = "SELECT pk FROM fulltext WHERE narrative @@ $1::text::tsquery LIMIT $2";
            self.pks(sql, &[&query, &limit])
        } else {
            let sql = "SELECT pk FROM fulltext WHERE content @@ $1::text::tsquery LIMIT $2";
            self.pks(sql, &[&query, &limit])
        }
    }

    fn fulltext_holds(&mut self, matching: &TextMatch, pk: i64) -> Result<bool, StoreError> {
        let Some(query) = query_of(&matching.phrases) else {
            return Ok(false);
        };
        let found = if matching.narrative {
            let sql = "SELECT pk FROM fulltext WHERE pk = $2 AND narrative @@ $1::text::tsquery";
            self.pks(sql, &[&query, &pk])?
        } else {
            let sql = "SELECT pk FROM fulltext WHERE pk = $2 AND content @@ $1::text::tsquery";
            self.pks(sql, &[&query, &pk])?
        };
        Ok(!found.is_empty())
    }

    fn by_tokens(&mut self, tokens: &[i64]) -> Result<Vec<i64>, StoreError> {
        self.pks(
            "SELECT pk FROM resource WHERE token = ANY($1) AND NOT deleted",
            &[&tokens],
        )
    }
}

/// A type's number, which is never as large as its column allows.
pub(super) fn small(number: i64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
