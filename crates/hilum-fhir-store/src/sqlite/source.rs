//! The index tables of a snapshot, as searches see them.

use hilum_db::rusqlite::{CachedStatement, Connection, Params, Row as SqlRow};
use hilum_db::{DbError, Doing};

use crate::error::StoreError;
use crate::search::{Part, Row, Source, SpanRange, TextMatch, Way, WideRange, WordMatch};

/// A connection inside a transaction.
pub(super) struct SqliteSource<'a> {
    conn: &'a Connection,
    name: &'a str,
}

impl<'a> SqliteSource<'a> {
    pub(super) const fn new(conn: &'a Connection, name: &'a str) -> Self {
        Self { conn, name }
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'a>, DbError> {
        self.conn.prepare_cached(sql).doing("search", self.name)
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&SqlRow<'_>) -> Result<T, hilum_db::rusqlite::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let rows = statement
            .query_map(params, read)
            .doing("search", self.name)?;
        let all = rows
            .collect::<Result<Vec<T>, _>>()
            .doing("search", self.name)?;
        Ok(all)
    }

    fn one(&self, sql: &str, params: impl Params) -> Result<i64, StoreError> {
        let mut statement = self.prepare(sql)?;
        let value = statement
            .query_row(params, |row| row.get(0))
            .doing("search", self.name)?;
        Ok(value)
    }
}

fn first(row: &SqlRow<'_>) -> Result<i64, hilum_db::rusqlite::Error> {
    row.get(0)
}

fn pair(row: &SqlRow<'_>) -> Result<(i64, i64), hilum_db::rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The query of FTS5: the column and all phrases, each in quotes.
fn expression(matching: &TextMatch) -> String {
    let column = if matching.narrative {
        "narrative"
    } else {
        "content"
    };
    let quoted = |phrase: &String| format!("\"{}\"", phrase.replace(['"', '\0'], " "));
    let phrases: Vec<String> = matching.phrases.iter().map(quoted).collect();
    format!("{column} : ({})", phrases.join(" AND "))
}

impl Source for SqliteSource<'_> {
    fn last_seq(&mut self) -> Result<i64, StoreError> {
        self.one("SELECT value FROM meta WHERE name = 'seq'", [])
    }

    fn token(
        &mut self,
        index: i64,
        code: i64,
        extra: Option<i64>,
        part: Part,
    ) -> Result<Vec<i64>, StoreError> {
        let limit = rows_limit(part.limit);
        match (part.way, extra) {
            (Way::Up, None) => self.all(
                "SELECT pk FROM token WHERE param = ? AND code = ? AND pk > ? AND pk <= ? \
                 ORDER BY pk LIMIT ?",
                (index, code, part.above, part.to, limit),
                first,
            ),
            (Way::Up, Some(extra)) => self.all(
                "SELECT pk FROM token WHERE param = ? AND code = ? AND pk > ? AND pk <= ? \
                 AND extra = ? ORDER BY pk LIMIT ?",
                (index, code, part.above, part.to, extra, limit),
                first,
            ),
            (Way::Down, None) => self.all(
                "SELECT pk FROM token WHERE param = ? AND code = ? AND pk < ? AND pk >= ? \
                 ORDER BY pk DESC LIMIT ?",
                (index, code, part.above, part.to, limit),
                first,
            ),
            (Way::Down, Some(extra)) => self.all(
                "SELECT pk FROM token WHERE param = ? AND code = ? AND pk < ? AND pk >= ? \
                 AND extra = ? ORDER BY pk DESC LIMIT ?",
                (index, code, part.above, part.to, extra, limit),
                first,
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
        let count = match extra {
            None => self.one(
                "SELECT count(*) FROM (SELECT DISTINCT pk FROM token \
                 WHERE param = ? AND code = ? AND pk <= ?)",
                (index, code, to),
            )?,
            Some(extra) => self.one(
                "SELECT count(*) FROM token WHERE param = ? AND code = ? AND pk <= ? AND extra = ?",
                (index, code, to, extra),
            )?,
        };
        Ok(count.unsigned_abs())
    }

    fn token_behind(&mut self, index: i64, code: i64) -> Result<Option<i64>, StoreError> {
        let found = self.all(
            "SELECT code FROM token WHERE param = ? AND code > ? ORDER BY code LIMIT 1",
            (index, code),
            first,
        )?;
        Ok(found.first().copied())
    }

    fn extra_behind(
        &mut self,
        index: i64,
        code: i64,
        extra: i64,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let found = self.all(
            "SELECT extra, pk FROM token WHERE param = ? AND code = ? AND extra > ? \
             ORDER BY extra, pk LIMIT 1",
            (index, code, extra),
            pair,
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
        let (low, high) = (range.low, range.high);
        let limit = rows_limit(limit);
        match way {
            Way::Up => {
                let from = from.unwrap_or((low.0, i64::MIN));
                self.all(
                    "SELECT low, pk FROM span WHERE param = ? AND unit = ? AND (low, pk) > (?, ?) \
                     AND low <= ? AND high BETWEEN ? AND ? ORDER BY low, pk LIMIT ?",
                    (
                        range.index,
                        range.unit,
                        from.0,
                        from.1,
                        low.1,
                        high.0,
                        high.1,
                        limit,
                    ),
                    pair,
                )
            }
            Way::Down => {
                let from = from.unwrap_or((low.1, i64::MAX));
                self.all(
                    "SELECT low, pk FROM span WHERE param = ? AND unit = ? AND (low, pk) < (?, ?) \
                     AND low >= ? AND high BETWEEN ? AND ? ORDER BY low DESC, pk DESC LIMIT ?",
                    (
                        range.index,
                        range.unit,
                        from.0,
                        from.1,
                        low.0,
                        high.0,
                        high.1,
                        limit,
                    ),
                    pair,
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
        } = *range;
        let limit = rows_limit(limit);
        // Each condition that need not be asked is worth asking for thousands of rows.
        if high == (i64::MIN, i64::MAX) {
            return self.all(
                "SELECT pk FROM span WHERE param = ? AND unit = ? AND low >= ? AND low <= ? \
                 LIMIT ?",
                (index, unit, low.0, low.1, limit),
                first,
            );
        }
        self.all(
            "SELECT pk FROM span WHERE param = ? AND unit = ? AND low >= ? AND low <= ? \
             AND high >= ? AND high <= ? LIMIT ?",
            (index, unit, low.0, low.1, high.0, high.1, limit),
            first,
        )
    }

    fn wide(&mut self, range: &WideRange, limit: usize) -> Result<Vec<i64>, StoreError> {
        self.all(
            "SELECT pk FROM wide WHERE param = ? AND unit = ? AND high >= ? AND low <= ? LIMIT ?",
            (
                range.index,
                range.unit,
                range.high_min,
                range.low_max,
                rows_limit(limit),
            ),
            first,
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
        let word = |row: &SqlRow<'_>| Ok((row.get(0)?, row.get(1)?));
        match (wanted, way, from) {
            (WordMatch::Prefix(prefix), _, _) => self.all(
                "SELECT text, code FROM word WHERE param = ? AND text >= ? AND text < ? LIMIT ?",
                (index, prefix, format!("{prefix}\u{10ffff}"), limit),
                word,
            ),
            (WordMatch::Contains(part), _, _) => self.all(
                "SELECT text, code FROM word WHERE param = ? AND instr(text, ?) > 0 LIMIT ?",
                (index, part, limit),
                word,
            ),
            (WordMatch::All, Way::Up, Some(from)) => self.all(
                "SELECT text, code FROM word WHERE param = ? AND text > ? ORDER BY text LIMIT ?",
                (index, from, limit),
                word,
            ),
            (WordMatch::All, Way::Up, None) => self.all(
                "SELECT text, code FROM word WHERE param = ? ORDER BY text LIMIT ?",
                (index, limit),
                word,
            ),
            (WordMatch::All, Way::Down, Some(from)) => self.all(
                "SELECT text, code FROM word WHERE param = ? AND text < ? ORDER BY text DESC LIMIT ?",
                (index, from, limit),
                word,
            ),
            (WordMatch::All, Way::Down, None) => self.all(
                "SELECT text, code FROM word WHERE param = ? ORDER BY text DESC LIMIT ?",
                (index, limit),
                word,
            ),
        }
    }

    fn resources(&mut self, of: Option<u16>, part: Part) -> Result<Vec<i64>, StoreError> {
        let limit = rows_limit(part.limit);
        match (part.way, of) {
            (Way::Up, Some(of)) => self.all(
                "SELECT pk FROM resource WHERE type = ? AND deleted = 0 AND pk > ? AND pk <= ? \
                 ORDER BY pk LIMIT ?",
                (of, part.above, part.to, limit),
                first,
            ),
            (Way::Up, None) => self.all(
                "SELECT pk FROM resource WHERE deleted = 0 AND pk > ? AND pk <= ? \
                 ORDER BY pk LIMIT ?",
                (part.above, part.to, limit),
                first,
            ),
            (Way::Down, Some(of)) => self.all(
                "SELECT pk FROM resource WHERE type = ? AND deleted = 0 AND pk < ? AND pk >= ? \
                 ORDER BY pk DESC LIMIT ?",
                (of, part.above, part.to, limit),
                first,
            ),
            (Way::Down, None) => self.all(
                "SELECT pk FROM resource WHERE deleted = 0 AND pk < ? AND pk >= ? \
                 ORDER BY pk DESC LIMIT ?",
                (part.above, part.to, limit),
                first,
            ),
        }
    }

    fn count_of(&mut self, resource_type: u16) -> Result<u64, StoreError> {
        let count = self.one(
            "SELECT coalesce((SELECT count FROM counter WHERE type = ?), 0)",
            [resource_type],
        )?;
        Ok(count.unsigned_abs())
    }

    fn recent(&mut self, of: Option<u16>, part: Part) -> Result<Vec<(i64, i64)>, StoreError> {
        let limit = rows_limit(part.limit);
        match (part.way, of) {
            (Way::Up, Some(of)) => self.all(
                "SELECT v.seq, v.pk FROM version v CROSS JOIN resource r ON r.pk = v.pk \
                 WHERE v.type = ? AND v.seq > ? AND v.seq <= ? AND r.seq = v.seq AND r.deleted = 0 \
                 ORDER BY v.seq LIMIT ?",
                (of, part.above, part.to, limit),
                pair,
            ),
            (Way::Up, None) => self.all(
                "SELECT v.seq, v.pk FROM version v CROSS JOIN resource r ON r.pk = v.pk \
                 WHERE v.seq > ? AND v.seq <= ? AND r.seq = v.seq AND r.deleted = 0 \
                 ORDER BY v.seq LIMIT ?",
                (part.above, part.to, limit),
                pair,
            ),
            (Way::Down, Some(of)) => self.all(
                "SELECT v.seq, v.pk FROM version v CROSS JOIN resource r ON r.pk = v.pk \
                 WHERE v.type = ? AND v.seq < ? AND v.seq >= ? AND r.seq = v.seq AND r.deleted = 0 \
                 ORDER BY v.seq DESC LIMIT ?",
                (of, part.above, part.to, limit),
                pair,
            ),
            (Way::Down, None) => self.all(
                "SELECT v.seq, v.pk FROM version v CROSS JOIN resource r ON r.pk = v.pk \
                 WHERE v.seq < ? AND v.seq >= ? AND r.seq = v.seq AND r.deleted = 0 \
                 ORDER BY v.seq DESC LIMIT ?",
                (part.above, part.to, limit),
                pair,
            ),
        }
    }

    fn seq_at(&mut self, updated_ms: i64) -> Result<i64, StoreError> {
        // Times rise with numbers, so this is a search by halves.
        let (mut low, mut high) = (1, self.last_seq()? + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.all(
                "SELECT seq, updated_ms FROM version WHERE seq >= ? ORDER BY seq LIMIT 1",
                [middle],
                pair,
            )?;
            match found.first() {
                Some((seq, at)) if *at < updated_ms => low = seq + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    fn rows(&mut self, pks: &[i64]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare(
            "SELECT type, token, seq, updated_ms, fhir_id, rows FROM resource \
             WHERE pk = ? AND deleted = 0",
        )?;
        let mut out = Vec::with_capacity(pks.len());
        for pk in pks {
            let mut rows = statement.query([pk]).doing("search", self.name)?;
            let Some(row) = rows.next().doing("search", self.name)? else {
                continue;
            };
            let read = || -> Result<Row, hilum_db::rusqlite::Error> {
                Ok(Row {
                    pk: *pk,
                    resource_type: row.get(0)?,
                    token: row.get(1)?,
                    seq: row.get(2)?,
                    updated_ms: row.get(3)?,
                    id: row.get(4)?,
                    rows: row.get(5)?,
                })
            };
            out.push(read().doing("search", self.name)?);
        }
        Ok(out)
    }

    fn fulltext(&mut self, matching: &TextMatch, limit: usize) -> Result<Vec<i64>, StoreError> {
        self.all(
            "SELECT rowid FROM fulltext WHERE fulltext MATCH ? LIMIT ?",
            (expression(matching), rows_limit(limit)),
            first,
        )
    }

    fn fulltext_holds(&mut self, matching: &TextMatch, pk: i64) -> Result<bool, StoreError> {
        let found = self.all(
            "SELECT rowid FROM fulltext WHERE fulltext MATCH ? AND rowid = ?",
            (expression(matching), pk),
            first,
        )?;
        Ok(!found.is_empty())
    }

    fn by_tokens(&mut self, tokens: &[i64]) -> Result<Vec<i64>, StoreError> {
        let mut statement =
            self.prepare("SELECT pk FROM resource WHERE token = ? AND deleted = 0")?;
        let mut out = Vec::with_capacity(tokens.len());
        for token in tokens {
            let rows = statement
                .query_map([token], first)
                .doing("search", self.name)?;
            for row in rows {
                out.push(row.doing("search", self.name)?);
            }
        }
        Ok(out)
    }
}
