//! HL7 v2 over TCP in the framing of the Minimal Lower Layer Protocol (HL7 v2 transport
//! specification, MLLP releases 1 and 2).

mod answer;
mod config;
mod connection;
mod destination;
mod line;
mod source;
mod wire;

use hilum_component::{Build, ComponentSpec, Example, Limit};

use crate::endpoint;

/// The source.
pub(crate) fn source_spec() -> ComponentSpec {
    ComponentSpec {
        name: "mllp",
        summary: "Receives HL7 v2 messages over MLLP, listening or connecting",
        schema: endpoint::schema::<config::SourceConfig>,
        shorthand: None,
        examples: &[
            Example {
                title: "Listen for a laboratory system",
                yaml: "mllp: { system: lis, listen: 0.0.0.0:2575 }\n",
                effect: None,
            },
            Example {
                title: "Listen with TLS for peers that show a certificate",
                yaml: "mllp:\n  listen: 0.0.0.0:2576\n  allow: [10.0.4.0/24]\n  tls: { certificate: tls/hub.crt, key: tls/hub.key, ca: tls/peers.pem }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "connections",
                value: "100",
                beyond: "a further connection is closed at once and counted",
            },
            Limit {
                name: "frame-bytes-max",
                value: "128MB",
                beyond: "it is answered AR and its beginning is recorded; after as much again the connection is closed",
            },
            Limit {
                name: "idle",
                value: "1d",
                beyond: "a connection without a message for so long is closed",
            },
            Limit {
                name: "pipeline",
                value: "64 messages of a connection that have no answer yet",
                beyond: "further ones wait in the socket",
            },
            Limit {
                name: "junk",
                value: "64kB of bytes outside of frames on a connection",
                beyond: "the connection is closed; of any junk the first 4 kB are recorded",
            },
        ],
        build: Build::Source(source::build),
    }
}

/// The destination.
pub(crate) fn destination_spec() -> ComponentSpec {
    ComponentSpec {
        name: "mllp",
        summary: "Sends HL7 v2 messages over MLLP, connecting or listening, and waits for their answers",
        schema: endpoint::schema::<config::DestinationConfig>,
        shorthand: Some("system"),
        examples: &[
            Example {
                title: "Send to a system of systems/",
                yaml: "mllp: { system: ehr }\n",
                effect: None,
            },
            Example {
                title: "Four connections and a longer time to answer",
                yaml: "mllp: { system: ehr, connections: 4, answer-within: 60s }\n",
                effect: None,
            },
            Example {
                title: "Wait for a peer that calls to fetch its messages",
                yaml: "mllp: { system: ehr, listen: 0.0.0.0:2580, allow: [10.0.4.17] }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "connections",
                value: "1",
                beyond: "deliveries wait for a connection, each carries one message at a time; with `listen` a further one is closed at once",
            },
            Limit {
                name: "answer-within",
                value: "20s",
                beyond: "the attempt failed, its connection is closed, the destination tries again",
            },
            Limit {
                name: "answer-bytes",
                value: "1MB",
                beyond: "the destination halts: that is no answer",
            },
        ],
        build: Build::Destination(destination::build),
    }
}
