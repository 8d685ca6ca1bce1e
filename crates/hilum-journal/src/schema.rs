//! The tables of the three kinds of files.
//!
//! A partition opens alone: names, dictionaries and plans that its rows refer to lie in it.

use hilum_db::Schema;

/// `journal-<utc-day>-<n>.db` and `pinned.db`.
pub(crate) const PARTITION: Schema = Schema {
    application_id: 0x4849_4C4A,
    steps: &["
CREATE TABLE name (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, channel TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE message (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, channel INTEGER NOT NULL,
  arrived_ms INTEGER NOT NULL, committed_ms INTEGER NOT NULL, disposition INTEGER NOT NULL,
  kind INTEGER, plan INTEGER, peer INTEGER, origin INTEGER, tokens BLOB,
  control_id TEXT, reason TEXT, parent BLOB, part INTEGER, replay_of BLOB, hold BLOB,
  metadata BLOB, reads BLOB, findings BLOB, resend BLOB, answer BLOB, answer_bytes INTEGER,
  codec INTEGER NOT NULL, dictionary INTEGER, key INTEGER, text_bytes INTEGER NOT NULL,
  total_bytes INTEGER NOT NULL, sum INTEGER NOT NULL, place INTEGER, cuts BLOB, body BLOB,
  outbound BLOB);
CREATE INDEX placed ON message (seq) WHERE place IS NOT NULL;
CREATE TABLE delivery (
  seq INTEGER NOT NULL, ordinal INTEGER NOT NULL, destination INTEGER NOT NULL,
  state INTEGER NOT NULL, priority INTEGER NOT NULL, bytes INTEGER NOT NULL,
  attempts INTEGER NOT NULL, sum INTEGER NOT NULL, keys BLOB, reason TEXT,
  PRIMARY KEY (seq, ordinal)) WITHOUT ROWID;
CREATE INDEX pending ON delivery (destination, seq, ordinal, bytes) WHERE state = 0;
CREATE INDEX dead ON delivery (destination, seq, ordinal) WHERE state = 2;
CREATE TABLE attempt (
  seq INTEGER NOT NULL, ordinal INTEGER NOT NULL, n INTEGER NOT NULL,
  started_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, outcome INTEGER NOT NULL,
  reason TEXT, codec INTEGER, dictionary INTEGER, reply_bytes INTEGER, reply BLOB,
  sum INTEGER NOT NULL,
  PRIMARY KEY (seq, ordinal, n)) WITHOUT ROWID;
CREATE TABLE work (seq INTEGER PRIMARY KEY);
CREATE TABLE once (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE blob (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, bytes INTEGER NOT NULL,
  digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE state_log (seq INTEGER PRIMARY KEY, sum INTEGER NOT NULL, changes BLOB NOT NULL);
CREATE TABLE tally (
  hour INTEGER NOT NULL, name INTEGER NOT NULL, what INTEGER NOT NULL, count INTEGER NOT NULL,
  bytes INTEGER NOT NULL, PRIMARY KEY (hour, name, what)) WITHOUT ROWID"],
};

/// `control.db`.
pub(crate) const CONTROL: Schema = Schema {
    application_id: 0x4849_4C43,
    steps: &["
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('folded', 0), ('sequence', 0), ('index-key', randomblob(16));
CREATE TABLE state (
  scope TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
  expires_ms INTEGER, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE INDEX state_expiry ON state (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE timer (
  channel TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, due_ms INTEGER NOT NULL,
  PRIMARY KEY (channel, scope, key)) WITHOUT ROWID;
CREATE INDEX timer_due ON timer (due_ms);
CREATE TABLE pinned (partition TEXT PRIMARY KEY) WITHOUT ROWID"],
};

/// `journal-<utc-day>-<n>.idx`: can be rebuilt from its partition at any time.
pub(crate) const INDEX: Schema = Schema {
    application_id: 0x4849_4C49,
    steps: &["
CREATE TABLE run (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, rows INTEGER NOT NULL);
CREATE TABLE block (run INTEGER NOT NULL, key BLOB NOT NULL, entries BLOB NOT NULL,
  PRIMARY KEY (run, key)) WITHOUT ROWID;
CREATE TABLE reached (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL,
  clean INTEGER NOT NULL);
INSERT INTO reached VALUES (1, 0, 0)"],
};

/// Kinds of names in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum NameKind {
    Channel = 1,
    /// Channel, a zero byte, destination.
    Destination = 2,
    Plan = 3,
    Peer = 4,
    MessageType = 5,
}

impl NameKind {
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Channel,
            2 => Self::Destination,
            3 => Self::Plan,
            4 => Self::Peer,
            5 => Self::MessageType,
            _ => return None,
        })
    }
}
