//! The tables.
//!
//! - `resource` has one small row for each resource that ever existed, with its searchable form in
//!   `rows`; `pk` is the number of the change that created it.
//! - `version` has one row for each change, written once: bodies lie in the order of `seq` and are
//!   never moved, so an update writes one body and reads none. The current body of a resource is
//!   the row that `resource.seq` names; nothing that searches reads this table before the matches
//!   of the page are known.
//! - `token`, `span` and `wide` are clustered by value and found by prefix: equality, intervals by
//!   their lower end, long intervals by their upper end. Within one value they are in the order of
//!   `pk`, which is what paging and intersecting walk along.
//! - The last step changes nothing: a body may have something beside it from then on (`body.rs`), which
//!   an older program cannot read and must not open.
//! - `param.building`: 0 complete, 1 waits for a reindex, 2 is part of the one that runs, 3 retired.
//! - `fulltext` finds words of narratives and of whole resources; it keeps no text itself. A
//!   resource has a row only if its writer gave text.
//! - `word` names each distinct text of a parameter once; its rows are tokens. Text repeats (names,
//!   displays, profiles), so this is smaller than a table of strings, sorts, and makes `:contains`
//!   look at distinct words only. A word without rows is removed at once.
//! - `content` has one row for each content apart (`content.rs`): how many versions name it, and when
//!   it was first written. Its bytes lie in the rows of `part`, which are in the order of writing.
//! - `outbox` has one row for each event; `topic` counts the events that each topic ever had, in the
//!   transaction that writes the event, so their numbers have no gaps. Numbers are never given out
//!   again, also when every row was trimmed.

use hilum_db::Schema;

/// A store's file.
pub(super) const STORE: Schema = Schema {
    application_id: 0x4849_4C46,
    steps: &["
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('index-key', randomblob(16)), ('cursor-key', randomblob(32)),
  ('seq', 0), ('updated-ms', 0);
CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE param (id INTEGER PRIMARY KEY, type INTEGER NOT NULL, code TEXT NOT NULL,
  kind INTEGER NOT NULL, building INTEGER NOT NULL, UNIQUE (type, code));
CREATE TABLE counter (type INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, type INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE resource (
  pk INTEGER PRIMARY KEY, type INTEGER NOT NULL, token INTEGER NOT NULL, seq INTEGER NOT NULL,
  version INTEGER NOT NULL, updated_ms INTEGER NOT NULL, deleted INTEGER NOT NULL,
  fhir_id TEXT NOT NULL, rows BLOB);
CREATE INDEX resource_token ON resource (token);
CREATE INDEX resource_type ON resource (type) WHERE deleted = 0;
CREATE TABLE version (
  seq INTEGER PRIMARY KEY, pk INTEGER NOT NULL, type INTEGER NOT NULL, version INTEGER NOT NULL,
  method INTEGER NOT NULL, updated_ms INTEGER NOT NULL, codec INTEGER NOT NULL,
  dictionary INTEGER, key INTEGER, splice INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB);
CREATE INDEX version_later ON version (pk, version) WHERE seq <> pk;
CREATE INDEX version_type ON version (type);
CREATE TABLE token (param INTEGER NOT NULL, code INTEGER NOT NULL, pk INTEGER NOT NULL,
  extra INTEGER NOT NULL, PRIMARY KEY (param, code, pk, extra)) WITHOUT ROWID;
CREATE TABLE word (param INTEGER NOT NULL, text TEXT NOT NULL, code INTEGER NOT NULL,
  PRIMARY KEY (param, text)) WITHOUT ROWID;
CREATE TABLE span (param INTEGER NOT NULL, unit INTEGER NOT NULL, low INTEGER NOT NULL,
  pk INTEGER NOT NULL, high INTEGER NOT NULL, PRIMARY KEY (param, unit, low, pk, high)) WITHOUT ROWID;
CREATE TABLE wide (param INTEGER NOT NULL, unit INTEGER NOT NULL, high INTEGER NOT NULL,
  pk INTEGER NOT NULL, low INTEGER NOT NULL, PRIMARY KEY (param, unit, high, pk, low)) WITHOUT ROWID;
CREATE VIRTUAL TABLE fulltext USING fts5(narrative, content, content = '',
  contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');
CREATE TABLE reindex (position INTEGER NOT NULL, until INTEGER NOT NULL, done INTEGER NOT NULL,
  total INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE outbox (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, topic TEXT NOT NULL,
  payload BLOB NOT NULL);
CREATE TABLE delivery (token INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,
  written BLOB NOT NULL, reply BLOB NOT NULL)", "
CREATE TABLE job (id TEXT PRIMARY KEY, kind TEXT NOT NULL, state INTEGER NOT NULL,
  seq INTEGER NOT NULL, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,
  request BLOB NOT NULL, progress BLOB NOT NULL) WITHOUT ROWID", "
DROP TABLE outbox;
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL,
  topic TEXT NOT NULL, event INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE UNIQUE INDEX outbox_event ON outbox (topic, event);
CREATE TABLE topic (name TEXT PRIMARY KEY, events INTEGER NOT NULL) WITHOUT ROWID", "
CREATE INDEX delivery_last ON delivery (last)", "
ALTER TABLE reindex ADD COLUMN began_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reindex ADD COLUMN whole INTEGER NOT NULL DEFAULT 0", "
CREATE TABLE content (id INTEGER PRIMARY KEY, uses INTEGER NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX content_unused ON content (at_ms) WHERE uses = 0;
CREATE TABLE part (content INTEGER NOT NULL, part INTEGER NOT NULL, codec INTEGER NOT NULL,
  bytes INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (content, part))", "
UPDATE meta SET value = value WHERE name = 'seq'"],
};
