//! Waiting for a condition instead of for a time.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// How long a condition may take before the test fails; generous, because it costs nothing when
/// the condition comes true.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; after [`PATIENCE`] panics with `what`.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "still waiting after {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The value of `future`; after [`PATIENCE`] panics with `what`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("still waiting after {PATIENCE:?}: {what}"),
    }
}

/// A loopback port that was free a moment ago, for programs that must be told one. Prefer port 0
/// wherever the program can say which port it got.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
