//! A board with a few lines in the place of the framework, so that its tests test the board alone.
//!
//! The button on pin 0 toggles pin 14, the display says 12:30, boots are counted in the flash, typed
//! lines come back, the portal greets, and the station joins `Cafe` and connects to the broker.

use std::cell::Cell;
use std::process::ExitCode;

use bluebell::board::{Hardware, Radio};
use bluebell::wifi::{JoinTarget, Password, Ssid};
use bluebell_linux::pins::Output;
use bluebell_linux::{App, Board, Boot, LinuxBoard, MqttState, Observer, WifiState, run};
use edge_nal::{TcpAccept, TcpBind, TcpConnect, TcpShutdown};
use embassy_futures::join::join4;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};
use embedded_hal_async::digital::Wait;
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::NorFlash;

fn main() -> ExitCode {
    let app = App {
        name: "bare",
        version: "1.0.0",
    };
    run(app, boot)
}

async fn boot(board: Board, boot: Boot<'_>) {
    let Hardware {
        radio,
        mut flash,
        flash_layout,
        station,
        portal,
        mut console,
        commands,
        own_servers,
        system,
        ..
    } = boot.hardware;
    let count = count_boots(&mut flash, flash_layout.log.start).await;
    let provisioned = boot.wifi_json.read().map_or(0, |file| file.len());
    let line = format!(
        "boot {count} after {}, config {:?}, wifi.json {provisioned}\n",
        system.reset_reason(),
        boot.config.map(str::len),
    );
    let Ok(()) = console.write_all(line.as_bytes()).await;
    let pins = board.pins;
    show_time(&mut pins.gpio4.open_drain(), &mut pins.gpio5.open_drain());
    let presses = Cell::new(0);
    join4(
        toggle(pins.gpio0.input(), pins.gpio14.output(), &presses),
        echo(console, commands, &presses),
        greet(portal, &boot.observer),
        connect(radio, station, own_servers.broker, &boot.observer),
    )
    .await;
}

/// Clears one more word for each boot.
async fn count_boots(flash: &mut impl NorFlash, from: u32) -> u32 {
    for count in 1.. {
        let at = from + 4 * count;
        let mut word = [0; 4];
        flash.read(at, &mut word).await.unwrap();
        if word == [0xff; 4] {
            flash.write(at, &[0; 4]).await.unwrap();
            return count;
        }
    }
    0
}

fn show_time(clock: &mut impl OutputPin, data: &mut impl OutputPin) {
    for command in [&[0x8b][..], &[0x40], &[0xc0, 0x06, 0xdb, 0x4f, 0x3f]] {
        data.set_low().unwrap();
        for byte in command {
            for bit in 0..9 {
                clock.set_low().unwrap();
                data.set_state((bit < 8 && byte >> bit & 1 == 1).into())
                    .unwrap();
                clock.set_high().unwrap();
            }
            clock.set_low().unwrap();
        }
        clock.set_high().unwrap();
        data.set_high().unwrap();
    }
}

async fn toggle(mut button: impl InputPin + Wait, mut relay: Output, presses: &Cell<u32>) {
    loop {
        button.wait_for_falling_edge().await.unwrap();
        presses.set(presses.get() + 1);
        relay.toggle().unwrap();
    }
}

async fn echo(mut console: impl Write, mut commands: impl Read, presses: &Cell<u32>) {
    let mut bytes = [0; 64];
    loop {
        let count = commands.read(&mut bytes).await.unwrap();
        if bytes[..count].starts_with(b"hang") {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
        if bytes[..count].starts_with(b"count") {
            let line = format!("presses so far: {}\n", presses.get());
            console.write_all(line.as_bytes()).await.unwrap();
            continue;
        }
        console.write_all(b"echo ").await.unwrap();
        console.write_all(&bytes[..count]).await.unwrap();
    }
}

async fn greet(portal: impl TcpBind, observer: &Observer) {
    observer.update(|status| {
        status.portal = true;
        status.access_point.ssid = Some("bare-c0ffee".into());
        status.access_point.password = Some("<b>&amp; \"quoted\"".into());
    });
    let acceptor = portal.bind("0.0.0.0:80".parse().unwrap()).await.unwrap();
    loop {
        let (_, mut socket) = acceptor.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.0 200 OK\r\n\r\nbare").await;
        let _ = socket.close(edge_nal::Close::Write).await;
    }
}

async fn connect(
    mut radio: <LinuxBoard as bluebell::board::Board>::Radio,
    station: impl TcpConnect,
    broker: Option<std::net::SocketAddr>,
    observer: &Observer,
) {
    let (ssid, password) = (Ssid::new("Cafe").unwrap(), Password::default());
    loop {
        observer.update(|status| status.wifi.state = WifiState::Joining);
        let target = JoinTarget {
            ssid: &ssid,
            password: &password,
            heard: None,
        };
        if radio.join(&target).await.is_err() {
            Timer::after(Duration::from_millis(100)).await;
            continue;
        }
        let ip = radio.address().await;
        observer.update(|status| {
            status.wifi.state = WifiState::Online;
            status.wifi.ssid = Some("Cafe".into());
            status.wifi.ip = Some(ip);
        });
        let session = async {
            let Some(broker) = broker else {
                return std::future::pending::<()>().await;
            };
            loop {
                observer.update(|status| status.mqtt = MqttState::Connecting);
                if let Ok(mut socket) = station.connect(broker).await {
                    observer.update(|status| status.mqtt = MqttState::Online);
                    let _ = socket.read(&mut [0]).await;
                }
                Timer::after(Duration::from_millis(100)).await;
            }
        };
        select(radio.lost(), session).await;
        observer.update(|status| {
            status.wifi = Default::default();
            status.mqtt = MqttState::Offline;
        });
    }
}
