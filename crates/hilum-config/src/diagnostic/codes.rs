//! What each code means, for `hilum explain` and the pages of the reference.

use serde::Serialize;

/// More about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it is wrong and what to do.
    pub text: &'static str,
    /// How it looks.
    pub wrong: &'static str,
    /// How it is written instead.
    pub right: &'static str,
}

/// The explanation of a code.
#[must_use]
pub fn explain(code: &str) -> Option<&'static Explanation> {
    all()
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(code))
}

/// All explanations, by code.
#[must_use]
pub fn all() -> &'static [Explanation] {
    &CODES
}

macro_rules! codes {
    ($($code:literal $title:literal $text:literal $wrong:literal => $right:literal)*) => {
        [$(Explanation { code: $code, title: $title, text: $text, wrong: $wrong, right: $right }),*]
    };
}

static CODES: [Explanation; CODES_COUNT] = codes! {
"E0001" "the file is not YAML"
"Files are YAML 1.2. The usual causes are a tab as indentation, a missing space after `:`, and a value that holds `[`, `{`, `: ` or ` #` without quotes. Inside `{ … }` and `[ … ]` commas and brackets end a value, so an expression with them needs quotes there."
"set: { PID-5[1].7: 'L' }" => "set:\n  PID-5[1].7: \"'L'\""
"E0002" "a key stands twice"
"The second value would silently win, so neither is taken."
"from: { mllp: { listen: 0.0.0.0:2575 } }\nfrom: { file: { folder: in } }" => "from: { mllp: { listen: 0.0.0.0:2575 } }"
"E0003" "anchors, aliases and tags are not read"
"They make a value depend on a place elsewhere and can make a small file endlessly large. What several channels share belongs in `systems/`, `alerts.yaml` or `hilum.yaml`."
"retry: &slow { first: 10s }" => "retry: { first: 10s }"
"E0004" "the file or the list of problems is too large"
"A YAML file has at most 1 MB, 48 levels and 200000 values. Tables belong in CSV files below `tables/`."
"(a channel file of 3 MB)" => "translate: { field: OBX-3, table: tables/codes.csv }"
"E0005" "a file cannot be read"
"The file is missing, the program may not read it, or it is not UTF-8."
"(a file saved as Windows-1252)" => "(the same file saved as UTF-8)"
"E0006" "the folder is not that of a site"
"A site is a folder with `hilum.yaml` in it. `hilum init` makes one."
"hilum check ." => "hilum check st-elsewhere"
"E0101" "a key is not known"
"Keys are written in small letters with `-`. Every key that may stand at a place is in the reference and in the editor schema (`hilum schema`)."
"acknowlege: received" => "acknowledge: received"
"E0102" "a key or a part is missing"
"The part cannot work without it, and there is no default that would be safe."
"channel: adt" => "channel: adt\nformat: hl7v2\nfrom: { mllp: { listen: 127.0.0.1:2575 } }"
"E0103" "a value is of another kind"
"A text stands where a list is expected, a map where a number is expected, or the like. A text of digits needs quotes only where a text and a number are both possible."
"steps: { filter: PV1-3.exists() }" => "steps:\n  - filter: PV1-3.exists()"
"E0104" "a value is not one of those that are known"
"Only certain words have a meaning here."
"acknowledge: sent" => "acknowledge: delivered"
"E0105" "a number, text or list is out of bounds"
"The limit is part of the key's description in the reference."
"connections: 0" => "connections: 1"
"E0106" "a key has a successor"
"The key was removed, or it is the word that other programs use for this."
"destinations: []" => "to: {}"
"E0107" "there is no such system"
"Every system that a channel names has a file in `systems/`. The name is that of the file."
"mllp: { system: ehrr }" => "mllp: { system: ehr }"
"E0108" "there is no such component"
"The reference lists the sources, steps and destinations that this program has. Some are only part of a program that was built with them."
"from: { mlp: { listen: 0.0.0.0:2575 } }" => "from: { mllp: { listen: 0.0.0.0:2575 } }"
"E0109" "one component is needed here"
"A source, a step and a destination each name exactly one component; an alert rule has exactly one condition."
"to:\n  ehr: { when: MSH-11 = 'P' }" => "to:\n  ehr: { mllp: { system: ehr }, when: MSH-11 = 'P' }"
"E0110" "a duration needs a number and a unit"
"Units are ms, s, m, h and d. Fractions are written in the smaller unit."
"retry: { first: 2 }" => "retry: { first: 2s }"
"E0111" "a size needs a number and a unit"
"Units are B, kB, MB and GB, of 1000 each."
"queue-bytes-max: 10 gb" => "queue-bytes-max: 10GB"
"E0112" "an expression cannot be compiled"
"Expressions are FHIRPath; paths such as `PID-5[1].7` may stand in them where the messages are HL7 v2. A text constant needs quotes inside the quotes of YAML."
"set: { MSH-5: \"EHR'\" }" => "set: { MSH-5: \"'EHR'\" }"
"E0113" "a path cannot be written to"
"The place is written in the way of the channel's format."
"set: { PID-: \"'x'\" }" => "set: { PID-8: \"'F'\" }"
"E0114" "a file of the site is missing"
"Tables, scripts, profiles and samples are named by their path from the site's folder."
"script: split-notes.js" => "script: scripts/split-notes.js"
"E0115" "a file lies outside the folder"
"Everything that a plan depends on lies in the folder, so that one commit of it says what runs. Paths with `..`, absolute paths and links that lead out are refused."
"table: ../codes.csv" => "table: tables/codes.csv"
"E0116" "a secret stands in clear text"
"The folder is kept in version control and shown to many. A secret is named by `env:NAME` (a variable of the environment) or `file:PATH`. A secret that was once committed must be changed."
"password: hunter2" => "password: env:EHR_PASSWORD"
"E0117" "a secret is not there"
"The reference is good, but the variable is not set or the file is not there where the check ran."
"password: env:EHR_PASSWORT" => "password: env:EHR_PASSWORD"
"E0118" "a component does not take its configuration"
"The component itself found the mistake while it was built; the message is its own."
"translate: { field: OBX-3, table: tables/empty.csv }" => "translate: { field: OBX-3, table: tables/codes.csv }"
"E0119" "a name cannot be used"
"Names of channels, systems, destinations, topics and fields have small letters, digits, `-` and `.`, at most 64, beginning with a letter or digit."
"channel: Lab Results" => "channel: lab-results"
"E0120" "an address needs a host and a port"
"Addresses of version 6 stand in brackets."
"admin: \"26600\"" => "admin: 127.0.0.1:26600"
"E0121" "the management API and the FHIR server listen on loopback only"
"They know no users yet, so whoever reaches them may do everything. Reach them from elsewhere through a tunnel."
"admin: 0.0.0.0:26600" => "admin: 127.0.0.1:26600"
"E0122" "the hours of an alert rule cannot be read"
"Days, hours and, if need be, a time zone: `weekdays 07:00-19:00`, `sat,sun 08:00-12:00 Europe/Berlin`. They go with `no-message-for` only."
"during: workdays" => "during: weekdays 07:00-19:00"
"E0123" "the answer and the destinations it waits for do not agree"
"`acknowledge: delivered` needs `answer-after`, and `answer-after` means nothing without it."
"acknowledge: delivered" => "acknowledge: delivered\nanswer-after: [ehr]"
"E0124" "the longest delay is shorter than the first"
"The delay between attempts doubles from `first` to `longest`."
"retry: { first: 1m, longest: 30s }" => "retry: { first: 30s, longest: 1m }"
"E0125" "a FHIR package cannot be used, or not wholly"
"A package is a `.tgz` for FHIR R4 as the registry of FHIR has it, with a `package.json`. Nothing is fetched, so what it is built on has to be in the list too. A warning names packages that are missing, whose value sets are then not checked."
"packages: [packages/hl7.fhir.au.core-1.0.0.tgz]" => "packages: [packages/hl7.fhir.au.base-5.0.0.tgz, packages/hl7.fhir.au.core-1.0.0.tgz]"
"E0126" "the time zone of a system is not known"
"Times that a system sends without an offset are in its zone, named as in the IANA time zone database. The machine that checks must know it (`tzdata`)."
"zone: CET+1" => "zone: Europe/Berlin"
"E0201" "name and file do not agree"
"A channel, a system and an environment have the name of their file, so that each is found and none is there twice."
"channel: lab   # in channels/lab-results.yaml" => "channel: lab-results"
"E0202" "a port is taken"
"Two listeners of one site cannot use one port."
"from: { mllp: { listen: 0.0.0.0:2575 } }   # in two channels" => "from: { mllp: { listen: 0.0.0.0:2576 } }"
"E0203" "there is no such destination"
"`answer-after`, alert rules and `route` name destinations of their own channel."
"answer-after: [her]" => "answer-after: [ehr]"
"E0204" "there is no such channel"
"`then` and environments name channels by the name of their file."
"then: order-replys" => "then: order-replies"
"E0205" "there is no such format"
"The reference lists the formats that this program has."
"format: hl7" => "format: hl7v2"
"E0206" "messages would go round, or a topic is the engine's"
"Channels that publish and subscribe in a circle send each message round until the limit of 16 hops. `hilum.alerts` is published by the engine alone."
"from: { topic: results }\nto: { back: { topic: results } }" => "to: { next: { topic: results-checked } }"
"E0207" "a channel takes no replies"
"`then` names a channel whose source is `reply`."
"from: { mllp: { listen: 0.0.0.0:2577 } }" => "from: { reply: {} }"
"E0208" "a test node would reach production"
"Systems marked `production: true` are reached only by nodes marked so. An environment lays other addresses over them; an address that the folder marks as production stays so in every environment."
"production: false   # in hilum.yaml, with a system in production" => "systems: { ehr: { production: false, addresses: { mllp: 10.9.0.9:2575 } } }"
"E0209" "there is no such environment"
"An environment is a file in `environments/`."
"hilum run site --environment tset" => "hilum run site --environment test"
"E0211" "there is no such order domain"
"`patient`, `visit` and `order` are shared across channels, `channel` is one lane for the channel. Anything else is an expression."
"order: patients" => "order: patient"
"E0212" "a queue cannot be taken over"
"`was:` names a destination that is gone, and only one destination takes its queue."
"ehr: { mllp: { system: ehr }, was: store }" => "ehr: { mllp: { system: ehr }, was: old-ehr }"
"E0213" "a step cannot stand among a destination's own"
"`route` chooses between destinations, and a message can only wait before it is delivered anywhere. A destination has `when:` for its own condition."
"ehr: { mllp: { system: ehr }, steps: [ { route: … } ] }" => "ehr: { mllp: { system: ehr }, when: MSH-11 = 'P' }"
"E0214" "a reply cannot be handed over"
"A topic gives no reply. The channels that ask one channel of replies have one format, which is that of `%original` there."
"board: { topic: results, then: answers }" => "board: { mllp: { system: board }, then: answers }"
"E0301" "a test is not understood"
"`send:` names a file of the site or holds the message as a block; `at:` is a time such as 2026-03-01T08:00:00Z; the file beside it is the channel that is tested."
"send: sample.hl7" => "send: samples/oru-k-final.hl7"
"W0301" "nobody subscribes to a topic"
"What is published there is settled at once and goes nowhere."
"dashboard: { topic: result }" => "dashboard: { topic: results }"
"W0302" "nobody publishes on a topic, or asks"
"The channel will never get a message."
"from: { topic: result }" => "from: { topic: results }"
"W0303" "no system is named"
"Without it nobody knows whose habits, owner and production mark hold, and `hilum impact` does not find the channel."
"from: { mllp: { listen: 0.0.0.0:2575 } }" => "from: { mllp: { system: lis, listen: 0.0.0.0:2575 } }"
"W0304" "indexes count from 1 and from 0 in one expression"
"Inside a path of HL7 v2 `[1]` is the first, after a function of FHIRPath `[0]` is."
"PID-3[1] = PID-3.where(…)[1]" => "PID-3[1] = PID-3.where(…).first()"
"W0305" "`=` compares a path that may have several values"
"Two values are never equal to one, so the condition is false as soon as the field repeats."
"PID-3.4 = 'HOSP'" => "PID-3.4.exists($this = 'HOSP')"
"W0306" "`!=` compares a path that may be absent"
"Where the field is absent the condition is empty, which counts as false."
"PV1-2 != 'I'" => "(PV1-2 = 'I').not()"
"W0307" "an expression is doubtful"
"It compiles, but likely does not mean what it says."
"(see the message)" => "(see the message)"
"W0308" "a system is not used"
"No channel names it."
"(systems/old-lis.yaml)" => "from: { mllp: { system: old-lis, listen: 0.0.0.0:2575 } }"
"W0309" "a lone word is not a text"
"In an expression a word is the name of an element; YAML's own quotes do not make it a text."
"MSH-5: 'EHR'" => "MSH-5: \"'EHR'\""
"W0310" "a file is not read"
"Files of a site end in `.yaml`."
"channels/adt.yml" => "channels/adt.yaml"
"W0311" "a channel goes nowhere"
"Its messages are checked, kept and found again, but delivered to nobody."
"to: {}" => "to:\n  ehr: { mllp: { system: ehr } }"
"W0312" "a key has no effect"
"`required` makes a failure of the destination's own steps fail the whole message; without such steps nothing can fail. An application answer goes as it is to whoever asked for it."
"ehr: { mllp: { system: ehr }, required: true }" => "ehr: { mllp: { system: ehr } }"
"W0313" "a file of a step needs a look"
"A step was given a file that asks for more than the step can do, such as a conformance profile with programs of its own; the step works without that part. Or it was given a code table of high risk in which rows count that nobody approved."
"validate: { profile: profiles/elr.xml, constraints: profiles/with-plug-ins.xml }" => "validate: { profile: profiles/elr.xml, constraints: profiles/constraints.xml }"
"W0314" "a path likely names nothing"
"No version of the standard has the segment or the field; segments of one's own begin with `Z`. Segments are written in capitals: `pid-3` is a subtraction."
"filter: pv1-3.1.exists()" => "filter: PV1-3.1.exists()"
};

/// The number of rows above, which a static array must know.
const CODES_COUNT: usize = 60;
