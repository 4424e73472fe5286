//! Values by name on NOR flash, the flash part of the log, and messages that wait there: one owner, any
//! number of clients. What lies where, and in which format, is in `docs/flash.md`.
//!
//! Guarantees, whenever the power goes:
//!
//! - After [`Store::put`] has returned, the value is on flash. Before, the old value or the new one is
//!   found, never neither, never another key's.
//! - After [`Store::forget`] and [`Store::put_secret`], no older copy of the value's bytes is left; what
//!   a power cut interrupts is finished at the next boot, before anything else is served.
//! - After [`Store::push`] has returned, the message is on flash and is handed out by
//!   [`Store::next_waiting`], in order, until [`Store::settle`].
//! - An image that cannot be repaired is reported by [`inspect`] and, at boot, erased and logged.
//!
//! [`Store::serve`] alone touches the flash; clients talk to it through a mailbox. So a client's future
//! may be dropped at any await: what it had already handed over is carried out completely.

mod crc;
mod error;
mod items;
mod key;
mod mailbox;
mod map;
mod medium;
mod owner;
mod queue;
mod ring;
#[cfg(test)]
mod tests;

pub use error::{OfflineError, ReadError, Unreadable, WriteError};
pub use key::Key;
pub use queue::Place;
pub use ring::LogCursor;

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::pending;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

use self::mailbox::{Failure, Mailbox, Outcome, Request};
use self::map::{Map, VALUE_MOST};
use self::medium::{Medium, SECTOR};
use self::owner::Owner;
use self::queue::MESSAGE_MOST;
use crate::board::FlashLayout;
use crate::log::Log;
use crate::pieces::copy;

/// Memory of a [`Store`], of which `VALUE` bytes bound the longest value and the log's batches.
///
/// A store of `n` sectors can replace a value whose bytes fit `n - 1` of them together with all others.
#[repr(align(4))]
pub struct StoreMemory<const VALUE: usize = 3584> {
    work: [u8; SECTOR as usize - 8],
    mailbox: [u8; VALUE],
}

impl<const VALUE: usize> StoreMemory<VALUE> {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                VALUE >= 512 && VALUE <= VALUE_MOST,
                "VALUE is 512 to 4032 bytes"
            );
        }
        Self {
            work: [0; SECTOR as usize - 8],
            mailbox: [0; VALUE],
        }
    }
}

impl<const VALUE: usize> Default for StoreMemory<VALUE> {
    fn default() -> Self {
        Self::new()
    }
}

/// The device's store, shared by reference among everybody who reads or writes values.
///
/// Requests are served one after the other by [`Store::serve`], and wait as long as that does not run.
pub struct Store<'m> {
    mailbox: Mailbox<'m>,
    /// With the owner while there is one.
    work: RefCell<&'m mut [u8]>,
    log_size: Cell<u32>,
}

impl<'m> Store<'m> {
    /// A store that works in `memory`.
    #[must_use]
    pub fn new<const VALUE: usize>(memory: &'m mut StoreMemory<VALUE>) -> Self {
        Self {
            mailbox: Mailbox::new(&mut memory.mailbox),
            work: RefCell::new(&mut memory.work),
            log_size: Cell::new(u32::MAX),
        }
    }

    /// Reads the value of `key` into `buffer`; `None` when there is none.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// When the buffer is too small or the flash fails.
    pub async fn get<'b>(
        &self,
        key: &Key,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, ReadError> {
        let most = buffer.len();
        let mut request = |_: &mut [u8]| Ok(Request::Get { key: *key, most });
        let mut take = |mailbox: &[u8], outcome| {
            if let Outcome::Value(length) = outcome {
                // Both have as much: the owner has seen to it.
                let _ = copy(mailbox, buffer, length);
            }
        };
        match self.mailbox.ask(&mut request, &mut take).await? {
            Outcome::Value(length) => Ok(buffer.get(..length)),
            _ => Ok(None),
        }
    }

    /// Stores `value` under `key`, in the place of what was there.
    ///
    /// Cancellation: a dropped future has stored the value or not, as after a power cut.
    ///
    /// # Errors
    ///
    /// When the value is too long, the store is full or the flash fails; the old value stays.
    // Not `async fn`, nor is the next: they would keep places for arguments that are only passed on.
    pub fn put(&self, key: &Key, value: &[u8]) -> impl Future<Output = Result<(), WriteError>> {
        self.put_either(key, value, false)
    }

    /// Like [`Store::put`], and then overwrites every older copy of the value's bytes on flash.
    ///
    /// # Errors
    ///
    /// As for [`Store::put`].
    pub fn put_secret(
        &self,
        key: &Key,
        value: &[u8],
    ) -> impl Future<Output = Result<(), WriteError>> {
        self.put_either(key, value, true)
    }

    /// Like [`Store::put`]: `fill` writes the value into the buffer it is given, when the flash is free, and
    /// says how long it is; `None` when it does not fit.
    pub(crate) async fn put_filled(
        &self,
        key: &Key,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), WriteError> {
        let mut request = |mailbox: &mut [u8]| {
            let most = mailbox.len().min(VALUE_MOST);
            Ok(Request::Put {
                key: *key,
                length: fill(mailbox).ok_or(Failure::TooLong { most })?,
                secret: false,
            })
        };
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    async fn put_either(&self, key: &Key, value: &[u8], secret: bool) -> Result<(), WriteError> {
        let mut request = |mailbox: &mut [u8]| {
            let most = mailbox.len().min(VALUE_MOST);
            let place = mailbox.get_mut(..most).unwrap_or_default();
            copy(value, place, value.len()).ok_or(Failure::TooLong { most })?;
            Ok(Request::Put {
                key: *key,
                length: value.len(),
                secret,
            })
        };
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    /// Forgets the value of `key`, if there is one, and overwrites every copy of its bytes on flash.
    ///
    /// Works in a full store too. Cancellation: as for [`Store::put`].
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn forget(&self, key: &Key) -> Result<(), WriteError> {
        let mut request = |_: &mut [u8]| Ok(Request::Forget { key: *key });
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    /// Visits the keys that begin with `prefix`, in their order.
    ///
    /// What is stored or forgotten meanwhile may be visited or not.
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn keys(&self, prefix: &str, visit: &mut dyn FnMut(&Key)) -> Result<(), ReadError> {
        let prefix = match prefix {
            "" => None,
            _ => match Key::new(prefix) {
                Some(prefix) => Some(prefix),
                None => return Ok(()),
            },
        };
        let mut after = None;
        loop {
            let mut request = |_: &mut [u8]| Ok(Request::NextKey { prefix, after });
            match self.mailbox.ask(&mut request, &mut |_, _| ()).await? {
                Outcome::Key(key) => {
                    visit(&key);
                    after = Some(key);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Bounds the log on flash to `bytes`, in whole sectors and at most what the layout gives it; at
    /// least two sectors. To be called before the log is first kept or read: later it has no effect
    /// until the next boot. Making it smaller drops lines.
    pub fn set_log_size(&self, bytes: u32) {
        self.log_size.set(bytes);
    }

    /// Appends entries to the log on flash: each a byte of length, then as many bytes.
    ///
    /// `fill` writes whole entries into the buffer it is given and returns their length; it is called
    /// when the flash is free. Returns when they are on flash. Cancellation: as for [`Store::put`].
    ///
    /// # Errors
    ///
    /// When the flash fails; a part of the entries may be there.
    pub async fn log_append(
        &self,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Result<(), WriteError> {
        let mut request = |mailbox: &mut [u8]| {
            let length = fill(mailbox);
            Ok(Request::LogAppend { length })
        };
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    /// Reads whole entries of the log on flash from `cursor` on into `buffer`, which should have 256
    /// bytes or more; returns how many bytes these are, 0 at the end, and where to go on.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// When the buffer is too small for an entry or the flash fails.
    pub async fn log_read(
        &self,
        cursor: LogCursor,
        buffer: &mut [u8],
    ) -> Result<(usize, LogCursor), ReadError> {
        let most = buffer.len();
        let mut request = |_: &mut [u8]| Ok(Request::LogRead { cursor, most });
        let mut take = |mailbox: &[u8], outcome| {
            if let Outcome::Chunk(length, _) = outcome {
                let _ = copy(mailbox, buffer, length);
            }
        };
        match self.mailbox.ask(&mut request, &mut take).await? {
            Outcome::Chunk(length, next) => Ok((length, next)),
            _ => Ok((0, cursor)),
        }
    }

    /// Has a message wait on flash, behind those that wait already.
    ///
    /// `fill` writes it into the buffer it is given and says what it is; it is called when the flash is
    /// free, and may say `None`: then nothing waits and `None` is returned. Returns when the message is on
    /// flash. Cancellation: as for [`Store::put`].
    ///
    /// # Errors
    ///
    /// When the message is too long, too many wait or the flash fails; then it does not wait.
    pub async fn push(
        &self,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<Filled>,
    ) -> Result<Option<Place>, WriteError> {
        let mut request = |mailbox: &mut [u8]| {
            let most = mailbox.len().min(MESSAGE_MOST);
            let Filled {
                name,
                length,
                latest,
            } = fill(mailbox).ok_or(Failure::Withdrawn)?;
            if length > most {
                return Err(Failure::TooLong { most });
            }
            Ok(Request::Push {
                length,
                name,
                latest,
            })
        };
        let mut placed = None;
        let mut take = |_: &[u8], outcome| {
            if let Outcome::Waiting { place, .. } = outcome {
                placed = Some(place);
            }
        };
        match self.mailbox.ask(&mut request, &mut take).await {
            Ok(_) => Ok(placed),
            Err(Failure::Withdrawn) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Shows the first message that waits and whose sequence number is greater than `after` to `take`;
    /// false when there is none.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn next_waiting(
        &self,
        after: u32,
        take: &mut dyn FnMut(Waiting<'_>),
    ) -> Result<bool, ReadError> {
        let mut request = |_: &mut [u8]| Ok(Request::NextWaiting { after });
        let mut found = false;
        let mut show = |mailbox: &[u8], outcome| {
            if let Outcome::Waiting {
                place,
                name,
                length,
            } = outcome
            {
                found = true;
                let (name, body) = mailbox[..length].split_at(name);
                take(Waiting { place, name, body });
            }
        };
        self.mailbox.ask(&mut request, &mut show).await?;
        Ok(found)
    }

    /// A message waits no more. Cancellation: as for [`Store::put`].
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn settle(&self, place: Place) -> Result<(), WriteError> {
        let mut request = |_: &mut [u8]| Ok(Request::Settle { place });
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    /// No message waits any more, and nothing is left of their bytes. Cancellation: as for [`Store::put`].
    ///
    /// # Errors
    ///
    /// When the flash fails; some may wait still.
    pub async fn settle_all(&self) -> Result<(), WriteError> {
        let mut request = |_: &mut [u8]| Ok(Request::SettleAll);
        self.mailbox.ask(&mut request, &mut |_, _| ()).await?;
        Ok(())
    }

    /// Owns the flash: opens the store, repairs it or, where that is impossible, logs so and begins
    /// afresh, then carries out everybody's requests. One at a time; a second one waits for ever.
    ///
    /// Cancellation: dropping it is a power cut. The request in progress is answered with an error.
    pub async fn serve<F: MultiwriteNorFlash>(
        &self,
        flash: F,
        layout: &FlashLayout,
        log: &Log<'_>,
    ) -> Infallible {
        let work = self.work.take();
        if work.is_empty() {
            return pending().await;
        }
        let desk = Desk { store: self, work };
        let mut owner = Owner::new(flash, layout, log, desk.work);
        // A failure here is met again, and reported, with the first request.
        let _ = owner.open().await;
        loop {
            let mut task = self.mailbox.next().await;
            owner.carry_out(&mut task, self.log_size.get()).await;
        }
    }
}

/// What is in a buffer that [`Store::push`] gave to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// How many bytes of the message are its name.
    pub name: u16,
    /// How many bytes the message has, its name among them.
    pub length: usize,
    /// Whether it takes the place of a waiting message of the same name that says so too.
    pub latest: bool,
}

/// A message that waits on flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// By which it is settled.
    pub place: Place,
    /// Its name.
    pub name: &'a [u8],
    /// The rest of it.
    pub body: &'a [u8],
}

/// Gives the owner's memory back when it goes.
struct Desk<'a, 'm> {
    store: &'a Store<'m>,
    work: &'m mut [u8],
}

impl Drop for Desk<'_, '_> {
    fn drop(&mut self) {
        *self.store.work.borrow_mut() = core::mem::take(&mut self.work);
    }
}

/// What a readable image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Empty: the next boot is the first.
    Blank,
    /// A store, perhaps with a repair to be made by the next boot. Where the record of its format is damaged,
    /// a sound value shows that it is one, and it is presumed to be of the present format.
    Ready,
}

/// Looks whether `flash` holds a store that a device can boot from, and changes nothing.
///
/// # Errors
///
/// Why not: the next boot would erase it, so this is the time to keep a copy.
pub async fn inspect<F: NorFlash>(
    flash: &mut F,
    layout: &FlashLayout,
) -> Result<Condition, Unreadable> {
    let mut medium = Medium::new(flash);
    medium.check(layout)?;
    map::condition(&mut medium, &layout.store).await
}

/// Puts a value into an image that no device is running from, such as one in a host's file.
///
/// Its future holds 4 KiB; it is not for a device.
///
/// # Errors
///
/// When the image is not readable or the value cannot be stored.
pub async fn write<F: MultiwriteNorFlash>(
    flash: &mut F,
    layout: &FlashLayout,
    key: &Key,
    value: &[u8],
) -> Result<(), OfflineError> {
    let mut medium = Medium::new(flash);
    medium.check(layout).map_err(OfflineError::Image)?;
    let condition = map::condition(&mut medium, &layout.store)
        .await
        .map_err(OfflineError::Image)?;
    if value.len() > VALUE_MOST {
        return Err(OfflineError::Write(WriteError::TooLong {
            most: VALUE_MOST,
        }));
    }
    let mut map = Map {
        medium: &mut medium,
        range: layout.store.clone(),
        work: &mut [0; SECTOR as usize - 8],
    };
    match condition {
        Condition::Blank => map.format().await?,
        // A version behind stays what it is: the next boot brings the rest of the flash along. A record that is lost
        // is written anew first, because a repair of damaged sectors that this sets off may cost what is there.
        Condition::Ready => {
            if map.open().await? == map::Format::Lost {
                map.mend_format().await?;
            }
        }
    }
    Ok(map.replace_keeping_format(key, value).await?)
}
