//! Whether things are as a step expects them.

use bluebell::{mqtt, wifi};
use embassy_time::{Duration, Instant, Timer, with_timeout};

use super::Application;
use super::script::{Expect, Page, Seen, Wifi, bssid};
use super::stage::Stage;
use crate::broker::Broker;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(10);
/// How often the device or a page is asked.
const ASK: Duration = Duration::from_millis(250);
/// After so long it is not looked more often than that.
const LONG: Duration = Duration::from_secs(100);
/// How long the person waits for a page.
const PAGE: Duration = Duration::from_secs(5);

/// What had happened when something was done last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    console: usize,
    messages: usize,
}

impl<A: Application> Stage<'_, A> {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            console: self.device.console().len(),
            messages: self.world.broker.count(),
        }
    }

    /// Waits until it is so, and then sees that it stays so.
    ///
    /// # Errors
    ///
    /// What was not so.
    pub(super) async fn expect(
        &self,
        expect: &Expect,
        since: Mark,
        within: Duration,
        holds: Duration,
    ) -> Result<(), String> {
        let began = Instant::now();
        let deadline = began + within;
        let asks = expect.page.is_some() || expect.stored.is_some();
        let pause = || {
            if asks || began.elapsed() > LONG {
                ASK
            } else {
                LOOK
            }
        };
        while let Err(why) = self.look(expect, since).await {
            if Instant::now() >= deadline {
                return Err(why);
            }
            Timer::after(pause()).await;
        }
        let end = Instant::now() + holds;
        while Instant::now() < end {
            Timer::after(pause()).await;
            let still = self.look(expect, since).await;
            still.map_err(|why| format!("it did not stay so: {why}"))?;
        }
        Ok(())
    }

    async fn look(&self, expect: &Expect, since: Mark) -> Result<(), String> {
        let shown = self.device.shown();
        if let Some(wanted) = expect.wifi {
            let wanted = match wanted {
                Wifi::Starting => wifi::State::Starting,
                Wifi::Joining => wifi::State::Joining,
                Wifi::Portal => wifi::State::Portal,
                Wifi::Online => wifi::State::Online,
            };
            same("wifi", &shown.wifi, &Some(wanted))?;
        }
        if expect.ssid.is_some() {
            same("ssid", &shown.ssid, &expect.ssid)?;
        }
        if let Some(number) = expect.access_point {
            same(
                "access_point",
                &self.device.antenna().bssid(),
                &Some(bssid(number)),
            )?;
        }
        if let Some(wanted) = expect.online {
            let online = self.is_on() && shown.mqtt == Some(mqtt::State::Online);
            same("online", &online, &wanted)?;
        }
        if let Some(wanted) = expect.portal {
            same("portal", &(self.is_on() && shown.portal), &wanted)?;
        }
        if let Some(text) = &expect.printed {
            let console = self.device.console();
            let new = console.get(since.console..).unwrap_or_default();
            if !new.contains(text.as_str()) {
                return Err(format!("{text:?} was not printed"));
            }
        }
        if let Some(seen) = &expect.message {
            self.messages(seen, since)?;
        }
        if let Some(kept) = &expect.retained {
            let found = self.world.broker.retained(&kept.topic);
            let found = found.map(|message| message.text()).unwrap_or_default();
            same(&kept.topic, &found, &kept.payload)?;
        }
        if let Some(pin) = expect.pin {
            let level = self.application.pin(pin.number);
            same(&format!("pin {}", pin.number), &level, &Some(pin.level))?;
        }
        if let Some(wanted) = &expect.display {
            let shown = self.application.display().unwrap_or_default();
            same("display", &shown, wanted)?;
        }
        if let Some(page) = &expect.page {
            self.page(page).await?;
        }
        if let Some(wanted) = &expect.stored {
            let mut wanted: Vec<_> = wanted.iter().map(|ssid| format!("{ssid:?}")).collect();
            let mut found = self.stored().await;
            wanted.sort();
            found.sort();
            same("stored", &found, &wanted)?;
        }
        Ok(())
    }

    fn messages(&self, seen: &Seen, since: Mark) -> Result<(), String> {
        let mut count = 0;
        let mut others = None;
        self.world.broker.visit_after(since.messages, |message| {
            if Broker::matches(&seen.topic, &message.topic) {
                let wanted = |payload: &String| payload.as_bytes() == message.payload;
                if seen.payload.as_ref().is_none_or(wanted) {
                    count += 1;
                } else {
                    others = Some(message.text());
                }
            }
        });
        match seen.times {
            Some(times) if count != times => Err(format!(
                "{count} messages on {}, where {times} are expected; the last other one: {others:?}",
                seen.topic
            )),
            None if count == 0 => Err(format!(
                "no such message on {}; the last other one: {others:?}",
                seen.topic
            )),
            _ => Ok(()),
        }
    }

    async fn page(&self, page: &Page) -> Result<(), String> {
        self.phone_used.set(Some(Instant::now()));
        let person = self.device.person();
        let answer = match with_timeout(PAGE, person.get(&page.path)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(format!("{}: {error}", page.path)),
            Err(_) => return Err(format!("{}: no answer", page.path)),
        };
        let text = answer.text();
        if page.path == "/status.json" {
            self.told(&text);
        }
        same(&page.path, &answer.status, &page.status)?;
        if !text.contains(&page.contains) {
            return Err(format!(
                "{:?} is not in {}: {text}",
                page.contains, page.path
            ));
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Result<(), String> {
    if is == wanted {
        Ok(())
    } else {
        Err(format!("{what} is {is:?}, expected was {wanted:?}"))
    }
}
