//! The tables, as in SQLite: see `sqlite/schema.rs` for what they mean.
//!
//! What is different: the one row of `store` holds what SQLite keeps in `meta`, and whoever locks it
//! is the writer, across processes; `writer` says which group of a process was the last that was
//! committed, which decides the fate of one whose connection was lost.
//!
//! What programs on one schema agree on is only here: `store.watched` counts the changes of what makes
//! events, `lease` says who does a work that one of them does, and `told` up to which event each
//! topic was told.
//!
//! Texts compare by their bytes (`COLLATE "C"`), as in SQLite. Long URIs are cut in `word`, because
//! an entry of an index has less than 3 kB; the hash is of the whole text.

use super::link::Link;
use crate::error::StoreError;

/// Steps of the schema, each applied once.
pub(super) const STEPS: &[&str] = &[
    r#"
CREATE TABLE store (one boolean PRIMARY KEY CHECK (one), version bigint NOT NULL,
  index_key bytea NOT NULL, cursor_key bytea NOT NULL, seq bigint NOT NULL,
  updated_ms bigint NOT NULL, outbox bigint NOT NULL, names bigint NOT NULL);
CREATE TABLE writer (id bigint PRIMARY KEY, batch bigint NOT NULL, at_ms bigint NOT NULL);
CREATE TABLE type (id bigint PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE param (id bigint PRIMARY KEY, type bigint NOT NULL, code text COLLATE "C" NOT NULL,
  kind bigint NOT NULL, building bigint NOT NULL, UNIQUE (type, code));
CREATE TABLE counter (type bigint PRIMARY KEY, count bigint NOT NULL);
CREATE TABLE resource (
  pk bigint PRIMARY KEY, type bigint NOT NULL, token bigint NOT NULL, seq bigint NOT NULL,
  version bigint NOT NULL, updated_ms bigint NOT NULL, deleted boolean NOT NULL,
  fhir_id text COLLATE "C" NOT NULL, rows bytea);
CREATE INDEX resource_token ON resource (token);
CREATE INDEX resource_type ON resource (type, pk) WHERE NOT deleted;
CREATE TABLE version (
  seq bigint PRIMARY KEY, pk bigint NOT NULL, type bigint NOT NULL, version bigint NOT NULL,
  method bigint NOT NULL, updated_ms bigint NOT NULL, codec bigint NOT NULL,
  dictionary bigint, key bigint, splice bigint NOT NULL, bytes bigint NOT NULL, body bytea);
ALTER TABLE version ALTER body SET STORAGE EXTERNAL;
CREATE INDEX version_later ON version (pk, version) WHERE seq <> pk;
CREATE INDEX version_type ON version (type, seq);
CREATE TABLE token (param bigint NOT NULL, code bigint NOT NULL, pk bigint NOT NULL,
  extra bigint NOT NULL, PRIMARY KEY (param, code, pk, extra))
  WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE TABLE word (param bigint NOT NULL, text text COLLATE "C" NOT NULL, code bigint NOT NULL,
  PRIMARY KEY (param, text, code));
CREATE TABLE span (param bigint NOT NULL, unit bigint NOT NULL, low bigint NOT NULL,
  pk bigint NOT NULL, high bigint NOT NULL, PRIMARY KEY (param, unit, low, pk, high))
  WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE TABLE wide (param bigint NOT NULL, unit bigint NOT NULL, high bigint NOT NULL,
  pk bigint NOT NULL, low bigint NOT NULL, PRIMARY KEY (param, unit, high, pk, low));
CREATE TABLE fulltext (pk bigint PRIMARY KEY, narrative tsvector NOT NULL,
  content tsvector NOT NULL);
CREATE INDEX fulltext_narrative ON fulltext USING gin (narrative);
CREATE INDEX fulltext_content ON fulltext USING gin (content);
CREATE TABLE reindex (position bigint NOT NULL, until bigint NOT NULL, done bigint NOT NULL,
  total bigint NOT NULL, finished boolean NOT NULL);
CREATE TABLE outbox (id bigint PRIMARY KEY, seq bigint NOT NULL, topic text COLLATE "C" NOT NULL,
  event bigint NOT NULL, payload bytea NOT NULL, UNIQUE (topic, event));
CREATE TABLE topic (name text COLLATE "C" PRIMARY KEY, events bigint NOT NULL);
CREATE TABLE delivery (token bigint PRIMARY KEY, first bigint NOT NULL, last bigint NOT NULL,
  written bytea NOT NULL, reply bytea NOT NULL);
CREATE TABLE job (id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, state bigint NOT NULL,
  seq bigint NOT NULL, created_ms bigint NOT NULL, changed_ms bigint NOT NULL,
  request bytea NOT NULL, progress bytea NOT NULL);
CREATE INDEX delivery_last ON delivery (last)"#,
    r#"
ALTER TABLE reindex ADD COLUMN began_ms bigint NOT NULL DEFAULT 0,
  ADD COLUMN whole boolean NOT NULL DEFAULT false"#,
    r#"
ALTER TABLE store ADD watched bigint NOT NULL DEFAULT 0;
CREATE TABLE lease (name text COLLATE "C" PRIMARY KEY, holder bigint NOT NULL,
  node bigint NOT NULL, tenure bigint NOT NULL, until timestamptz NOT NULL);
CREATE TABLE told (topic text COLLATE "C" PRIMARY KEY, event bigint NOT NULL)"#,
    r#"
CREATE TABLE content (id bigint PRIMARY KEY, uses bigint NOT NULL, at_ms bigint NOT NULL);
CREATE INDEX content_unused ON content (at_ms) WHERE uses = 0;
CREATE TABLE part (content bigint NOT NULL, part bigint NOT NULL, codec bigint NOT NULL,
  bytes bigint NOT NULL, body bytea NOT NULL, PRIMARY KEY (content, part));
ALTER TABLE part ALTER body SET STORAGE EXTERNAL"#,
    "UPDATE store SET version = version",
];

/// The key of the advisory lock under which one process at a time makes tables.
const LOCK: &str =
    "SELECT pg_advisory_xact_lock(1212763206, hashtext(current_setting('search_path')))";

/// The keys of a store.
pub(super) struct Keys {
    pub(super) index: Vec<u8>,
    pub(super) cursor: Vec<u8>,
}

/// Makes the schema and its tables as far as they are missing, and gives the keys; `fresh` are
/// those of a new store.
pub(super) fn prepare(link: &mut Link, schema: &str, fresh: &Keys) -> Result<Keys, StoreError> {
    link.query("BEGIN", &[])?;
    link.query(LOCK, &[])?;
    let encoding = link.query("SHOW server_encoding", &[])?;
    if encoding
        .first()
        .is_some_and(|row| row.get::<_, &str>(0) != "UTF8")
    {
        return Err(StoreError::Invalid(
            "the database does not keep text as UTF-8",
        ));
    }
    // Who may not make schemas can use one that is there.
    let known = "SELECT 1::bigint FROM pg_namespace WHERE nspname = $1";
    if link.query(known, &[&schema])?.is_empty() {
        link.batch(&format!("CREATE SCHEMA \"{schema}\""))?;
    }
    let there = "SELECT 1::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = 'store'";
    let version = if link.query(there, &[&schema])?.is_empty() {
        0
    } else {
        link.number("SELECT version FROM store", &[])?
    };
    let newest = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > newest {
        return Err(StoreError::Invalid("a newer program wrote this store"));
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        link.batch(step)?;
    }
    if version == 0 {
        let new = "INSERT INTO store VALUES (true, $1, $2, $3, 0, 0, 0, 0)";
        link.query(new, &[&newest, &fresh.index, &fresh.cursor])?;
    } else if version < newest {
        link.query("UPDATE store SET version = $1", &[&newest])?;
    }
    let keys = link.query("SELECT index_key, cursor_key FROM store", &[])?;
    link.query("COMMIT", &[])?;
    let keys = keys
        .first()
        .ok_or(StoreError::Invalid("a store without keys"))?;
    Ok(Keys {
        index: keys.get(0),
        cursor: keys.get(1),
    })
}
