//! A resource with large content as the body of an answer: the content is read from the store part by
//! part as the client takes it, packed on the way.

use std::io;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::lines::Packer;
use crate::request::Coding;
use crate::write::Large;

/// The body; it ends with an error if a part cannot be read, so that the client sees it is not
/// whole.
pub(super) fn body(large: Large, coding: Option<Coding>) -> io::Result<Channel<Bytes, io::Error>> {
    let (sender, body) = Channel::new(1);
    let packer = Packer::new(coding)?;
    tokio::spawn(send(large, packer, sender));
    Ok(body)
}

async fn send(large: Large, mut packer: Packer, mut sender: Sender<Bytes, io::Error>) {
    let (text, places) = large.text();
    let text = Bytes::from(text);
    let mut from = 0;
    for (at, apart) in places {
        let before = text.slice(from.min(text.len())..at.min(text.len()));
        if !give(&mut packer, &mut sender, before).await {
            return;
        }
        from = at + apart.span as usize;
        for part in 0.. {
            match large.store.part(&apart, part).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => {
                    if !give(&mut packer, &mut sender, bytes).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "an attachment cannot be given to a FHIR client");
                    return sender.abort(io::Error::other(error));
                }
            }
        }
    }
    let rest = text.slice(from.min(text.len())..);
    if !give(&mut packer, &mut sender, rest).await {
        return;
    }
    match packer.finish() {
        Ok(last) => drop(sender.send_data(last.into()).await),
        Err(error) => sender.abort(error),
    }
}

/// Sends some bytes; false if nobody takes them.
async fn give(packer: &mut Packer, sender: &mut Sender<Bytes, io::Error>, bytes: Bytes) -> bool {
    let packed = match packer {
        Packer::Plain => Ok(bytes),
        Packer::Gzip(_) | Packer::Zstd(_) => packer.pack(&bytes).map(Bytes::from),
    };
    match packed {
        Ok(packed) if packed.is_empty() => true,
        Ok(packed) => sender.send_data(packed).await.is_ok(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be packed");
            false
        }
    }
}
