//! What a transaction writes, column by column: one statement writes all rows of a table, and the
//! statements go out together.

use std::convert::Infallible;

use tokio_postgres::types::ToSql;

use super::text::{clean, vector_of, word_text};
use crate::body::Kept;
use crate::entry::{Differs, TableRow, difference};
use crate::normal::Tokens;
use crate::prepare::Texts;

/// A statement with its values.
pub(super) type Call<'a> = (&'static str, Vec<&'a (dyn ToSql + Sync)>);

/// Rows of numbers, as columns.
#[derive(Debug)]
struct Numbers<const N: usize>([Vec<i64>; N]);

impl<const N: usize> Default for Numbers<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

impl<const N: usize> Numbers<N> {
    fn push(&mut self, row: [i64; N]) {
        for (column, value) in self.0.iter_mut().zip(row) {
            column.push(value);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.first().is_none_or(Vec::is_empty)
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|column| column as _).collect()
    }

    fn call<'a>(&'a self, sql: &'static str, calls: &mut Vec<Call<'a>>) {
        if !self.is_empty() {
            calls.push((sql, self.values()));
        }
    }
}

/// Numbers of a version.
pub(super) struct VersionRow<'a> {
    pub(super) seq: i64,
    pub(super) pk: i64,
    pub(super) resource_type: u16,
    pub(super) version: u32,
    pub(super) method: i64,
    pub(super) updated_ms: i64,
    pub(super) kept: Option<&'a Kept>,
}

/// A resource as it is now.
pub(super) struct ResourceRow<'a> {
    pub(super) pk: i64,
    pub(super) resource_type: u16,
    pub(super) token: i64,
    pub(super) seq: i64,
    pub(super) version: u32,
    pub(super) updated_ms: i64,
    pub(super) id: &'a str,
    /// `None` if it is deleted.
    pub(super) rows: Option<&'a [u8]>,
    /// It has a row already.
    pub(super) known: bool,
}

/// Everything that is to be written.
#[derive(Default)]
pub(super) struct Columns<'a> {
    versions: Numbers<9>,
    bodies: Vec<Option<&'a [u8]>>,
    new: Numbers<6>,
    new_ids: Vec<String>,
    new_rows: Vec<Option<&'a [u8]>>,
    changed: Numbers<4>,
    changed_rows: Vec<Option<&'a [u8]>>,
    /// One that was erased has none and gets it again.
    changed_ids: Vec<String>,
    indexed: Vec<i64>,
    indexed_rows: Vec<&'a [u8]>,
    token_gone: Numbers<4>,
    token: Vec<[i64; 4]>,
    token_columns: Numbers<4>,
    /// Texts of tokens that are new, and of tokens that are gone.
    words: Words,
    words_gone: Words,
    span_gone: Numbers<5>,
    span: Vec<[i64; 5]>,
    span_columns: Numbers<5>,
    wide_gone: Numbers<5>,
    wide: Numbers<5>,
    text_gone: Vec<i64>,
    text: (Vec<i64>, Vec<String>, Vec<String>),
    counts: Numbers<2>,
    outbox: Numbers<3>,
    outbox_topics: Vec<String>,
    outbox_payloads: Vec<&'a [u8]>,
    topics: (Vec<String>, Vec<i64>),
    deliveries: Numbers<3>,
    delivery_bytes: (Vec<Vec<u8>>, Vec<&'a [u8]>),
}

#[derive(Default)]
struct Words {
    keys: Numbers<2>,
    texts: Vec<String>,
}

impl Words {
    fn push(&mut self, index: i64, code: i64, text: &str) {
        self.keys.push([index, code]);
        self.texts.push(word_text(text).into_owned());
    }

    fn call<'a>(&'a self, sql: &'static str, calls: &mut Vec<Call<'a>>) {
        if !self.keys.is_empty() {
            let mut values = self.keys.values();
            values.push(&self.texts);
            calls.push((sql, values));
        }
    }
}

impl<'a> Columns<'a> {
    pub(super) fn version(&mut self, row: &VersionRow<'a>) {
        let kept = row.kept;
        let (codec, splice, len) =
            kept.map_or((0, 0, 0), |kept| (kept.codec, kept.splice, kept.len));
        self.versions.push([
            row.seq,
            row.pk,
            row.resource_type.into(),
            row.version.into(),
            row.method,
            row.updated_ms,
            codec,
            splice,
            len,
        ]);
        self.bodies.push(kept.map(|kept| &kept.bytes[..]));
    }

    pub(super) fn resource(&mut self, row: &ResourceRow<'a>) {
        let version = row.version.into();
        if row.known {
            self.changed
                .push([row.pk, row.seq, version, row.updated_ms]);
            self.changed_rows.push(row.rows);
            self.changed_ids.push(clean(row.id).into_owned());
        } else {
            let of = row.resource_type.into();
            self.new
                .push([row.pk, of, row.token, row.seq, version, row.updated_ms]);
            self.new_ids.push(clean(row.id).into_owned());
            self.new_rows.push(row.rows);
        }
    }

    /// The searchable form of a resource whose version stays.
    pub(super) fn indexed(&mut self, pk: i64, rows: &'a [u8]) {
        self.indexed.push(pk);
        self.indexed_rows.push(rows);
    }

    /// What the new index rows have and the old ones do not, and the opposite.
    pub(super) fn difference(&mut self, pk: i64, old: &[u8], new: &[u8], tokens: &Tokens) {
        let Ok(()) = difference(old, new, tokens, |row| {
            match row {
                Differs::Gone(row) => self.remove(pk, row),
                Differs::New(row) => self.insert(pk, row),
            }
            Ok::<(), Infallible>(())
        });
    }

    fn insert(&mut self, pk: i64, row: &TableRow<'_>) {
        match row {
            TableRow::Token { index, code, extra } => {
                self.token.push([index.0, *code, pk, *extra]);
            }
            TableRow::Word {
                index,
                code,
                extra,
                text,
            } => {
                self.token.push([index.0, *code, pk, *extra]);
                self.words.push(index.0, *code, text);
            }
            TableRow::Span {
                index,
                unit,
                low,
                high,
                wide,
            } => {
                self.span.push([index.0, *unit, *low, pk, *high]);
                if *wide {
                    self.wide.push([index.0, *unit, *high, pk, *low]);
                }
            }
        }
    }

    fn remove(&mut self, pk: i64, row: &TableRow<'_>) {
        match row {
            TableRow::Token { index, code, extra } => {
                self.token_gone.push([index.0, *code, pk, *extra]);
            }
            TableRow::Word {
                index,
                code,
                extra,
                text,
            } => {
                self.token_gone.push([index.0, *code, pk, *extra]);
                self.words_gone.push(index.0, *code, text);
            }
            TableRow::Span {
                index,
                unit,
                low,
                high,
                wide,
            } => {
                self.span_gone.push([index.0, *unit, *low, pk, *high]);
                if *wide {
                    self.wide_gone.push([index.0, *unit, *high, pk, *low]);
                }
            }
        }
    }

    /// Makes `text` the full text of a resource, which `may` have had another one.
    pub(super) fn text(&mut self, pk: i64, text: Option<&Texts>, may: bool) {
        if may {
            self.text_gone.push(pk);
        }
        if let Some(Texts { narrative, content }) = text
            && !(narrative.is_empty() && content.is_empty())
        {
            self.text.0.push(pk);
            self.text.1.push(vector_of(narrative));
            self.text.2.push(vector_of(content));
        }
    }

    pub(super) fn count(&mut self, resource_type: u16, by: i64) {
        self.counts.push([resource_type.into(), by]);
    }

    pub(super) fn outbox(&mut self, numbers: [i64; 3], topic: &str, payload: &'a [u8]) {
        self.outbox.push(numbers);
        self.outbox_topics.push(clean(topic).into_owned());
        self.outbox_payloads.push(payload);
    }

    pub(super) fn topic(&mut self, name: &str, events: i64) {
        self.topics.0.push(name.to_owned());
        self.topics.1.push(events);
    }

    pub(super) fn delivery(&mut self, numbers: [i64; 3], written: Vec<u8>, reply: &'a [u8]) {
        self.deliveries.push(numbers);
        self.delivery_bytes.0.push(written);
        self.delivery_bytes.1.push(reply);
    }

    /// Forgets words that are surely stored, and remembers the others with `know`.
    pub(super) fn known_words(&mut self, mut is_new: impl FnMut(i64, i64) -> bool) {
        let Words { keys, texts } = std::mem::take(&mut self.words);
        let [indexes, codes] = keys.0;
        for ((index, code), text) in indexes.into_iter().zip(codes).zip(texts) {
            if is_new(index, code) {
                self.words.keys.push([index, code]);
                self.words.texts.push(text);
            }
        }
    }

    /// The words that may be gone when this is written.
    pub(super) fn words_gone(&self) -> impl Iterator<Item = (i64, i64)> {
        let [indexes, codes] = &self.words_gone.keys.0;
        indexes.iter().copied().zip(codes.iter().copied())
    }

    /// The statements, in an order in which they may be run.
    pub(super) fn calls(&mut self) -> Vec<Call<'_>> {
        // Neighbours of an index are written together.
        self.token.sort_unstable();
        self.span.sort_unstable();
        for row in std::mem::take(&mut self.token) {
            self.token_columns.push(row);
        }
        for row in std::mem::take(&mut self.span) {
            self.span_columns.push(row);
        }
        let mut calls = Vec::with_capacity(20);
        self.resources(&mut calls);
        self.indexes(&mut calls);
        self.beside(&mut calls);
        calls
    }

    fn resources<'c>(&'c self, calls: &mut Vec<Call<'c>>) {
        if !self.versions.is_empty() {
            let mut values = self.versions.values();
            values.push(&self.bodies);
            calls.push((
                "INSERT INTO version (seq, pk, type, version, method, updated_ms, codec, splice, \
                 bytes, body) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
                 $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], \
                 $9::bigint[], $10::bytea[])",
                values,
            ));
        }
        if !self.new.is_empty() {
            let mut values = self.new.values();
            values.extend([&self.new_ids as &(dyn ToSql + Sync), &self.new_rows]);
            calls.push((
                "INSERT INTO resource (pk, type, token, seq, version, updated_ms, deleted, \
                 fhir_id, rows) SELECT a, b, c, d, e, f, h IS NULL, g, h \
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], \
                 $5::bigint[], $6::bigint[], $7::text[], $8::bytea[]) n (a, b, c, d, e, f, g, h)",
                values,
            ));
        }
        if !self.changed.is_empty() {
            let mut values = self.changed.values();
            values.push(&self.changed_rows);
            values.push(&self.changed_ids);
            calls.push((
                "UPDATE resource r SET seq = n.b, version = n.c, updated_ms = n.d, \
                 deleted = n.e IS NULL, rows = n.e, fhir_id = n.f FROM unnest($1::bigint[], \
                 $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[]) \
                 n (a, b, c, d, e, f) WHERE r.pk = n.a",
                values,
            ));
        }
        if !self.indexed.is_empty() {
            calls.push((
                "UPDATE resource r SET rows = n.b FROM unnest($1::bigint[], $2::bytea[]) n (a, b) \
                 WHERE r.pk = n.a",
                vec![&self.indexed, &self.indexed_rows],
            ));
        }
    }

    fn indexes<'c>(&'c self, calls: &mut Vec<Call<'c>>) {
        self.token_gone.call(
            "DELETE FROM token t USING unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[]) n (a, b, c, d) \
             WHERE t.param = n.a AND t.code = n.b AND t.pk = n.c AND t.extra = n.d",
            calls,
        );
        self.token_columns.call(
            "INSERT INTO token SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[]) ON CONFLICT DO NOTHING",
            calls,
        );
        self.words.call(
            "INSERT INTO word (param, code, text) \
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING",
            calls,
        );
        self.words_gone.call(
            "DELETE FROM word w USING unnest($1::bigint[], $2::bigint[], $3::text[]) n (a, b, c) \
             WHERE w.param = n.a AND w.text = n.c AND w.code = n.b AND NOT EXISTS \
             (SELECT 1 FROM token t WHERE t.param = n.a AND t.code = n.b)",
            calls,
        );
        self.span_gone.call(
            "DELETE FROM span s USING unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[], $5::bigint[]) n (a, b, c, d, e) WHERE s.param = n.a AND s.unit = n.b \
             AND s.low = n.c AND s.pk = n.d AND s.high = n.e",
            calls,
        );
        self.span_columns.call(
            "INSERT INTO span SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[], $5::bigint[]) ON CONFLICT DO NOTHING",
            calls,
        );
        self.wide_gone.call(
            "DELETE FROM wide s USING unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[], $5::bigint[]) n (a, b, c, d, e) WHERE s.param = n.a AND s.unit = n.b \
             AND s.high = n.c AND s.pk = n.d AND s.low = n.e",
            calls,
        );
        self.wide.call(
            "INSERT INTO wide SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
             $4::bigint[], $5::bigint[]) ON CONFLICT DO NOTHING",
            calls,
        );
    }

    fn beside<'c>(&'c self, calls: &mut Vec<Call<'c>>) {
        if !self.text_gone.is_empty() {
            let sql = "DELETE FROM fulltext WHERE pk = ANY($1)";
            calls.push((sql, vec![&self.text_gone]));
        }
        let (pks, narratives, contents) = &self.text;
        if !pks.is_empty() {
            calls.push((
                "INSERT INTO fulltext SELECT a, b::tsvector, c::tsvector \
                 FROM unnest($1::bigint[], $2::text[], $3::text[]) n (a, b, c)",
                vec![pks, narratives, contents],
            ));
        }
        self.counts.call(
            "INSERT INTO counter SELECT * FROM unnest($1::bigint[], $2::bigint[]) \
             ON CONFLICT (type) DO UPDATE SET count = counter.count + excluded.count",
            calls,
        );
        if !self.outbox.is_empty() {
            let mut values = self.outbox.values();
            values.extend([
                &self.outbox_topics as &(dyn ToSql + Sync),
                &self.outbox_payloads,
            ]);
            calls.push((
                "INSERT INTO outbox (id, seq, event, topic, payload) SELECT * FROM \
                 unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[])",
                values,
            ));
        }
        let (names, events) = &self.topics;
        if !names.is_empty() {
            calls.push((
                "INSERT INTO topic SELECT * FROM unnest($1::text[], $2::bigint[]) \
                 ON CONFLICT (name) DO UPDATE SET events = excluded.events",
                vec![names, events],
            ));
        }
        if !self.deliveries.is_empty() {
            let mut values = self.deliveries.values();
            let (written, replies) = &self.delivery_bytes;
            values.extend([written as &(dyn ToSql + Sync), replies]);
            calls.push((
                "INSERT INTO delivery SELECT * FROM unnest($1::bigint[], $2::bigint[], \
                 $3::bigint[], $4::bytea[], $5::bytea[])",
                values,
            ));
        }
    }
}
