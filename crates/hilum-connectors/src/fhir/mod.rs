//! FHIR R4: resources to and from a store of this node, or a server elsewhere over HTTP.
//!
//! A local store is asked in the same words as a server elsewhere, without a socket; see
//! [`hilum_component::FhirPort`].

mod ask;
mod config;
mod destination;
mod follow;
mod judge;
mod notified;
mod peek;
mod peer;
mod source;
mod tag;
mod untimed;

use hilum_component::{Build, ComponentSpec, Example, Limit};

use crate::endpoint;

/// The source.
pub(crate) fn source_spec() -> ComponentSpec {
    ComponentSpec {
        name: "fhir",
        summary: "Takes the resources that were created or changed on a FHIR server",
        schema: endpoint::schema::<config::SourceConfig>,
        shorthand: Some("from"),
        examples: &[
            Example {
                title: "Changes of the node's own store",
                yaml: "fhir: { from: local, types: [Observation] }\n",
                effect: None,
            },
            Example {
                title: "Deletions as well, from the first change on",
                yaml: "fhir: { from: local, types: [Patient, Coverage], on: [create, update, delete], start: beginning }\n",
                effect: None,
            },
            Example {
                title: "New results of a server elsewhere, and what corrects or withdraws them",
                yaml: "fhir:\n  from: https://ehr.example/fhir\n  types: [DiagnosticReport]\n  query: category=LAB\n  bearer: env:EHR_TOKEN\n  start: '2026-01-01T00:00:00Z'\n",
                effect: None,
            },
            Example {
                title: "A look whenever a subscription of the server calls, and every hour",
                yaml: "fhir:\n  from: https://ehr.example/fhir\n  types: [Encounter]\n  every: 1h\n  notifications:\n    listen: 0.0.0.0:8444\n    path: /encounters\n    tls: { certificate: tls/hub.crt, key: tls/hub.key }\n    key: { header: authorization, secret: env:HOOK_KEY }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "notifications",
                value: "calls at one path, without content or with a Bundle",
                beyond: "a server that puts resources below the path (R4 rest-hook with a payload) is answered 404: leave its `payload` out",
            },
            Limit {
                name: "changes of a store of this node",
                value: "each once, in order",
                beyond: "what was erased before it was taken is left out, and so is an update after which the resource no longer matches `query`",
            },
            Limit {
                name: "changes between two looks at a server elsewhere",
                value: "the last of each resource",
                beyond: "a version that was replaced before the next look is not seen",
            },
            Limit {
                name: "deletions elsewhere",
                value: "none",
                beyond: "a search does not find what was deleted",
            },
            Limit {
                name: "subscriptions elsewhere",
                value: "none",
                beyond: "the Subscription that calls `notifications` is made there by its owner",
            },
            Limit {
                name: "overlap",
                value: "5s",
                beyond: "a change that the server shows later than this after its `lastUpdated` is missed",
            },
            Limit {
                name: "page-bytes",
                value: "50MB",
                beyond: "the look failed, and is made again",
            },
            Limit {
                name: "repeats of a server elsewhere",
                value: "a page whose messages are durable when the machine stops before the cursor is kept",
                beyond: "it is read again",
            },
        ],
        build: Build::Source(source::build),
    }
}

/// The destination.
pub(crate) fn destination_spec() -> ComponentSpec {
    ComponentSpec {
        name: "fhir",
        summary: "Stores each message, a resource or Bundle, on a FHIR server",
        schema: endpoint::schema::<config::DestinationConfig>,
        shorthand: Some("to"),
        examples: &[
            Example {
                title: "The node's own store",
                yaml: "fhir: local\n",
                effect: None,
            },
            Example {
                title: "A server elsewhere, where the identifier of a resource says which one it is",
                yaml: "fhir:\n  to: https://ehr.example/fhir\n  interaction: conditional-update\n  bearer: env:EHR_TOKEN\n",
                effect: None,
            },
            Example {
                title: "A system of systems/ with `addresses: { fhir: ... }`",
                yaml: "fhir: { system: ehr, status: { '409': retry } }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "repeats",
                value: "none: a store of this node knows the delivery, a server elsewhere finds its tag",
                beyond: "with `once: false`, on a server that ignores `If-None-Exist`, and in a transaction or create in XML a repeat may create twice",
            },
            Limit {
                name: "connections",
                value: "4, and 32 to a store of this node",
                beyond: "deliveries wait for a connection",
            },
            Limit {
                name: "local-room",
                value: "32MB of messages under way to a store of this node",
                beyond: "deliveries wait; a message larger than that goes alone",
            },
            Limit {
                name: "answer-within",
                value: "20s",
                beyond: "the attempt failed, the destination tries again",
            },
            Limit {
                name: "reply",
                value: "10MB of the response",
                beyond: "the status counts, the body is not kept",
            },
            Limit {
                name: "local-bytes",
                value: "50MB, without attachments of 256 kB and more",
                beyond: "a store of this node rejects the message",
            },
            Limit {
                name: "local-attachment-bytes",
                value: "1GB of such attachments in one message",
                beyond: "a store of this node rejects the message",
            },
            Limit {
                name: "batches",
                value: "a batch of which an entry failed is rejected",
                beyond: "the other entries were done: a replay does them again",
            },
        ],
        build: Build::Destination(destination::build),
    }
}
