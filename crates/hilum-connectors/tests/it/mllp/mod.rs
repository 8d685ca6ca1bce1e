//! MLLP: the suite, the framing of real senders, peers that fail.

mod destination;
mod listening;
mod source;
mod streams;
mod tls;

use std::net::SocketAddr;

use bytes::Bytes;
use hilum_component::BoxFuture;
use hilum_component::conformance::{
    DestinationRig, PeerMood, Said, SourceRig, check_destination, check_source,
};
use hilum_component::{Destination, Source};
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::mllp::{Behaviour, Client, Reaction, Receiver};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;

pub(crate) fn message(number: u64) -> Bytes {
    Synthetic::new(Event::Admit, number, number).build().into()
}

struct Peers;

impl SourceRig for Peers {
    fn source(&self) -> Box<dyn Source> {
        crate::source("mllp", &json!({ "listen": "0" }))
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn send<'a>(
        &'a self,
        address: Option<&'a str>,
        messages: Vec<Bytes>,
    ) -> BoxFuture<'a, Vec<Said>> {
        Box::pin(async move {
            let mut client = Client::connect(address.unwrap()).await.unwrap();
            let mut said = Vec::new();
            for message in messages {
                said.push(match client.exchange(&message).await {
                    Ok(answer) if answer == b"yes"[..] => Said::Yes,
                    Ok(_) => Said::No,
                    Err(_) => Said::Nothing,
                });
            }
            said
        })
    }

    fn send_and_vanish<'a>(
        &'a self,
        address: Option<&'a str>,
        message: Bytes,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut client = Client::connect(address.unwrap()).await.unwrap();
            client.send(&message).await.unwrap();
            client.finish().await.unwrap();
        })
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(&Peers).await;
}

struct Destinations {
    receiver: Mutex<Receiver>,
    address: SocketAddr,
}

impl DestinationRig for Destinations {
    fn destination(&self) -> Arc<dyn Destination> {
        let address = self.address.to_string();
        crate::destination(
            "mllp",
            &json!({ "address": address, "answer-within": "300ms" }),
        )
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut receiver = self.receiver.lock().await;
            let usual = match mood {
                PeerMood::Accepts => Reaction::Answer("AA"),
                PeerMood::Refuses => Reaction::Answer("AR"),
                PeerMood::Silent => Reaction::Nothing,
                PeerMood::Away => return receiver.down().await,
            };
            receiver.behave(Behaviour::always(usual));
            receiver.up().await.unwrap();
        })
    }

    fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
        Box::pin(async move {
            let receiver = self.receiver.lock().await;
            receiver
                .received()
                .into_iter()
                .filter_map(|one| one.bytes)
                .collect()
        })
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    let receiver = Receiver::start().await.unwrap();
    let address = receiver.address();
    check_destination(&Destinations {
        receiver: Mutex::new(receiver),
        address,
    })
    .await;
}
