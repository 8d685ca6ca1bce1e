//! Without TLS: binding, limits, allow-lists, connecting.

use std::time::Duration;

use hilum_net::{AllowList, ConnectOptions, Connector, HostPort, ListenOptions, Listener};
use hilum_testkit::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Echo, talk, to};

#[tokio::test]
async fn a_listener_without_a_host_is_reached_over_loopback_only() {
    let listener = Listener::bind(ListenOptions::new(HostPort::listen("0").unwrap()))
        .await
        .unwrap();
    assert!(listener.local_address().ip().is_loopback());
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let echo = Echo::start(|_| {}).await;
    talk(to(echo.port)).await.unwrap();
}

#[tokio::test]
async fn a_bind_error_names_the_address_and_the_remedy() {
    let first = Listener::bind(ListenOptions::new(HostPort::listen("0").unwrap()))
        .await
        .unwrap();
    let address = first.local_address();
    let again = ListenOptions::new(address.to_string().parse().unwrap());
    let error = Listener::bind(again).await.unwrap_err();
    assert_eq!(
        error.chain(),
        format!("listen on {address}: the address is in use")
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains(&format!("sport = :{}", address.port())),
        "{hint}"
    );

    let elsewhere = ListenOptions::new("192.0.2.1:0".parse().unwrap());
    let error = Listener::bind(elsewhere).await.unwrap_err();
    assert!(
        error.hint().unwrap().contains("no such address"),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn a_peer_that_is_not_allowed_is_closed_before_anything_is_read() {
    let echo =
        Echo::start(|options| options.allow = AllowList::new(&["192.0.2.0/24"]).unwrap()).await;
    talk(to(echo.port)).await.unwrap_err();
    assert!(echo.seen().is_empty());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_its_place_comes_free() {
    let mut options = ListenOptions::new(HostPort::listen("0").unwrap());
    options.connections_max = 2;
    let listener = Listener::bind(options).await.unwrap();
    let address = listener.local_address();
    let connect = || tokio::net::TcpStream::connect(address);

    let (_first, _second) = (connect().await.unwrap(), connect().await.unwrap());
    let first = listener.accept().await.handshake().await.unwrap();
    let _held = listener.accept().await.handshake().await.unwrap();
    let mut third = connect().await.unwrap();
    let fourth = async {
        // The third is closed without a byte, and only then the first gives its place back.
        assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!((listener.refused(), listener.open()), (1, 2));
        drop(first);
        connect().await.unwrap()
    };
    let (_fourth, accepted) =
        wait::within("a place", async { tokio::join!(fourth, listener.accept()) }).await;
    drop(accepted.handshake().await.unwrap());
    assert_eq!(listener.open(), 1);
}

#[tokio::test]
async fn a_refused_connect_says_so() {
    let port = hilum_testkit::ports::free_port().unwrap();
    let error = Connector::new(to(port))
        .unwrap()
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error.code(), "connect-refused");
    assert_eq!(
        error.chain(),
        format!("connect to localhost:{port}: refused")
    );
    assert!(error.hint().unwrap().contains("nothing listens"));
}

#[tokio::test]
async fn a_connect_ends_in_its_time() {
    // A listener whose backlog is full answers no further connect.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut options = ConnectOptions::new(HostPort {
        host: "127.0.0.1".to_owned(),
        port,
    });
    options.within = Duration::from_millis(200);
    let connector = Connector::new(options).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match connector.connect().await {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
        assert!(held.len() < 64, "the backlog never fills");
    };
    assert_eq!(
        error.to_string(),
        format!("connect to 127.0.0.1:{port} timed out after 0.200 s")
    );
    assert_eq!(error.code(), "connect-timeout");
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let options = ConnectOptions::new("no-such-host.invalid:2575".parse().unwrap());
    let error = Connector::new(options)
        .unwrap()
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(error.code(), "resolve" | "connect-timeout"),
        "{}",
        error.chain()
    );
    assert!(error.to_string().contains("no-such-host.invalid:2575"));
}

#[tokio::test]
async fn a_kept_connection_tells_whether_it_can_be_used_again() {
    let listener = Listener::bind(ListenOptions::new(HostPort::listen("0").unwrap()))
        .await
        .unwrap();
    let connector = Connector::new(to(listener.local_address().port())).unwrap();
    let (ours, theirs) = tokio::join!(connector.connect(), listener.accept());
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.handshake().await.unwrap());
    assert!(ours.stream.is_quiet());
    theirs.stream.write_all(b"late").await.unwrap();
    // `peek` waits until the bytes are there without taking them.
    if let hilum_net::Stream::Plain(tcp) = &ours.stream {
        tcp.peek(&mut [0; 4]).await.unwrap();
    }
    assert!(!ours.stream.is_quiet());
    let mut rest = Vec::new();
    drop(theirs);
    ours.stream.read_to_end(&mut rest).await.unwrap();
    assert!(
        !ours.stream.is_quiet(),
        "a closed connection is not to be used"
    );
}
