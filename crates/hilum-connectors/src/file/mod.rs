//! Folders: files in, and files out.

mod config;
mod destination;
mod folder;
mod name;
mod source;

use hilum_component::{Build, ComponentSpec, Example, Limit};

use crate::endpoint;

/// The source.
pub(crate) fn source_spec() -> ComponentSpec {
    ComponentSpec {
        name: "file",
        summary: "Takes the files of a folder, one message or batch each",
        schema: endpoint::schema::<config::SourceConfig>,
        shorthand: Some("folder"),
        examples: &[
            Example {
                title: "Watch a folder and keep what was taken",
                yaml: "file: { folder: /data/lab/in, match: '*.hl7', done: /data/lab/done, error: /data/lab/error }\n",
                effect: None,
            },
            Example {
                title: "Look every minute, oldest file first, and delete what was taken",
                yaml: "file: { folder: /data/billing, every: 1m, watch: false, order: time, delete: true, error: /data/billing-error }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "file-bytes-max",
                value: "128MB",
                beyond: "the file goes to the `error` folder, its beginning is recorded",
            },
            Limit {
                name: "look",
                value: "1000 files of a look at the folder, in order",
                beyond: "the folder is looked at again after those",
            },
            Limit {
                name: "repeats",
                value: "a file whose message is durable and that is not moved when the machine stops",
                beyond: "it is taken again; resend detection of the channel recognises HL7 v2",
            },
            Limit {
                name: "stuck",
                value: "1000 files that were taken and cannot be moved",
                beyond: "the source stops with an error until they can be",
            },
        ],
        build: Build::Source(source::build),
    }
}

/// The destination.
pub(crate) fn destination_spec() -> ComponentSpec {
    ComponentSpec {
        name: "file",
        summary: "Writes each message to a file that appears whole or not at all",
        schema: endpoint::schema::<config::DestinationConfig>,
        shorthand: Some("folder"),
        examples: &[
            Example {
                title: "One file for each message",
                yaml: "file: { folder: /data/archive, name: '{date}-{control-id}.hl7' }\n",
                effect: None,
            },
            Example {
                title: "One file for each day",
                yaml: "file: { folder: /data/export, name: '{date}.txt', append: true }\n",
                effect: None,
            },
        ],
        limits: &[
            Limit {
                name: "name",
                value: "200 bytes",
                beyond: "the name is cut before its extension",
            },
            Limit {
                name: "exists",
                value: "10,000 names with a number",
                beyond: "the message is rejected",
            },
            Limit {
                name: "append",
                value: "one writer, local file systems",
                beyond: "a crash in the middle of a write leaves a torn record that the repeat follows",
            },
        ],
        build: Build::Destination(destination::build),
    }
}
