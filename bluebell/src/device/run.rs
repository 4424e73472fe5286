//! The one future that runs a device.

use core::cell::Cell;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::{Pin, pin};

use edge_nal::{Dns, TcpBind, TcpConnect, UdpBind};
use embassy_futures::join::{join, join3, join4, join5};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Ticker, Timer};
use embedded_io_async::Write;

use super::backend::PortalBackend;
use super::boot::Boot;
use super::console::ConsoleBackend;
use super::parts::{Filters, Values, ValuesOf};
use super::{Device, Handle, Memory, Message, Parts, Shared, reset};
use crate::address::Shown;
use crate::board::{Board, Hardware, OwnServers, PortalServices, Radio, Status, System};
use crate::clock::{Clock, Timezone, UnixTime};
use crate::config::Config;
use crate::console::{self, Console};
use crate::credentials::Vault;
use crate::jobs::Jobs;
use crate::log;
use crate::log::Log;
use crate::mqtt::{self, Mqtt};
use crate::portal::{self, File, Seating};
use crate::sntp::{Sntp, TimeServer};
use crate::storage::Store;
use crate::uploads::Uploads;
use crate::wifi::{self, Password, SealedNetworks, Ssid, Wifi};

/// The ports of DHCP (RFC 2131, 4.1) and DNS (RFC 1035, 4.2).
const DHCP_PORT: u16 = 67;
const DNS_PORT: u16 = 53;

impl<'b, B: Board, L: Parts> Device<'b, B, L> {
    /// Boots the device and runs it for ever.
    ///
    /// Cancellation: dropping the future is a power cut, and as safe as one: what was acknowledged is on
    /// flash, and the next boot finds it.
    // Not `async fn`: that keeps a place for its arguments, and another for what they are taken apart into.
    pub fn run(self) -> impl Future<Output = Infallible> {
        let Self {
            hardware,
            app,
            memory,
            callback_limit,
            parts,
        } = self;
        let Hardware {
            mut radio,
            flash,
            flash_layout,
            station,
            portal,
            portal_services,
            own_servers,
            console,
            mut commands,
            system,
        } = hardware;
        let Memory {
            log,
            store,
            mqtt: mqtt_memory,
            jobs,
            portal: portal_memory,
            console: console_memory,
        } = memory;

        async move {
            let booted = Instant::now();
            let log = Log::new(log);
            let store = Store::new(store);
            let uploads = Uploads::new(&store);
            let jobs = Jobs::new(jobs);
            let wifi = Wifi::new();
            let clock = Clock::new(Timezone::UTC);
            let console = Console::new(console);

            let reason = system.reset_reason();
            log!(
                log,
                Info,
                "device",
                "{} on bluebell {} ({reason})",
                app.name,
                crate::COMMIT
            );
            for line in system.crash().into_iter().flat_map(str::lines) {
                log!(log, Error, "device", "crashed before this boot: {line}");
            }

            // Declared before the store's owner runs, so that they outlive it.
            let (vault, config, networks, ssid, password, mqtt, shared);
            // The watchdog is fed from here on: a boot that erases takes longer than a board may wait.
            let mut kept = pin!(join3(
                store.serve(flash, &flash_layout, &log),
                log.keep(&store),
                feed(system)
            ));

            alongside(kept.as_mut(), pin!(reset::carry_out(&store, &log))).await;
            vault = alongside(kept.as_mut(), pin!(open_vault(&store, system, &log))).await;
            alongside(kept.as_mut(), pin!(open_uploads(&uploads, &log))).await;
            networks = SealedNetworks::new(&store, &vault);
            let boot = Boot {
                app: &app,
                store: &store,
                vault: &vault,
                system,
                log: &log,
            };
            let (text, other) = (console_memory.scratch(), portal_memory.scratch());
            config = alongside(kept.as_mut(), pin!(boot.config(text, other))).await;
            log.set_level(config.log.level);
            store.set_log_size(config.log.size);
            clock.set_timezone(boot.timezone(&config));
            alongside(kept.as_mut(), pin!(boot.networks(&networks, text))).await;
            (ssid, password) = boot.access_point(&config);
            if let Some(country) = config.wifi.country {
                radio.set_country(country);
            }

            let mut entropy = [0; 8];
            system.entropy(&mut entropy);
            mqtt = Mqtt::with_store(mqtt_memory, &store, &clock, entropy);
            shared = Shared {
                log: &log,
                store: &store,
                uploads: &uploads,
                mqtt: &mqtt,
                jobs: &jobs,
                wifi: &wifi,
                clock: &clock,
                config: &config,
                booted,
                callback_limit,
            };
            let pages = Pages {
                files: app.files,
                values: &ValuesOf(&parts),
            };
            let services = Services {
                shared: &shared,
                system,
                ssid: &ssid,
                password: &password,
            };
            let backend = ConsoleBackend {
                shared: &shared,
                app: &app,
                system,
                networks: &networks,
                access_point: (&ssid, &password),
                restart: Cell::new(false),
            };
            let settings = wifi::Settings {
                portal_after: config.wifi.portal_after,
                access_point_ssid: &ssid,
                access_point_password: &password,
            };
            // Each is made where it stays: handed on by value, they would all lie on the stack at once.
            let join_networks = pin!(wifi.run(&mut radio, &settings, &networks, &log, system));
            let serve_portal =
                pin!(services.portal(&portal, &portal_services, pages, portal_memory, &console));
            let print = pin!(services.print(&console));
            let talk = pin!(services.mqtt(&station, &own_servers, &parts));
            let keep_time = pin!(services.time(&station, &own_servers));
            let schedule = pin!(jobs.run(&clock, &log));
            let run_parts = pin!(parts.run(Handle { shared: &shared }));
            let deliver = pin!(services.deliver(&parts));
            let beat = pin!(services.heartbeat());
            let show = pin!(services.status());
            let answer = pin!(console::serve(
                &mut commands,
                &console,
                console_memory,
                &uploads,
                &backend
            ));
            let on = join5(
                join3(join_networks, serve_portal, print),
                talk,
                keep_time,
                join4(schedule, run_parts, deliver, beat),
                join(show, answer),
            );
            match select(kept, on).await {
                Either::First((never, ..)) => never,
                Either::Second(((never, ..), ..)) => never,
            }
        }
    }
}

/// Feeds the watchdog for as long as this future is polled.
async fn feed(system: &dyn System) -> Infallible {
    loop {
        system.feed_watchdog();
        Timer::after(Duration::from_secs(1)).await;
    }
}

/// Runs a step of the boot beside the owner of the flash, which it needs.
async fn alongside<K: Future<Output = (Infallible, Infallible, Infallible)>, T>(
    kept: Pin<&mut K>,
    step: Pin<&mut impl Future<Output = T>>,
) -> T {
    match select(kept, step).await {
        Either::First((never, ..)) => match never {},
        Either::Second(value) => value,
    }
}

/// Opens the vault. A flash that fails keeps no device from working: it then has a vault for this boot.
async fn open_vault<'b>(store: &Store<'_>, system: &'b dyn System, log: &Log<'_>) -> Vault<'b> {
    match Vault::open(store, system).await {
        Ok(vault) => vault,
        Err(error) => {
            log!(log, Error, "device", "nothing can be kept: {error}");
            Vault::for_this_boot(system)
        }
    }
}

/// Finds the files that were put on the device. Without them it works all the same.
async fn open_uploads(uploads: &Uploads<'_>, log: &Log<'_>) {
    if let Err(error) = uploads.open().await {
        log!(log, Error, "portal", "files on the device: {error}");
    }
}

/// What the application's own pages are made of.
#[derive(Clone, Copy)]
struct Pages<'p> {
    files: &'static [File],
    values: &'p dyn Values,
}

/// What goes on beside the application.
struct Services<'d> {
    shared: &'d Shared<'d>,
    system: &'d dyn System,
    ssid: &'d Ssid,
    password: &'d Password,
}

impl Services<'_> {
    fn config(&self) -> &Config {
        self.shared.config
    }

    /// Prints the log, if the configuration says so.
    async fn print<W: Write>(&self, console: &Console<W>) {
        if self.config().log.print {
            self.shared.log.print(&mut console.pieces()).await;
        }
    }

    /// Serves the portal whenever the access point is open.
    async fn portal<S: TcpBind + UdpBind, W: Write>(
        &self,
        stack: &S,
        services: &PortalServices,
        pages: Pages<'_>,
        memory: &mut impl Seating,
        console: &Console<W>,
    ) {
        let backend = PortalBackend {
            shared: self.shared,
            files: pages.files,
            values: pages.values,
            address: services.address,
        };
        let log = self.shared.log;
        loop {
            self.shared.wifi.access_point_open().await;
            self.announce(services.address, console).await;
            let dhcp_and_dns = async {
                if let (true, SocketAddr::V4(address)) = (services.dhcp_and_dns, services.address) {
                    let (address, ports) = (*address.ip(), [DHCP_PORT, DNS_PORT]);
                    portal::serve_dhcp_and_dns(stack, address, ports, log).await;
                }
            };
            let open = join(
                memory.serve(stack, &backend, Some(self.shared.uploads), log),
                dhcp_and_dns,
            );
            select(self.shared.wifi.access_point_closed(), open).await;
        }
    }

    /// Tells the person at the console how to get on the access point. Not a line of the log: that is
    /// kept, and the password is shown nowhere else.
    async fn announce<W: Write>(&self, address: SocketAddr, console: &Console<W>) {
        let mut text = heapless::String::<256>::new();
        // The parts are bounded: 32, 64 and 50 bytes of text beside 60 of these words.
        let _ = core::fmt::write(
            &mut text,
            format_args!(
                "\r\nSet-up: join the network {} with the password {}\r\n        and open http://{}/\r\n\r\n",
                self.ssid,
                self.password.reveal(),
                Shown(address),
            ),
        );
        let mut console = console.pieces();
        // A console that is away has nobody to tell.
        let _ = console.write_all(text.as_bytes()).await;
        #[cfg(feature = "qr")]
        {
            let mut buffer = crate::qr::buffer();
            let (ssid, password) = (self.ssid.as_str(), self.password.reveal());
            let Some(code) = crate::qr::Code::new(ssid, password, &mut buffer) else {
                return;
            };
            for row in 0..code.rows() {
                let mut line = heapless::String::<{ crate::qr::Code::ROW }>::new();
                let _ = code.write_row(row, &mut line);
                let _ = console.write_all(line.as_bytes()).await;
            }
            let _ = console.write_all(b"\r\n").await;
        }
    }

    /// Talks to the broker while there is a network.
    async fn mqtt<N: TcpConnect + Dns, L: Parts>(&self, station: &N, own: &OwnServers, parts: &L) {
        let filters = Filters(parts);
        let settings = mqtt::Settings::new(&self.config().mqtt, own.broker, &filters);
        loop {
            self.shared.wifi.link_up().await;
            let run = self
                .shared
                .mqtt
                .run(station, &settings, self.shared.log, self.system);
            select(self.shared.wifi.link_down(), run).await;
        }
    }

    /// Keeps the clock set while there is a network, and tells the log.
    async fn time<N: UdpBind + Dns>(&self, station: &N, own: &OwnServers) {
        let host = self.config().clock.server.as_str();
        let server = match (host, own.time) {
            ("", None) => None,
            ("", Some(address)) => Some(TimeServer::Address(address)),
            (host, _) => Some(TimeServer::Host(host)),
        };
        let follow = async {
            loop {
                self.shared.clock.changed().await;
                if let Some(boot) = self.shared.clock.at_boot() {
                    self.shared.log.set_clock(boot.micros());
                }
            }
        };
        let set = async {
            let Some(server) = server else { return };
            let sntp = Sntp::new(server, UnixTime::from_seconds(crate::COMMIT_TIME));
            loop {
                self.shared.wifi.link_up().await;
                let run = sntp.run(station, self.shared.clock, self.system, self.shared.log);
                select(self.shared.wifi.link_down(), run).await;
            }
        };
        join(follow, set).await;
    }

    /// Hands each message to the application, one after the other. A message counts as handled, and is
    /// acknowledged, when its callbacks have returned or had their time.
    async fn deliver<L: Parts>(&self, parts: &L) {
        let device = Handle {
            shared: self.shared,
        };
        loop {
            let received = self.shared.mqtt.receive().await;
            let message = Message {
                topic: received.topic(),
                payload: received.payload(),
                retained: received.retain(),
            };
            parts.deliver(&message, device).await;
        }
    }

    /// Sends the heartbeat.
    async fn heartbeat(&self) {
        let config = &self.config().mqtt;
        let Some(interval) = config.heartbeat else {
            return;
        };
        let device = Handle {
            shared: self.shared,
        };
        let topic = device.topic("heartbeat");
        let mut ticker = Ticker::every(interval);
        loop {
            ticker.next().await;
            // While the broker is away there is no heartbeat: that is what it tells.
            let _ = device.publish(&topic, &config.heartbeat_message).await;
        }
    }

    /// Shows the board how the device is, whenever that changes.
    async fn status(&self) {
        loop {
            let wifi = self.shared.wifi.changed();
            let mqtt = self.shared.mqtt.state();
            let ssid = self.shared.wifi.ssid();
            self.system.status(&Status {
                wifi: self.shared.wifi.state(),
                ssid: ssid.as_ref(),
                address: self.shared.wifi.address(),
                mqtt,
                portal: self.shared.wifi.is_access_point_open(),
                access_point: (self.ssid, self.password),
            });
            select(wifi, self.shared.mqtt.changed(mqtt)).await;
        }
    }
}
