//! The broker's sockets and clock.

use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use edge_nal::{Readable, TcpAccept, TcpBind, TcpSplit};
use embassy_futures::join::join3;
use embassy_futures::select::{Either, select, select3};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};

use super::engine::LinkId;
use super::{Mode, Shared};
use crate::net::{TcpHalf, TcpSocket};

/// How long a client that is dismissed has for taking the last packet.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves for ever.
pub(super) async fn run(shared: &Rc<Shared>) -> Infallible {
    let (never, _, _) = join3(listen(shared), shared.connections.run(), keep_time(shared)).await;
    never
}

/// Has a listening socket whenever the program runs.
async fn listen(shared: &Rc<Shared>) -> Infallible {
    loop {
        let started = || (shared.mode.get() != Mode::Stopped).then(|| shared.life.get());
        let life = shared.changes.until(started).await;
        let over = shared
            .changes
            .until(|| (shared.life.get() != life).then_some(()));
        select(over, accept(shared)).await;
    }
}

async fn accept(shared: &Rc<Shared>) {
    let local = SocketAddr::from((Ipv4Addr::UNSPECIFIED, shared.port));
    let Ok(acceptor) = shared.host.bind(local).await else {
        // Another program has the port: as a real broker, this one is not there.
        return pending().await;
    };
    loop {
        running(shared).await;
        let Either::First(Ok((client, socket))) =
            select(acceptor.accept(), shared.changes.next()).await
        else {
            continue;
        };
        let id = shared.engine.borrow_mut().open(Instant::now(), client);
        let server = shared.clone();
        shared
            .connections
            .spawn(async move { serve(&server, socket, id).await });
        shared.changes.happen();
    }
}

async fn running(shared: &Shared) {
    let runs = || (shared.mode.get() == Mode::Running).then_some(());
    shared.changes.until(runs).await;
}

async fn serve(shared: &Shared, mut socket: TcpSocket, id: LinkId) {
    let _serving = Serving { shared, id };
    let (receiver, sender) = socket.split();
    select3(
        receive(shared, receiver, id),
        send(shared, sender, id),
        dismissed(shared, id),
    )
    .await;
    shared.engine.borrow_mut().closed(Instant::now(), id, true);
    shared.changes.happen();
}

/// Tells the engine that a connection is gone, also when its task is dropped: then the program was
/// killed, and publishes no will any more.
struct Serving<'a> {
    shared: &'a Shared,
    id: LinkId,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut engine = self.shared.engine.borrow_mut();
        engine.closed(Instant::now(), self.id, false);
        engine.forget(self.id);
    }
}

async fn receive(shared: &Shared, mut receiver: TcpHalf<'_>, id: LinkId) {
    let mut buffer = [0; 1024];
    loop {
        running(shared).await;
        // Only looked at first: a hung program leaves the bytes with its system.
        if receiver.readable().await.is_err() || shared.mode.get() != Mode::Running {
            continue;
        }
        let Ok(count @ 1..) = receiver.read(&mut buffer).await else {
            return;
        };
        Timer::after(shared.delay.get()).await;
        running(shared).await;
        let now = Instant::now();
        shared
            .engine
            .borrow_mut()
            .received(now, id, &buffer[..count]);
        shared.changes.happen();
    }
}

async fn send(shared: &Shared, mut sender: TcpHalf<'_>, id: LinkId) {
    loop {
        let output = shared
            .changes
            .until(|| {
                let mut engine = shared.engine.borrow_mut();
                let link = engine.links.get_mut(&id)?;
                if shared.mode.get() != Mode::Running || (link.output.is_empty() && !link.closing) {
                    return None;
                }
                Some(std::mem::take(&mut link.output))
            })
            .await;
        if output.is_empty() || sender.write_all(&output).await.is_err() {
            return;
        }
        shared.engine.borrow_mut().pump(Instant::now(), id);
    }
}

/// A client that does not take the last packet is not waited for.
async fn dismissed(shared: &Shared, id: LinkId) {
    let closing = || {
        let engine = shared.engine.borrow();
        engine.links.get(&id)?.closing.then_some(())
    };
    shared.changes.until(closing).await;
    Timer::after(FAREWELL).await;
}

async fn keep_time(shared: &Shared) -> Infallible {
    loop {
        running(shared).await;
        let deadline = shared.engine.borrow().deadline();
        let due = async {
            match deadline {
                Some(at) => Timer::at(at).await,
                None => pending().await,
            }
        };
        if let Either::First(()) = select(due, shared.changes.next()).await
            && shared.mode.get() == Mode::Running
        {
            shared.engine.borrow_mut().fire(Instant::now());
            shared.changes.happen();
        }
    }
}
