//! Messages in: limits, junk, pipelines, large bodies, peers that are called.

use std::time::Duration;

use hilum_component::Disposition;
use hilum_component::conformance::{FakeIntake, FakeSite};
use hilum_testkit::mllp::{Client, framed};
use hilum_testkit::wait;
use serde_json::{Value, json};

use super::message;
use crate::{Running, source, source_factory};

async fn started(config: Value) -> Running {
    Running::start(source("mllp", &config), FakeIntake::new()).await
}

async fn client(running: &Running) -> Client {
    Client::connect(&running.address).await.unwrap()
}

#[tokio::test]
async fn pipelined_messages_are_taken_together_and_answered_in_order() {
    let running = started(json!({ "listen": "0" })).await;
    running.intake.respond(|number, _| {
        let answers: [&'static [u8]; 5] = [b"1", b"2", b"3", b"4", b"5"];
        FakeIntake::reply(number, Disposition::Accepted, answers[number as usize - 1])
    });
    running.intake.hold();
    let mut client = client(&running).await;
    let all: Vec<u8> = (1..=5)
        .flat_map(|number| framed(&message(number)))
        .collect();
    client.send_raw(&all).await.unwrap();
    // All five are under way before the first is answered.
    running.intake.wait_for(5).await;
    running.intake.release();
    for answer in [b"1", b"2", b"3", b"4", b"5"] {
        assert_eq!(client.receive().await.unwrap().unwrap(), answer[..]);
    }
    assert!((1..=5).map(message).eq(running.intake.contents()));
    running.stop().await;
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let running = started(json!({ "listen": "0" })).await;
    let mut client = client(&running).await;
    for byte in framed(&message(1)) {
        client.send_raw(&[byte]).await.unwrap();
    }
    assert_eq!(client.receive().await.unwrap().unwrap(), b"yes"[..]);
    assert!(running.intake.contents() == [message(1)]);
    running.stop().await;
}

#[tokio::test]
async fn another_protocol_on_the_port_is_closed_at_once_and_recorded() {
    let running = started(json!({ "listen": "0" })).await;
    for hello in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
    ] {
        let mut client = client(&running).await;
        client.send_raw(hello).await.unwrap();
        let closed = wait::within("the close", client.receive()).await;
        assert!(closed.map_or(true, |frame| frame.is_none()));
    }
    let junk = running.intake.junk();
    assert_eq!(junk.len(), 2);
    assert_eq!(junk[0].0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]);
    assert!(running.intake.arrivals().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn junk_before_a_frame_is_recorded_up_to_4_kb_and_the_frame_is_taken() {
    let running = started(json!({ "listen": "0" })).await;
    let mut client = client(&running).await;
    client.send_raw(&[b'x'; 5000]).await.unwrap();
    assert_eq!(client.exchange(&message(1)).await.unwrap(), b"yes"[..]);
    let junk = running.intake.junk();
    assert_eq!((junk.len(), junk[0].0.len(), junk[0].1), (1, 4096, 5000));
    running.stop().await;
}

#[tokio::test]
async fn endless_junk_ends_the_connection() {
    let running = started(json!({ "listen": "0" })).await;
    let mut client = client(&running).await;
    // The peer may close before everything is written.
    drop(client.send_raw(&[b'x'; 200_000]).await);
    let closed = wait::within("the close", client.receive()).await;
    assert!(closed.map_or(true, |frame| frame.is_none()));
    wait::until("the record", || running.intake.junk().len() == 1).await;
    assert!(running.intake.junk()[0].1 > 64_000);
    running.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_one_at_the_limit_is_taken() {
    let running = started(json!({ "listen": "0", "frame-bytes-max": "1000B" })).await;
    let mut fits = message(1).to_vec();
    fits.resize(1000, b'x');
    let mut talker = client(&running).await;
    assert_eq!(talker.exchange(&fits).await.unwrap(), b"yes"[..]);
    fits.push(b'x');
    // The connection goes on behind the message that was refused.
    assert_eq!(talker.exchange(&fits).await.unwrap(), b"no"[..]);
    assert_eq!(talker.exchange(&message(2)).await.unwrap(), b"yes"[..]);
    let refused = running.intake.refused().remove(0);
    assert!(
        refused.first == fits && refused.total == 1001,
        "{refused:?}"
    );
    // Also where it came in the middle of others.
    let stream = [framed(&message(3)), framed(&fits), framed(&message(4))].concat();
    talker.send_raw(&stream).await.unwrap();
    for answer in [b"yes".as_slice(), b"no", b"yes"] {
        assert_eq!(talker.receive().await.unwrap().unwrap(), answer);
    }
    assert_eq!(running.intake.arrivals().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_message_without_end_is_answered_and_then_closed() {
    let running = started(json!({ "listen": "0", "frame-bytes-max": "600kB" })).await;
    let mut talker = client(&running).await;
    let mut endless = framed(&message(1));
    endless.truncate(endless.len() - 2);
    endless.extend_from_slice(b"OBX|1|ED|");
    endless.resize(600_100, b'A');
    talker.send_raw(&endless).await.unwrap();
    let answer = wait::within("the answer", talker.receive()).await;
    assert_eq!(answer.unwrap().unwrap(), b"no"[..], "before it has ended");
    let refused = running.intake.refused().remove(0);
    assert!(refused.first.starts_with(b"MSH|") && refused.first.len() <= 4096);
    // As much again is read over; then the peer is closed.
    while talker.send_raw(&[b'A'; 10_000]).await.is_ok() {}
    assert_eq!(running.intake.refused().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_long_field_goes_to_a_blob_and_a_frame_that_breaks_off_leaves_none() {
    let running = started(json!({ "listen": "0" })).await;
    let mut large = message(1).to_vec();
    large.extend_from_slice(b"OBX|1|ED|X^Y^L||^application^pdf^Base64^");
    large.extend(std::iter::repeat_n(b'A', 700_000));
    large.extend_from_slice(b"||||||F\rOBX|2|ED|X^Y^L||^application^pdf^Base64^");
    large.extend(std::iter::repeat_n(b'B', 300_000));
    large.extend_from_slice(b"||||||F\r");
    let mut client = client(&running).await;
    assert_eq!(client.exchange(&large).await.unwrap(), b"yes"[..]);
    let arrival = running.intake.arrivals().remove(0);
    assert_eq!(arrival.payload.cuts().len(), 2);
    assert!(arrival.payload.text().len() < 1000, "{:?}", arrival.payload);
    assert_eq!(arrival.payload.len(), large.len() as u64);
    assert!(running.intake.contents()[0] == large);

    let half = framed(&large);
    client.send_raw(&half[..half.len() - 100]).await.unwrap();
    client.finish().await.unwrap();
    wait::until("the record", || running.intake.junk().len() == 1).await;
    let (first, count, _) = running.intake.junk().remove(0);
    assert!(first.starts_with(b"MSH|") && first.len() <= 4096);
    assert_eq!(count, half.len() as u64 - 101);
    assert_eq!(running.intake.arrivals().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_answered_no_until_there_is_room() {
    let running = started(json!({ "listen": "0" })).await;
    running.intake.fill_disk();
    let mut large = message(1).to_vec();
    large.extend(std::iter::repeat_n(b'A', 700_000));
    let mut talker = client(&running).await;
    assert_eq!(talker.exchange(&large).await.unwrap(), b"no"[..]);
    assert_eq!(talker.exchange(&message(2)).await.unwrap(), b"yes"[..]);
    assert!(running.intake.refused()[0].first.starts_with(b"MSH|"));
    running.intake.clear_disk();
    assert_eq!(talker.exchange(&large).await.unwrap(), b"yes"[..]);
    assert_eq!(running.intake.arrivals().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = started(json!({ "listen": "0", "idle": "50ms" })).await;
    let mut client = client(&running).await;
    assert_eq!(client.exchange(&message(1)).await.unwrap(), b"yes"[..]);
    assert!(
        wait::within("the close", client.receive())
            .await
            .unwrap()
            .is_none()
    );
    running.stop().await;
}

#[tokio::test]
async fn release_2_confirms_before_it_answers() {
    let running = started(json!({ "listen": "0", "release": "r2" })).await;
    let mut client = client(&running).await;
    assert_eq!(client.exchange(&message(1)).await.unwrap(), b"\x06"[..]);
    assert_eq!(client.receive().await.unwrap().unwrap(), b"yes"[..]);
    running.intake.respond(|_, _| hilum_component::Reply {
        disposition: Disposition::Failed,
        answer: None,
        reason: None,
        message: None,
    });
    assert_eq!(client.exchange(&message(2)).await.unwrap(), b"\x15"[..]);
    running.stop().await;
}

#[tokio::test]
async fn unframed_messages_are_taken_where_that_is_configured() {
    let running = started(json!({ "listen": "0", "unframed": true })).await;
    let mut client = client(&running).await;
    client.send_raw(&framed(&message(1))[1..]).await.unwrap();
    assert_eq!(client.receive().await.unwrap().unwrap(), b"yes"[..]);
    assert!(running.intake.contents() == [message(1)]);
    running.stop().await;
}

#[tokio::test]
async fn a_frame_whose_last_cr_never_comes_is_taken_after_a_moment() {
    let running = started(json!({ "listen": "0" })).await;
    let mut client = client(&running).await;
    let frame = framed(&message(1));
    client.send_raw(&frame[..frame.len() - 1]).await.unwrap();
    assert_eq!(
        wait::within("the answer", client.receive())
            .await
            .unwrap()
            .unwrap(),
        b"yes"[..]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_waits_to_be_called_is_called_again_after_it_was_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let running = started(json!({ "connect": address })).await;
    for number in 1..=2 {
        let (stream, _) = wait::within("the call", listener.accept()).await.unwrap();
        let mut peer = Client::over(stream);
        assert_eq!(peer.exchange(&message(number)).await.unwrap(), b"yes"[..]);
    }
    assert!(running.intake.contents() == [message(1), message(2)]);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_peer_keeps_nobody_waiting() {
    let running = started(json!({ "listen": "0", "connections": 2 })).await;
    let mut slow = client(&running).await;
    slow.send_raw(&framed(&message(1))[..10]).await.unwrap();
    let mut quick = client(&running).await;
    for number in 2..=20 {
        assert_eq!(quick.exchange(&message(number)).await.unwrap(), b"yes"[..]);
    }
    let mut third = client(&running).await;
    assert!(
        third.exchange(&message(21)).await.is_err(),
        "two connections are open"
    );
    slow.send_raw(&framed(&message(1))[10..]).await.unwrap();
    assert_eq!(slow.receive().await.unwrap().unwrap(), b"yes"[..]);
    tokio::time::timeout(Duration::from_secs(5), running.stop())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_is_not_named_is_not_let_in() {
    let running = started(json!({ "listen": "0", "allow": ["10.0.0.0/8", "192.168.4.7"] })).await;
    let mut stranger = client(&running).await;
    assert!(stranger.exchange(&message(1)).await.is_err());
    assert!(running.intake.arrivals().is_empty());
    running.stop().await;
    let running = started(json!({ "listen": "0", "allow": ["127.0.0.0/8"] })).await;
    let mut known = client(&running).await;
    assert_eq!(known.exchange(&message(1)).await.unwrap(), b"yes"[..]);
    running.stop().await;
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = source_factory("mllp", &config, &FakeSite::default())
            .err()
            .unwrap();
        assert!(
            problems
                .iter()
                .any(|p| p.key == key && p.message.contains(expected)),
            "{config}: {problems:?}"
        );
    };
    check(json!({}), &[], "either `listen` or `connect`");
    check(
        json!({ "listen": "0", "connect": "a:1" }),
        &[],
        "either `listen` or `connect`",
    );
    check(json!({ "listen": "lab:x" }), &["listen"], "no address");
    check(
        json!({ "listen": "0", "allow": ["lab-2"] }),
        &["allow"],
        "no address or network",
    );
    check(
        json!({ "listen": "0", "system": "lis" }),
        &["system"],
        "no such system",
    );
    check(
        json!({ "listen": "0", "tls": {} }),
        &["tls"],
        "needs a certificate",
    );
    check(
        json!({ "listen": "0", "tls": { "key": "k" } }),
        &["tls"],
        "belong together",
    );
    let absent = json!({ "listen": "0", "tls": { "key": "k", "certificate": "absent.crt" } });
    check(absent, &["tls"], "absent.crt");
    check(json!({ "listen": "0", "port": 1 }), &[], "unknown field");
}
