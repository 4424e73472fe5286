//! Files that are served by name: read-only data, in as many forms as were packed.

use crate::fingerprint::Fingerprint;

/// One file of an application's `www/`, or the portal's own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// The path below the root, without the leading slash: `css/style.css`.
    pub path: &'static str,
    /// Its media type, as [`content_type`] says by its path.
    pub content_type: &'static str,
    /// Its contents, for clients that do not accept gzip. Empty where `gzip` alone is kept, packed so that
    /// no distance in it is over 2048 bytes: it is then unpacked for them.
    pub bytes: &'static [u8],
    /// Its contents compressed, where that is shorter.
    pub gzip: Option<&'static [u8]>,
    /// A text that changes with the contents: letters, digits and hyphens, without quotes.
    pub etag: &'static str,
}

impl File {
    /// Whether a client that takes gzip, or does not, is served the compressed form.
    pub(super) fn is_gzip(&self, accepted: bool) -> bool {
        accepted && self.gzip.is_some()
    }
}

/// A text for [`File::etag`] from a file's contents (64 bits of FNV-1a, in hexadecimal), for data
/// that no build step has looked at.
#[must_use]
pub const fn etag(bytes: &[u8]) -> [u8; 16] {
    Fingerprint::EMPTY.and(bytes).text()
}

/// The media type of a file, by the ending of its path; bytes without a meaning when it is unknown.
#[must_use]
pub const fn content_type(path: &str) -> &'static str {
    const TYPES: [(&[u8], &str); 15] = [
        (b"html", "text/html; charset=utf-8"),
        (b"htm", "text/html; charset=utf-8"),
        (b"css", "text/css; charset=utf-8"),
        (b"js", "text/javascript; charset=utf-8"),
        (b"json", "application/json"),
        (b"svg", "image/svg+xml"),
        (b"png", "image/png"),
        (b"jpg", "image/jpeg"),
        (b"jpeg", "image/jpeg"),
        (b"ico", "image/x-icon"),
        (b"txt", "text/plain; charset=utf-8"),
        (b"wasm", "application/wasm"),
        (b"pdf", "application/pdf"),
        (b"woff2", "font/woff2"),
        (b"webmanifest", "application/manifest+json"),
    ];
    // Iterators are not const yet.
    let path = path.as_bytes();
    let mut start = path.len();
    while start > 0 && path[start - 1] != b'.' && path[start - 1] != b'/' {
        start -= 1;
    }
    if start > 0 && path[start - 1] == b'.' {
        let (_, ending) = path.split_at(start);
        let mut index = 0;
        while index < TYPES.len() {
            if ending.eq_ignore_ascii_case(TYPES[index].0) {
                return TYPES[index].1;
            }
            index += 1;
        }
    }
    "application/octet-stream"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_has_its_type() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("css/a.min.CSS", "text/css; charset=utf-8"),
            ("font.woff2", "font/woff2"),
            ("photo.jpg", "image/jpeg"),
            ("a.tar.gz", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("a.html/b", "application/octet-stream"),
        ] {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }
}
