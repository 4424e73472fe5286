//! A person with a phone or a browser: an HTTP/1.1 client over the simulated network.
//!
//! Guarantees: each request is a connection of its own, and an answer counts only when it is
//! complete as its head promised; patience ends, so that a test sees a server that says nothing.

use std::net::SocketAddr;

use edge_nal::TcpConnect;
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{Read, Write};

use crate::net::{Host, NetworkError, TcpSocket};

/// Why a person got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonError {
    /// The connection failed.
    Network(NetworkError),
    /// There was no complete answer within the patience.
    NoAnswer,
    /// What came is not an HTTP answer, or not all that was promised; what is wrong with it.
    Malformed(String),
}

impl core::fmt::Display for PersonError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Network(error) => write!(formatter, "no connection: {error}"),
            Self::NoAnswer => formatter.write_str("no complete answer in time; try again later"),
            Self::Malformed(what) => write!(formatter, "not a proper HTTP answer: {what}"),
        }
    }
}

impl core::error::Error for PersonError {}

impl From<NetworkError> for PersonError {
    fn from(error: NetworkError) -> Self {
        Self::Network(error)
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields in their order, names as they came.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of its transfer.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header field of this name; case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        let (_, value) = fields.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A person whose browser is open on one server.
#[derive(Clone)]
pub struct Person {
    phone: Host,
    server: SocketAddr,
    name: String,
    headers: Vec<(String, String)>,
    patience: Duration,
}

impl Person {
    /// A person on `phone` who looks at `server`, by its address.
    pub fn new(phone: &Host, server: SocketAddr) -> Self {
        let name = if server.port() == 80 {
            server.ip().to_string()
        } else {
            server.to_string()
        };
        Self {
            phone: phone.clone(),
            server,
            name,
            headers: Vec::new(),
            patience: Duration::from_secs(10),
        }
    }

    /// The same person, who typed this host name: what the requests carry as `Host`.
    #[must_use]
    pub fn typing(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same person, whose browser adds a header field to each request.
    #[must_use]
    pub fn sending(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same person, who waits this long for a complete answer: 10 s unless set.
    #[must_use]
    pub fn waiting(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// `GET`s a path.
    ///
    /// # Errors
    ///
    /// Why there is no complete answer; an HTTP status of any kind is an answer.
    pub async fn get(&self, path: &str) -> Result<Answer, PersonError> {
        self.request("GET", path, &[], b"").await
    }

    /// `POST`s the fields of a form, encoded as browsers do.
    ///
    /// # Errors
    ///
    /// As [`Person::get`].
    pub async fn post_form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, PersonError> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.request("POST", path, &[kind], fields.join("&").as_bytes())
            .await
    }

    /// Sends a request of any method, with header fields and a body.
    ///
    /// # Errors
    ///
    /// As [`Person::get`].
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, PersonError> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.name);
        let own = self.headers.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("Connection: close\r\n\r\n");
        let bytes = [request.as_bytes(), body].concat();
        let head_only = method == "HEAD";
        with_timeout(self.patience, self.exchange(&bytes, head_only))
            .await
            .unwrap_or(Err(PersonError::NoAnswer))
    }

    /// Opens a connection, for whoever wants to misbehave on it.
    ///
    /// # Errors
    ///
    /// As [`Person::get`].
    pub async fn connect(&self) -> Result<TcpSocket, PersonError> {
        match with_timeout(self.patience, self.phone.connect(self.server)).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(PersonError::NoAnswer),
        }
    }

    /// Sends bytes as they are, proper or not, and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Person::get`].
    pub async fn raw(&self, bytes: &[u8]) -> Result<Answer, PersonError> {
        with_timeout(self.patience, self.exchange(bytes, false))
            .await
            .unwrap_or(Err(PersonError::NoAnswer))
    }

    async fn exchange(&self, request: &[u8], head_only: bool) -> Result<Answer, PersonError> {
        let mut socket = self.phone.connect(self.server).await?;
        // A server may answer and close before it has taken everything: then the answer counts.
        let written = socket.write_all(request).await;
        let mut received = Vec::new();
        let mut buffer = [0; 512];
        loop {
            if let Some(answer) = parse(&received, head_only, false)? {
                return Ok(answer);
            }
            match socket.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => received.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(error.into()),
            }
        }
        if received.is_empty() {
            written?;
        }
        parse(&received, head_only, true)?
            .ok_or_else(|| PersonError::Malformed("the answer ends in its middle".to_owned()))
    }
}

/// Reads an answer, where all of it is there. `ended`: nothing more will come.
fn parse(bytes: &[u8], head_only: bool, ended: bool) -> Result<Option<Answer>, PersonError> {
    let malformed = |what: &str| PersonError::Malformed(what.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head
        .parse(bytes)
        .map_err(|error| PersonError::Malformed(error.to_string()))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let mut answer = Answer {
        status: head.code.unwrap_or_default(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for field in head.headers.iter() {
        let value = String::from_utf8_lossy(field.value).into_owned();
        answer.headers.push((field.name.to_owned(), value));
    }
    let body = &bytes[length..];
    if head_only || matches!(answer.status, 100..200 | 204 | 304) {
        return Ok(Some(answer));
    }
    let chunked = answer
        .header("Transfer-Encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        let Some(whole) = dechunk(body)? else {
            return Ok(None);
        };
        answer.body = whole;
        return Ok(Some(answer));
    }
    match answer.header("Content-Length").map(str::parse::<usize>) {
        Some(Err(_)) => Err(malformed("its length is no number")),
        Some(Ok(length)) if body.len() > length => Err(malformed("more came than was promised")),
        Some(Ok(length)) if body.len() < length => Ok(None),
        None if !ended => Ok(None),
        _ => {
            answer.body = body.to_vec();
            Ok(Some(answer))
        }
    }
}

/// Takes the framing of a chunked body away, where all of it is there.
fn dechunk(mut body: &[u8]) -> Result<Option<Vec<u8>>, PersonError> {
    let malformed = || PersonError::Malformed("a chunk of the body is malformed".to_owned());
    let mut whole = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(body).map_err(|_| malformed())?;
        let httparse::Status::Complete((start, size)) = size else {
            return Ok(None);
        };
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| start.checked_add(size))
            .ok_or_else(malformed)?;
        let (Some(chunk), Some(line_end)) = (body.get(start..end), body.get(end..end + 2)) else {
            return Ok(None);
        };
        if line_end != b"\r\n" {
            return Err(malformed());
        }
        if chunk.is_empty() {
            return Ok(Some(whole));
        }
        whole.extend_from_slice(chunk);
        body = &body[end + 2..];
    }
}

/// Encodes a form's key or value as browsers do (WHATWG URL, `application/x-www-form-urlencoded`).
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'*' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use edge_nal::{TcpAccept, TcpBind};
    use embassy_futures::select::{Either, select};
    use embassy_time::Timer;

    use super::*;
    use crate::net::{Faults, Network};
    use crate::time::run_virtual;

    const SERVER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 168, 4, 1)), 80);

    /// Answers each connection with the next of `answers`, whatever is asked; returns what was asked.
    fn exchange<T>(
        answers: &[&[u8]],
        faults: Faults,
        test: impl AsyncFnOnce(Person) -> T,
    ) -> (T, Vec<String>) {
        let network = Network::default();
        let portal = network.host(Ipv4Addr::new(192, 168, 4, 1));
        let phone = network.host(Ipv4Addr::new(192, 168, 4, 2));
        portal.set_faults(faults);
        let asked = std::cell::RefCell::new(Vec::new());
        let serve = async {
            let acceptor = portal.bind(SERVER).await.expect("the port is free");
            for answer in answers {
                let (_, mut socket) = acceptor.accept().await.expect("a connection");
                let mut request = Vec::new();
                let mut buffer = [0; 64];
                while !complete(&request) {
                    let count = socket.read(&mut buffer).await.expect("a request");
                    request.extend_from_slice(&buffer[..count]);
                }
                asked
                    .borrow_mut()
                    .push(String::from_utf8(request).expect("text"));
                socket.write_all(answer).await.expect("an answer");
            }
            std::future::pending::<()>().await;
        };
        let result = match run_virtual(select(serve, test(Person::new(&phone, SERVER)))) {
            Either::Second(result) => result,
            Either::First(()) => unreachable!("the server never ends"),
        };
        (result, asked.into_inner())
    }

    fn complete(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        length.is_none_or(|length| body.len() >= length.parse().expect("a number"))
    }

    #[test]
    fn a_get_gives_status_header_and_body_even_in_single_bytes() {
        let single = Faults {
            piece: 1,
            ..Faults::default()
        };
        for faults in [Faults::default(), single] {
            let answer: &[u8] =
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
            let (answer, asked) = exchange(&[answer], faults, async |person| {
                person.get("/status.json").await
            });
            let answer = answer.expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
            assert_eq!(answer.header("content-type"), Some("text/plain"));
            assert_eq!(
                asked,
                ["GET /status.json HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: close\r\n\r\n"]
            );
        }
    }

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let answer: &[u8] = b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
        let (answer, asked) = exchange(&[answer], Faults::default(), async |person| {
            let person = person
                .typing("example.com")
                .sending("Origin", "http://example.com");
            let fields = [("ssid", "Café \"1\""), ("password", "100%+a&b=c*-._~")];
            person.post_form("/connect", &fields).await
        });
        assert_eq!(answer.expect("an answer").header("Location"), Some("/"));
        let (head, body) = asked[0].split_once("\r\n\r\n").expect("a body");
        assert_eq!(
            body,
            "ssid=Caf%C3%A9+%221%22&password=100%25%2Ba%26b%3Dc*-._%7E"
        );
        for line in [
            "Host: example.com",
            "Origin: http://example.com",
            "Content-Length: 57",
        ] {
            assert!(head.lines().any(|known| known == line), "{line} in {head}");
        }
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        let answers: [(&[u8], Result<&str, &str>); 5] = [
            (b"HTTP/1.1 200 OK\r\n\r\nto the end", Ok("to the end")),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
                Ok("abc0123456789"),
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", Ok("")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", Err("middle")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlong", Err("more came")),
        ];
        for (bytes, expected) in answers {
            let (answer, _) = exchange(&[bytes], Faults::default(), async |person| {
                person.get("/").await
            });
            match (answer, expected) {
                (Ok(answer), Ok(text)) => assert_eq!(answer.text(), text),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (answer, _) => panic!("{answer:?} to {expected:?}"),
            }
        }
    }

    #[test]
    fn patience_ends_where_nobody_answers_and_refusals_are_told() {
        let network = Network::default();
        let portal = network.host(Ipv4Addr::new(192, 168, 4, 1));
        let phone = network.host(Ipv4Addr::new(192, 168, 4, 2));
        let person = Person::new(&phone, SERVER).waiting(Duration::from_secs(3));
        run_virtual(async {
            let refused = PersonError::Network(NetworkError::Refused);
            assert_eq!(person.get("/").await, Err(refused));
            portal.set_faults(Faults {
                black_hole: true,
                ..Faults::default()
            });
            assert_eq!(person.get("/").await, Err(PersonError::NoAnswer));
            Timer::after_secs(1).await;
        });
    }
}
