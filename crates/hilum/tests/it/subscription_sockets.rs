//! Subscriptions over websockets: clients that connect to the FHIR server.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use hilum_testkit::wait::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::subscriptions::{Node, TOPIC, observation, told};

/// A client of websockets.
struct Client(WebSocketStream<TcpStream>);

/// Asks for a websocket; gives the head of the answer.
async fn upgrade(site: &Node, headers: &str) -> (TcpStream, String) {
    let address = SocketAddr::from(([127, 0, 0, 1], site.fhir));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /fhir/websocket HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the answer", stream.read_u8()).await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

impl Client {
    async fn connect(site: &Node) -> Self {
        let (stream, head) = upgrade(site, "").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let heard = async {
            loop {
                if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                    return text.to_string();
                }
            }
        };
        within("a message", heard).await
    }
}

fn socket(id: &str, criteria: &str) -> Value {
    json!({
        "resourceType": "Subscription", "id": id, "status": "requested", "reason": "test",
        "criteria": criteria, "channel": {"type": "websocket"},
    })
}

#[tokio::test]
async fn a_client_of_websockets_hears_what_it_is_bound_to_and_what_it_missed() {
    let site = Node::new();
    let node = site.run();
    site.put(&socket("pings", "Observation")).await;
    let mut topical = socket("results", TOPIC);
    topical["channel"]["payload"] = "application/fhir+json".into();
    site.put(&topical).await;
    let mut client = Client::connect(&site).await;
    for (said, heard) in [
        ("hello", "error say"),
        ("bind nothing", "error there is no"),
        ("bind results", "error a subscription to a topic"),
        ("bind-with-token guessed", "error the token"),
        ("bind pings", "bound pings"),
    ] {
        client.say(said).await;
        let answer = client.hear().await;
        assert!(answer.starts_with(heard), "{said}: {answer}");
    }
    site.put(&observation("r1", "2823-3")).await;
    assert_eq!(client.hear().await, "ping pings");
    drop(client);

    // What happens while nobody is connected waits, and comes in order.
    site.put(&observation("r2", "2823-3")).await;
    let token = site.get("Subscription/results/$get-ws-binding-token").await;
    let value = |name: &str, kind: &str| {
        let mut all = token["parameter"].as_array().unwrap().iter();
        let found = all.find(|parameter| parameter["name"] == name).unwrap();
        found[kind].as_str().unwrap().to_owned()
    };
    let url = format!("ws://127.0.0.1:{}/fhir/websocket", site.fhir);
    assert_eq!(value("websocket-url", "valueUrl"), url);
    let mut client = Client::connect(&site).await;
    let bind = format!("bind-with-token {}", value("token", "valueString"));
    client.say(&bind).await;
    let mut bundles = Vec::new();
    for _ in 0..3 {
        bundles.push(serde_json::from_str::<Value>(&client.hear().await).unwrap());
    }
    let kinds: Vec<Value> = bundles.iter().map(|bundle| told(bundle, "type")).collect();
    assert_eq!(
        kinds,
        ["handshake", "event-notification", "event-notification"]
    );
    let number = |bundle: &Value| told(bundle, "notification-event")[0]["valueString"].clone();
    assert_eq!(number(&bundles[1]), "1");
    assert_eq!(number(&bundles[2]), "2");

    // One token for several.
    let mut more = socket("more", TOPIC);
    more["channel"]["payload"] = "application/fhir+json".into();
    site.put(&more).await;
    let token = site
        .get("Subscription/$get-ws-binding-token?id=results&id=more")
        .await;
    let parameters = token["parameter"].as_array().unwrap();
    let of = parameters
        .iter()
        .filter(|one| one["name"] == "subscription");
    let of: Vec<&Value> = of.map(|one| &one["valueString"]).collect();
    assert_eq!(of, ["results", "more"]);
    let mut client = Client::connect(&site).await;
    let token = parameters[0]["valueString"].as_str().unwrap();
    client.say(&format!("bind-with-token {token}")).await;
    let mut named = Vec::new();
    for _ in 0..2 {
        let bundle = serde_json::from_str::<Value>(&client.hear().await).unwrap();
        assert_eq!(told(&bundle, "type"), "handshake");
        let of = told(&bundle, "subscription")["reference"]
            .as_str()
            .unwrap()
            .to_owned();
        named.push(of.rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(named, ["results", "more"]);

    // A page of another origin may not listen in.
    let (_, head) = upgrade(&site, "Origin: https://evil.example\r\n").await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    node.terminate();
    node.end();
}
