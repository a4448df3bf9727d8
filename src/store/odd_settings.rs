//! Odd configurations, for every field of every kind of store behind HTTP: refused, or a request that fails; never a panic, and
//! never a host that was not named.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::contract::entries::host;
use super::{Store, StoreSpec, adapter};
use crate::error::Code;

/// Values that are no name, no address, no key, or too much of one.
const ODD: [&str; 38] = [
    "",
    " ",
    "a b",
    "\u{e4}",
    "a%b",
    "%",
    "%zz",
    "a:b",
    "a#",
    "#",
    "a?b",
    "a@b",
    "@",
    "127.0.0.1:9#",
    "a/b",
    "a\\b",
    ".",
    "..",
    "a..b",
    "-a",
    "a-",
    "xn--a",
    "a.xn--b",
    "1.2.3",
    "1.2.3.4",
    "[::1]",
    "a\u{0}b",
    "a\nb",
    "a\r\nx: y",
    "\"a\"",
    "<a>",
    "{a}",
    "|",
    "a_b",
    "A",
    "\u{202e}",
    "https://",
    "http://a b",
];
/// Of endpoints, beside those.
const ENDPOINTS: [&str; 11] = [
    "https://",
    "http://[",
    "http://[::1",
    "http://a:99999",
    "ftp://127.0.0.1",
    "http://u:p@127.0.0.1:1",
    "http://127.0.0.1:1/?a",
    "http://127.0.0.1:1/#a",
    "http://1.2.3.4.5",
    "http://xn--a",
    "data:,x",
];

fn specs(port: u16) -> Vec<Value> {
    let at = format!("http://127.0.0.1:{port}");
    let http =
        json!({ "ca": null, "allowPublic": false, "maxConcurrentRequests": 4, "bucket": "b", "prefix": "" });
    let with = |more: Value| {
        let mut all = http.as_object().expect("an object").clone();
        all.extend(more.as_object().expect("an object").clone());
        Value::Object(all)
    };
    vec![
        with(
            json!({ "kind": "s3", "region": "r", "endpoint": at, "virtualHosted": false, "accessKeyId": "i", "secretAccessKey": "s",
            "sessionToken": "t", "environment": {}, "instanceMetadata": false }),
        ),
        with(
            json!({ "kind": "s3", "region": "r", "endpoint": format!("http://localhost:{port}"), "virtualHosted": true, "accessKeyId": "i",
            "secretAccessKey": "s", "sessionToken": "t", "environment": {}, "instanceMetadata": false }),
        ),
        with(
            json!({ "kind": "s3", "region": "r", "endpoint": at, "virtualHosted": true, "accessKeyId": "i", "secretAccessKey": "s",
            "sessionToken": null, "environment": {}, "instanceMetadata": false }),
        ),
        with(
            json!({ "kind": "gcs", "endpoint": at, "credentials": null, "credentialsFile": null, "instanceMetadata": false,
            "anonymous": true }),
        ),
        with(json!({ "kind": "supabase", "url": at, "key": "k" })),
    ]
}

/// Every request that a store can make. What comes of them is no matter: nobody answers.
async fn ask_all(store: Arc<dyn Store>) {
    let requests = async {
        let _ = store.put("v1/x", Bytes::from_static(b"x")).await;
        let _ = store.get("v1/x").await;
        let _ = store.list("v1", "x").await;
        let _ = store.delete(vec!["v1/x".to_owned()]).await;
        let _ = store.inspect("v1/x").await;
        let _ = store.setting(super::Setting::Lifecycle).await;
    };
    // A name that has to be looked up may take long; it is the panic that counts.
    let _ = tokio::time::timeout(Duration::from_secs(2), requests).await;
}

/// A port that nobody listens at.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_odd_configuration_reaches_a_panic() {
    let port = closed();
    let (mut refused, mut asked) = (0, Vec::new());
    for plain in specs(port) {
        let fields: Vec<String> = plain.as_object().expect("an object").keys().cloned().collect();
        let texts = fields
            .iter()
            .filter(|field| *field != "kind" && (plain[*field].is_string() || plain[*field].is_null()));
        for field in texts {
            let is_address = ["endpoint", "url"].contains(&field.as_str());
            let more = ENDPOINTS.iter().filter(|_| is_address);
            for odd in ODD.iter().chain(more) {
                let mut spec = plain.clone();
                spec[field.as_str()] = json!(odd);
                let spec: StoreSpec = serde_json::from_value(spec).expect("a spec");
                match adapter(&spec, host()) {
                    Err(error) => {
                        refused += 1;
                        assert!(odd.len() < 4 || !error.message.contains(odd), "{field}: {}", error.message);
                        assert_eq!(error.code(), Code::InvalidOption, "{field} {odd:?}: {}", error.message);
                    }
                    Ok(store) => {
                        asked.push((format!("{field} = {odd:?}"), store));
                    }
                }
            }
        }
    }
    assert!(refused > 200 && asked.len() > 50, "{refused} refused, {} asked", asked.len());
    let asking = asked.into_iter().map(|(what, store)| async move {
        assert!(tokio::spawn(ask_all(store)).await.is_ok(), "{what} panics");
    });
    stream::iter(asking).buffer_unordered(100).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bucket_name_chooses_the_host() {
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    stranger.set_nonblocking(true).expect("does not wait");
    let other = stranger.local_addr().expect("an address").port();
    for plain in specs(closed()) {
        for name in [
            "127.0.0.1:{}#",
            "127.0.0.1:{}?",
            "x@127.0.0.1:{}/",
            "@127.0.0.1:{}#",
            "localhost:{}#",
            "127.0.0.1:{}\\",
        ] {
            let mut spec = plain.clone();
            spec["bucket"] = json!(name.replace("{}", &other.to_string()));
            let spec: StoreSpec = serde_json::from_value(spec).expect("a spec");
            if let Ok(store) = adapter(&spec, host()) {
                ask_all(store).await;
            }
            let mut came = stranger.accept().ok().map(|(stream, _): (TcpStream, _)| stream);
            let mut head = [0; 64];
            assert!(
                came.as_mut().map(|stream| stream.read(&mut head)).is_none(),
                "{name}: somebody else was asked"
            );
        }
    }
}
