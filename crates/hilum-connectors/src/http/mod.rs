//! HTTP/1.1: a server that takes messages, a client that sends them.

mod auth;
pub(crate) mod client;
pub(crate) mod config;
mod destination;
mod handler;
mod server;
pub(crate) mod source;
pub(crate) mod way;

use hilum_component::{Build, ComponentSpec, Example, Limit};

use crate::endpoint;

/// The source.
pub(crate) fn source_spec() -> ComponentSpec {
    ComponentSpec {
        name: "http",
        summary: "Takes messages from HTTP requests at a path",
        schema: endpoint::schema::<config::SourceConfig>,
        shorthand: None,
        examples: &[
            Example {
                title: "Requests with a key",
                yaml: "http:\n  listen: 0.0.0.0:8443\n  path: /results\n  tls: { certificate: tls/hub.crt, key: tls/hub.key }\n  key: { header: x-api-key, secret: env:RESULTS_KEY }\n",
                effect: None,
            },
            Example {
                title: "Basic authentication, and a header kept beside the message",
                yaml: "http:\n  listen: 127.0.0.1:8080\n  path: /orders\n  basic: { user: portal, password: env:PORTAL_PASSWORD }\n  metadata: { origin: header:x-origin, run: query:run }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "body-max",
                value: "64MB",
                beyond: "413, the beginning of the body is recorded",
            },
            Limit {
                name: "read-within",
                value: "60s",
                beyond: "408, and the connection is closed",
            },
            Limit {
                name: "connections",
                value: "100 of a listener",
                beyond: "a further connection is closed at once",
            },
            Limit {
                name: "headers",
                value: "100 headers, 30 s to send them",
                beyond: "431 or the connection is closed",
            },
            Limit {
                name: "room",
                value: "what the disk has",
                beyond: "507 for a body whose content cannot be stored; 503 where nothing can",
            },
            Limit {
                name: "encodings",
                value: "bodies as they are",
                beyond: "a compressed body is answered 415",
            },
            Limit {
                name: "versions",
                value: "HTTP/1.1",
                beyond: "HTTP/2 is not offered",
            },
        ],
        build: Build::Source(source::build),
    }
}

/// The destination.
pub(crate) fn destination_spec() -> ComponentSpec {
    ComponentSpec {
        name: "http",
        summary: "Sends each message as the body of an HTTP request",
        schema: endpoint::schema::<config::DestinationConfig>,
        shorthand: Some("system"),
        examples: &[
            Example {
                title: "Post to a system of systems/ with a bearer token",
                yaml: "http: { system: portal, bearer: env:PORTAL_TOKEN }\n",
                effect: None,
            },
            Example {
                title: "An address of its own, headers, and a status that counts as delivered",
                yaml: "http:\n  url: https://archive.example/messages\n  method: put\n  headers: { x-site: st-elsewhere, x-ward: '{meta.ward}' }\n  status: { '409': delivered }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "connections",
                value: "1",
                beyond: "deliveries wait for a connection",
            },
            Limit {
                name: "answer-within",
                value: "20s",
                beyond: "the attempt failed, the destination tries again",
            },
            Limit {
                name: "reply",
                value: "1MB of the response",
                beyond: "the status counts, the body is not kept",
            },
            Limit {
                name: "redirects",
                value: "none",
                beyond: "a redirect halts the destination: the address is wrong",
            },
        ],
        build: Build::Destination(destination::build),
    }
}
