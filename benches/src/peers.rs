//! Who is compared with: web servers from the floor up, and the processes that this program becomes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use picoserve::routing::get;

use crate::process::{Failure, Program, Scratch, free_address, installed, sibling};
use crate::rows::publish::{be_plain, be_rumqttc};

/// The argument by which this program becomes one of the servers.
pub(crate) const PEER: &str = "--peer";

/// How many connections the floor holds at once.
const FLOOR_THREADS: usize = 8;

/// A server and where it listens.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) program: Program,
}

/// A blocking server that sends the same bytes whatever is asked: nothing could do less.
pub(crate) fn floor(scratch: &Scratch, answer: &[u8]) -> Result<Server, Failure> {
    let file = scratch.file("answer", answer)?;
    start_own("std::net", "floor", "/", Some(&file))
}

/// picoserve with one route, on tokio's single-threaded executor.
pub(crate) fn picoserve() -> Result<Server, Failure> {
    start_own("picoserve", "picoserve", "/", None)
}

fn start_own(
    name: &'static str,
    peer: &str,
    path: &'static str,
    file: Option<&Path>,
) -> Result<Server, Failure> {
    let address = free_address();
    let mut command = Command::new(sibling("bench")?);
    command.args([PEER, peer, &address.to_string()]).args(file);
    Ok(Server {
        name,
        address,
        path,
        program: Program::start(name, &mut command)?.listening(address)?,
    })
}

/// nginx as one process, with the same body from a file.
pub(crate) fn nginx(scratch: &Scratch, body: &[u8]) -> Result<Server, Failure> {
    scratch.file("index.html", body)?;
    let address = free_address();
    let folder = scratch.path().display();
    let config = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log /dev/null;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; keepalive_requests 100000000; tcp_nodelay on;\n\
         client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n\
         scgi_temp_path {folder}/scgi;\n\
         server {{ listen {address}; root {folder}; default_type text/html;\n\
         add_header Content-Encoding gzip; }} }}\n"
    );
    let file = scratch.file("nginx.conf", config.as_bytes())?;
    let mut command = Command::new(installed("nginx"));
    command.arg("-c").arg(file).arg("-p").arg(scratch.path());
    Ok(Server {
        name: "nginx",
        address,
        path: "/index.html",
        program: Program::start("nginx (Debian's nginx-light)", &mut command)?
            .listening(address)?,
    })
}

/// Is one of the servers, if the command line says so; then it never returns but on failure.
pub(crate) fn be_peer(arguments: &[String]) -> Option<Failure> {
    let [flag, peer, address, rest @ ..] = arguments else {
        return None;
    };
    if flag != PEER {
        return None;
    }
    let served = match (peer.as_str(), rest) {
        ("floor", [file]) => be_floor(address, file),
        ("picoserve", []) => be_picoserve(address),
        (client @ ("rumqttc" | "plain"), [qos, messages]) => match messages.parse() {
            Ok(messages) if client == "plain" => be_plain(address, qos, messages),
            Ok(messages) => be_rumqttc(address, qos, messages),
            Err(_) => return Some(format!("{messages} is no number of messages")),
        },
        _ => return Some(format!("there is no peer {peer}")),
    };
    served.err().map(|error| error.to_string())
}

fn be_floor(address: &str, file: &str) -> std::io::Result<()> {
    let answer = std::fs::read(file)?;
    let listener = TcpListener::bind(address)?;
    // As many as there are clients with open connections; made once, so that no request pays for one.
    std::thread::scope(|scope| {
        let serve = || -> std::io::Result<()> {
            loop {
                let (stream, _) = listener.accept()?;
                // A client that has gone is no concern of the measurement.
                let _ = converse(stream, &answer);
            }
        };
        let threads = [(); FLOOR_THREADS].map(|()| scope.spawn(serve));
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(served) => served,
                Err(_) => Err(std::io::Error::other("a thread panicked")),
            })
    })
}

/// Ends with the connection.
fn converse(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut bytes[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        if bytes[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            stream.write_all(answer)?;
        }
    }
}

fn be_picoserve(address: &str) -> std::io::Result<()> {
    let timeouts = picoserve::Timeouts {
        persistent_start_read_request: picoserve::time::Duration::from_secs(5),
        ..picoserve::Timeouts::default()
    };
    let config = picoserve::Config::new(timeouts).keep_connection_alive();
    let app = std::rc::Rc::new(picoserve::Router::new().route("/", get(|| async { "hello" })));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (app, config) = (app.clone(), config.clone());
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 2048];
                // A client that has gone is no concern of the measurement.
                let _ = picoserve::Server::new_tokio(&app, &config, &mut buffer)
                    .serve(stream)
                    .await;
            });
        }
    })
}

/// How long a device may take until it serves.
pub(crate) const BOOT: Duration = Duration::from_secs(10);
