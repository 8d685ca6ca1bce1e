//! `channels/*.test.yaml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Free, Name};

/// One test of a channel; a file holds several, divided by `---`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("x-removed" = {
    "name": "write `test: TEXT`",
    "message": "write `send:` with a file of the site or the message itself",
    "input": "write `send:` with a file of the site or the message itself"
}))]
pub(crate) struct TestFile {
    /// What is shown, as a sentence.
    pub(crate) test: String,
    /// The message: a file of the site (`samples/a01.hl7`), or the text itself as a block (`|`).
    pub(crate) send: String,
    /// Places of the message that are written before it is sent; values are literal.
    #[serde(default)]
    pub(crate) set: Free,
    /// Messages that came before it, in order: what they leave in the state is there. Each must be
    /// accepted, filtered or held; where it goes is not looked at.
    #[serde(default)]
    pub(crate) before: Vec<BeforeFile>,
    /// Named values that the source gives with the message.
    #[serde(default)]
    pub(crate) metadata: Free,
    /// The state before, by scope and key.
    #[serde(default)]
    pub(crate) state: Free,
    /// Of a channel of replies: the message that asked, written as `send` is.
    #[serde(default)]
    pub(crate) original: Option<String>,
    /// What destinations with `then` reply, each written as `send` is.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<Name, String>")]
    pub(crate) replies: Free,
    /// When it arrives, such as `2026-03-01T08:00:00Z`.
    #[serde(default)]
    pub(crate) at: Option<String>,
    /// What must come of it.
    pub(crate) expect: ExpectFile,
}

/// A message that came before the one that is tested.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct BeforeFile {
    /// The message: a file of the site (`samples/a01.hl7`), or the text itself as a block (`|`).
    pub(crate) send: String,
    /// The channel of the site that it came to; without it the channel that is tested.
    #[serde(default)]
    pub(crate) channel: Option<String>,
    /// Places of the message that are written before it is sent; values are literal.
    #[serde(default)]
    pub(crate) set: Free,
    /// Named values that the source gives with the message.
    #[serde(default)]
    pub(crate) metadata: Free,
    /// When it arrives, such as `2026-03-01T08:00:00Z`; without it as the one that is tested.
    #[serde(default)]
    pub(crate) at: Option<String>,
}

/// What must come of a message. Any other key is the name of a destination: `delivered`,
/// `not-delivered`, `dead-letter`, or paths and the values that are expected there (a list of such
/// maps where a message becomes several).
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ExpectFile {
    /// The answer: `AA`, `AE`, `AR`, `CA`, `CE`, `CR`.
    #[serde(default)]
    pub(crate) answer: Option<String>,
    /// What was noticed: a code, a path, a value (`unmapped OBX-3 ZZ9`); parts may be left out
    /// from the end. Other findings are allowed.
    #[serde(default)]
    pub(crate) flags: Option<Vec<String>>,
    /// A step lets the message end; the reason contains this text.
    #[serde(default)]
    pub(crate) filtered: Option<String>,
    /// The message is not for this channel; the reason contains this text.
    #[serde(default)]
    pub(crate) refused: Option<String>,
    /// The message is at fault; the reason contains this text.
    #[serde(default)]
    pub(crate) rejected: Option<String>,
    /// The message waits; the reason contains this text.
    #[serde(default)]
    pub(crate) held: Option<String>,
    /// Named values of the message afterwards (those of `index:` too).
    #[serde(default)]
    pub(crate) metadata: Option<Free>,
    /// The state afterwards, by scope and key; `null` for one that is removed.
    #[serde(default)]
    pub(crate) state: Option<Free>,
    /// How many deliveries there are in all.
    #[serde(default)]
    pub(crate) deliveries: Option<u64>,
    /// What comes of each of the `replies` in the channel that gets it: the same keys again.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<Name, ExpectFile>")]
    pub(crate) then: Free,
    /// What each destination gets.
    #[serde(flatten)]
    pub(crate) destinations: Free,
}

/// Keys of `expect:` that are no destinations.
pub(crate) const EXPECT_KEYS: [&str; 10] = [
    "answer",
    "flags",
    "filtered",
    "refused",
    "rejected",
    "held",
    "metadata",
    "state",
    "deliveries",
    "then",
];
