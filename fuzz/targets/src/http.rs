//! HTTP requests over reads of any size: every answer is well formed and does not depend on how the bytes were
//! split, and the next client is served.

use bluebell::portal::File;

use crate::portal::{Device, Response, head, responses, serve};
use crate::wire::{Link, Pieces};

const FILES: &[File] = &[File {
    path: "index.txt",
    content_type: "text/plain; charset=utf-8",
    bytes: b"a file of the application",
    gzip: Some(b"less"),
    etag: "index-1",
}];

/// A byte that chooses the pieces, then what the client sends.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, sent)) = input.split_first() else {
        return;
    };
    let (whole, submitted) = answered(sent, Pieces::whole());
    let (split, again) = answered(sent, Pieces::new(*choice, sent.len()));
    assert_eq!(whole, split, "the pieces make a difference");
    assert_eq!(submitted, again, "the pieces make a difference");
    for response in &whole {
        match response.status {
            200 | 202 | 204 | 302 | 303 | 304 | 400 | 403 | 404 | 405 | 411 | 413 | 414 | 429
            | 431 => {}
            status => panic!("an answer that is not in the contract: {status}"),
        }
        if response.content_type == "application/json" && !response.body.is_empty() {
            let json = response.json();
            let is_error = json.get("error").is_some_and(|error| error.is_string());
            assert_eq!(is_error, response.status >= 400, "{response:?}");
        }
    }
    assert!(
        submitted.len() <= 5,
        "six networks were tried in ten seconds"
    );
}

fn answered(sent: &[u8], pieces: Pieces) -> (Vec<Response>, Vec<(String, String)>) {
    let device = Device {
        files: FILES,
        ..Device::default()
    };
    let next = head("GET /status.json", "Connection: close\r\n");
    let links = [
        Link::new(sent, pieces),
        Link::new(next.as_bytes(), Pieces::whole()),
    ];
    serve(&device, &links);
    let [first, second] = links.map(|link| link.output.take());
    let heads = sent.windows(5).any(|word| word == b"HEAD ");
    let after = responses(&second, false);
    assert_eq!(after.len(), 1, "the next client is served");
    assert_eq!(after[0].status, 200);
    after[0].json();
    (responses(&first, heads), device.submitted.take())
}
