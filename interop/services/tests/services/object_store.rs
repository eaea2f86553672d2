//! object_store over HTTP and S3 with tokio's context.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use interop_services::servers::{Server, s3};
use object_store::aws::AmazonS3Builder;
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{Certificate, ClientOptions, Error, MultipartUpload};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use runtime::compat::hyper_util::serve;
use runtime::io::{AsyncBufReadExt, BufReader};
use runtime::net::TcpListener;
use runtime::process::Command;

use crate::at_once;
use crate::identity::Identity;

fn store(url: String) -> HttpStore {
    let options = ClientOptions::new().with_allow_http(true);
    HttpBuilder::new()
        .with_url(url)
        .with_client_options(options)
        .build()
        .unwrap()
}

type Files = Rc<RefCell<BTreeMap<String, Bytes>>>;

/// The part of WebDAV that is HTTP: GET with ranges, HEAD, PUT and DELETE.
async fn answer(files: Files, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let status = |status: u16| Response::builder().status(status);
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::PUT {
        let body = body.collect().await.unwrap().to_bytes();
        files.borrow_mut().insert(path, body);
        return status(201).body(Full::default()).unwrap();
    }
    if head.method == Method::DELETE {
        files.borrow_mut().remove(&path);
        return status(204).body(Full::default()).unwrap();
    }
    let Some(file) = files.borrow().get(&path).cloned() else {
        return status(404).body(Full::default()).unwrap();
    };
    let modified = ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT");
    let Some(range) = head.headers.get("range") else {
        let response = status(200).header(modified.0, modified.1);
        return response.body(Full::new(file)).unwrap();
    };
    let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let total = format!("bytes {range}/{}", file.len());
    let response = status(206)
        .header(modified.0, modified.1)
        .header("content-range", total);
    response.body(Full::new(file.slice(first..=last))).unwrap()
}

#[runtime::test(tokio)]
async fn tasks_write_and_read_objects_of_a_server_with_state_that_is_not_send() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let files = Files::default();
    let served = files.clone();
    let service = service_fn(move |request| {
        let answer = answer(served.clone(), request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let server = runtime::spawn(serve(listener, service).run());
    let store = Rc::new(store(url));
    at_once(|n| {
        let store = store.clone();
        async move {
            let path = Path::from(format!("folder/{n}"));
            let content = Bytes::from(vec![n as u8; 100_000]);
            store.put(&path, content.clone().into()).await.unwrap();
            assert_eq!(store.head(&path).await.unwrap().size, 100_000);
            let mut stream = store.get(&path).await.unwrap().into_stream();
            let mut read = 0;
            while let Some(chunk) = stream.next().await {
                read += chunk.unwrap().len();
            }
            assert_eq!(read, 100_000);
            let part = store.get_range(&path, 10..20).await.unwrap();
            assert_eq!(part, content[10..20]);
            store.delete(&path).await.unwrap();
            let error = store.get(&path).await.unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
        }
    })
    .await;
    assert!(files.borrow().is_empty());
    server.abort();
}

#[runtime::test(tokio)]
async fn objects_are_read_from_the_server_of_python() {
    let Some(python) = interop_services::servers::find("python3") else {
        return;
    };
    let name = format!("runtime-object-store-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("object"), vec![7; 1 << 20]).unwrap();
    let mut python = Command::new(python)
        .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(python.stdout.take().unwrap());
    // "Serving HTTP on 127.0.0.1 port 1234 (http://127.0.0.1:1234/) ..."
    output.read_line(&mut line).await.unwrap();
    let url = line.split(['(', ')']).nth(1).unwrap();
    let store = Rc::new(store(url.to_owned()));
    let sizes = at_once(|_| {
        let store = store.clone();
        async move {
            store
                .get(&Path::from("object"))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap()
                .len()
        }
    });
    assert_eq!(sizes.await, vec![1 << 20; 32]);
    let error = store.head(&Path::from("missing")).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    python.kill().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

/// Creates a bucket, which object_store cannot do.
async fn create_bucket(server: &Server, name: &str) {
    let script = "
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
request = urllib.request.Request(sys.argv[2], method='PUT')
urllib.request.urlopen(request, context=context)";
    let python = interop_services::servers::find("python3").expect("moto runs in it");
    let output = Command::new(python)
        .args(["-c", script])
        .arg(server.folder().join("server.crt"))
        .arg(format!("{}/{name}", server.url()))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn collect(
    mut stream: impl Stream<Item = object_store::Result<ObjectMeta>> + Unpin,
) -> usize {
    let mut count = 0;
    while let Some(object) = stream.next().await {
        object.unwrap();
        count += 1;
    }
    count
}

#[runtime::test(tokio)]
async fn a_bucket_of_s3_is_written_listed_read_and_emptied_over_tls() {
    let identity = Identity::new();
    let Some(server) = s3::start(&identity.tls(None)) else {
        return;
    };
    create_bucket(&server, "bucket").await;
    let root = Certificate::from_pem(identity.certificate.as_bytes()).unwrap();
    // Limits that a busy machine keeps: each request has a handshake of its own with moto.
    let options = ClientOptions::new()
        .with_root_certificate(root)
        .with_connect_timeout(Duration::from_secs(300))
        .with_timeout(Duration::from_secs(300));
    let store = AmazonS3Builder::new()
        .with_endpoint(server.url())
        .with_region("us-east-1")
        .with_bucket_name("bucket")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_client_options(options)
        .build();
    let store = Rc::new(store.unwrap());

    let ends = at_once(|n| {
        let store = store.clone();
        async move {
            let path = Path::from(format!("folder/{n}"));
            let content = Bytes::from(vec![n as u8; 1_000 + n as usize]);
            store.put(&path, content.clone().into()).await.unwrap();
            let read = store.get(&path).await.unwrap().bytes().await.unwrap();
            assert_eq!(read, content);
            store.get_range(&path, 999..1_000).await.unwrap()
        }
    });
    for (n, end) in ends.await.into_iter().enumerate() {
        assert_eq!(end[..], [n as u8]);
    }

    // All parts but the last have a minimum of 5 MiB.
    let path = Path::from("large");
    let part = Bytes::from(vec![7; 5 << 20]);
    let mut upload = store.put_multipart(&path).await.unwrap();
    let parts = [part.clone(), part.clone(), Bytes::from("end")];
    let parts = parts.map(|part| runtime::spawn(upload.put_part(part.into())));
    for part in parts {
        part.await.unwrap().unwrap();
    }
    upload.complete().await.unwrap();
    let mut aborted = store.put_multipart(&Path::from("aborted")).await.unwrap();
    aborted.put_part(part.clone().into()).await.unwrap();
    aborted.abort().await.unwrap();
    let read = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(read == [&part[..], &part, b"end"].concat());

    let folder = Path::from("folder");
    assert_eq!(collect(store.list(Some(&folder))).await, 32);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(top.common_prefixes, [folder]);
    let names: Vec<_> = top.objects.iter().map(|object| &object.location).collect();
    assert_eq!(names, [&path]);

    let locations = store.list(None).map_ok(|object| object.location).boxed();
    let deleted = store.delete_stream(locations);
    assert_eq!(deleted.try_collect::<Vec<_>>().await.unwrap().len(), 33);
    assert_eq!(collect(store.list(None)).await, 0);
    let error = store.get(&path).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
