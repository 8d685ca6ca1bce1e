//! Large messages for a store of the node.

use bytes::Bytes;
use hilum_component::Class;
use hilum_component::conformance::delivery;
use hilum_message::{BlobRange, BlobRef, Cut, Payload};
use serde_json::json;

use crate::fhir::{Store, send};

#[tokio::test]
async fn what_is_too_large_for_a_store_of_the_node_is_refused_and_the_limit_named() {
    let store = Store::open();
    let destination = store.destination(&json!({ "to": "local", "tenant": "ward" }));
    let refused = async |payload: Payload| {
        let mut one = delivery(7, "");
        one.payload = payload;
        let error = send(&*destination, one).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Reject, "fhir-too-large"));
        error.to_string()
    };
    let text = |bytes: usize| -> Bytes {
        let (head, tail) = (r#"{"resourceType":"Basic","implicitRules":""#, r#""}"#);
        let filling = "x".repeat(bytes - head.len() - tail.len());
        format!("{head}{filling}{tail}").into()
    };
    let told = refused(Payload::inline(text(50_000_001))).await;
    assert!(told.contains("`local-bytes`, 50000000"), "{told}");
    let range = BlobRange {
        blob: BlobRef {
            partition: "p".into(),
            name: "b".into(),
        },
        offset: 0,
        length: 1_000_000_001,
    };
    let told = refused(Payload::with_cuts(text(100), vec![Cut { at: 30, range }])).await;
    assert!(
        told.contains("`local-attachment-bytes`, 1000000000"),
        "{told}"
    );
    assert!(store.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_blob_that_cannot_be_read_halts_the_destination() {
    let store = Store::open();
    store.answers(500, None);
    let destination = store.destination(&json!({ "to": "local", "tenant": "ward" }));
    let range = BlobRange {
        blob: BlobRef {
            partition: "p".into(),
            name: "gone".into(),
        },
        offset: 0,
        length: 4,
    };
    let text = r#"{"resourceType":"Binary","contentType":"a/b","data":""}"#;
    let mut one = delivery(7, "");
    one.payload = Payload::with_cuts(
        text.into(),
        vec![Cut {
            at: text.len() - 2,
            range,
        }],
    );
    let error = send(&*destination, one.clone()).await.unwrap_err();
    // Nobody has read it yet.
    assert_eq!(error.class, Class::Retry);
    *store.reads.lock().unwrap() = true;
    let error = send(&*destination, one).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Halt, "fhir-blob"));
}
