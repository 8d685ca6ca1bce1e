//! What `ready` promises: whoever waited for the line finds every channel there.

use std::fmt::Write as _;

use hilum_testkit::http::HttpClient;
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;

use crate::kit::{Running, get};
use crate::text;

/// Enough that some would not have begun if nobody waited for them.
const CHANNELS: usize = 40;

#[tokio::test]
async fn every_channel_takes_messages_when_the_line_is_there() {
    let [admin, at] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let node = format!("site: many\nadmin: 127.0.0.1:{admin}\n");
    folder.file("site/hilum.yaml", node).unwrap();
    for number in 0..CHANNELS {
        let mut channel =
            format!("channel: c{number}\nabout: One of many\nowner: us@example.org\n");
        write!(
            channel,
            "from: {{ http: {{ listen: \"127.0.0.1:{at}\", path: /c{number} }} }}\nformat: raw\nto:\n  \
             out: {{ file: {{ folder: out, name: '{{id}}' }} }}\n"
        )
        .unwrap();
        let file = format!("site/channels/c{number}.yaml");
        folder.file(&file, channel).unwrap();
    }
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    std::fs::create_dir(site.join("out")).unwrap();
    let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
    let line = node.line();
    assert!(line.contains("ready"), "{line}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], at));
    let mut client = HttpClient::connect(address).await.unwrap();
    // The last ones first: they were started last.
    for number in (0..CHANNELS).rev() {
        let line = format!("POST /c{number}");
        let answer = client.exchange(&line, &[], b"message").await.unwrap();
        assert_eq!(answer.status(), Some(200), "{line}");
    }
    let ready = get(&format!("127.0.0.1:{admin}"), "/ready");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains(r#""failed":[]"#),
        "{ready}"
    );
    node.terminate();
    node.end();
}
