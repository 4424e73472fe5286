//! The one owner of the flash: opens what lies there and carries out requests.

use embedded_storage_async::nor_flash::MultiwriteNorFlash;
use zeroize::Zeroize;

use super::mailbox::{Answer, Failure, Outcome, Request, Task};
use super::map::{Format, Map, MapError, VALUE_MOST, condition};
use super::medium::{Failed, Medium};
use super::queue::{Draft, Queue};
use super::ring::Ring;
use super::{Condition, Unreadable};
use crate::board::FlashLayout;
use crate::log;
use crate::log::Log;
use crate::pieces::copy;

/// How often a damaged store is mended for one request: once by opening it, once by starting afresh.
const MENDINGS: usize = 2;

impl From<Failed> for Failure {
    fn from(_: Failed) -> Self {
        Self::Flash
    }
}

/// See the module.
pub(super) struct Owner<'a, 'l, F> {
    medium: Medium<F>,
    layout: &'a FlashLayout,
    log: &'a Log<'l>,
    work: &'a mut [u8],
    state: Opened,
    ring: Option<Ring>,
    queue: Option<Queue>,
    /// Where sequence numbers go on when the queue is opened again.
    sequence: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// Not yet, or the flash failed.
    No,
    Yes,
    /// There is nothing to be done with this layout.
    Never,
}

impl<'a, 'l, F: MultiwriteNorFlash> Owner<'a, 'l, F> {
    pub(super) fn new(
        flash: F,
        layout: &'a FlashLayout,
        log: &'a Log<'l>,
        work: &'a mut [u8],
    ) -> Self {
        Self {
            medium: Medium::new(flash),
            layout,
            log,
            work,
            state: Opened::No,
            ring: None,
            queue: None,
            sequence: 1,
        }
    }

    /// Opens the store if it is not open, and makes it usable whatever is there.
    pub(super) async fn open(&mut self) -> Result<(), MapError> {
        if self.state == Opened::No {
            self.state = match self.medium.check(self.layout) {
                Ok(()) => {
                    self.open_map().await?;
                    Opened::Yes
                }
                Err(error) => {
                    log!(self.log, Error, "storage", "{error}");
                    Opened::Never
                }
            };
        }
        match self.state {
            Opened::Yes => Ok(()),
            Opened::No | Opened::Never => Err(MapError::Flash),
        }
    }

    async fn open_map(&mut self) -> Result<(), MapError> {
        match condition(&mut self.medium, &self.layout.store).await {
            Ok(Condition::Ready) => match self.map().open().await {
                Ok(Format::Present) => Ok(()),
                Ok(Format::Older) => self.migrate().await,
                Ok(Format::Lost) => {
                    log!(
                        self.log,
                        Warn,
                        "storage",
                        "the record of the format is damaged; it is written anew"
                    );
                    self.map().mend_format().await
                }
                Err(MapError::Damaged) => self.start_afresh(Unreadable::Damaged).await,
                Err(MapError::Full) => {
                    // Only the note of an unfinished scrub needs room, and it is there already.
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Ok(Condition::Blank) => {
                log!(self.log, Info, "storage", "first boot: the store is new");
                self.map().format().await
            }
            Err(Unreadable::Flash) => Err(MapError::Flash),
            Err(unreadable) => self.start_afresh(unreadable).await,
        }
    }

    /// Makes an image of version 1 one of version 2: what lies where the outbox is to be goes first, the
    /// version's record comes last. A power cut in between makes the next boot do all of it again.
    async fn migrate(&mut self) -> Result<(), MapError> {
        Queue::clear(&mut self.medium, &self.layout.outbox).await?;
        self.map().raise_format().await?;
        log!(
            self.log,
            Info,
            "storage",
            "the flash is of the present format now, with an outbox"
        );
        Ok(())
    }

    async fn start_afresh(&mut self, why: Unreadable) -> Result<(), MapError> {
        log!(
            self.log,
            Error,
            "storage",
            "{why}; it is erased and begins afresh"
        );
        self.map().start_afresh().await
    }

    fn map(&mut self) -> Map<'_, F> {
        Map {
            medium: &mut self.medium,
            range: self.layout.store.clone(),
            work: self.work,
        }
    }

    /// Carries out one request. A failed flash is tried again with the next one.
    pub(super) async fn carry_out(&mut self, task: &mut Task<'_, '_>, log_size: u32) {
        let (request, buffer) = (&task.request, &mut *task.buffer);
        task.answer = match *request {
            Request::LogAppend { .. } | Request::LogRead { .. } => {
                self.with_log(request, buffer, log_size).await
            }
            Request::Push { .. }
            | Request::NextWaiting { .. }
            | Request::Settle { .. }
            | Request::SettleAll => self.with_queue(request, buffer).await,
            _ => self.with_map(request, buffer).await,
        };
        self.work.zeroize();
    }

    async fn with_map(&mut self, request: &Request, buffer: &mut [u8]) -> Answer {
        let mut mendings = 0;
        let mut tried_again = false;
        loop {
            let result = self.open_and_try(request, buffer).await;
            match result {
                Ok(answer) => return answer,
                // A repair of damaged sectors that makes room says so in this way.
                Err(MapError::Full) if !tried_again && self.medium.take_erased() => {
                    tried_again = true;
                    self.state = Opened::No;
                }
                Err(MapError::Full) => return Err(Failure::Full),
                Err(MapError::Damaged) if mendings < MENDINGS => {
                    mendings += 1;
                    self.state = Opened::No;
                    if mendings == MENDINGS && self.start_afresh(Unreadable::Damaged).await.is_err()
                    {
                        return Err(Failure::Flash);
                    }
                }
                Err(MapError::Damaged | MapError::Flash) => {
                    self.state = match self.state {
                        Opened::Never => Opened::Never,
                        Opened::No | Opened::Yes => Opened::No,
                    };
                    return Err(Failure::Flash);
                }
            }
        }
    }

    async fn open_and_try(
        &mut self,
        request: &Request,
        buffer: &mut [u8],
    ) -> Result<Answer, MapError> {
        self.open().await?;
        let answer = self.try_with_map(request, buffer).await?;
        if self.medium.take_erased() {
            self.map().mend_format().await?;
        }
        Ok(answer)
    }

    async fn try_with_map(
        &mut self,
        request: &Request,
        buffer: &mut [u8],
    ) -> Result<Answer, MapError> {
        let mut map = self.map();
        Ok(Ok(match request {
            Request::Get { key, most } => match map.fetch(key).await? {
                Some(value) => {
                    let length = value.len();
                    // It may have been stored with a larger mailbox than this device has.
                    if length > *most || copy(value, buffer, length).is_none() {
                        return Ok(Err(Failure::BufferTooSmall { needed: length }));
                    }
                    Outcome::Value(length)
                }
                None => Outcome::Nothing,
            },
            Request::Put {
                key,
                length,
                secret,
            } => {
                let value = match buffer.get(..*length) {
                    Some(value) if *length <= VALUE_MOST => value,
                    _ => return Ok(Err(Failure::TooLong { most: VALUE_MOST })),
                };
                if *secret {
                    map.replace(key, value).await?;
                } else {
                    map.store(key, value).await?;
                }
                Outcome::Done
            }
            Request::Forget { key } => {
                map.forget(key).await?;
                Outcome::Done
            }
            Request::NextKey { prefix, after } => {
                let prefix = prefix.as_ref().map_or("", |prefix| prefix.as_str());
                match map.next_key(prefix, after.as_ref()).await? {
                    Some(key) => Outcome::Key(key),
                    None => Outcome::Nothing,
                }
            }
            _ => Outcome::Nothing,
        }))
    }

    async fn with_log(&mut self, request: &Request, buffer: &mut [u8], size: u32) -> Answer {
        if self.state == Opened::Never || self.medium.check(self.layout).is_err() {
            return Err(Failure::Flash);
        }
        let ring = match &mut self.ring {
            Some(ring) => ring,
            none => none.insert(Ring::open(&mut self.medium, &self.layout.log, size).await?),
        };
        match *request {
            Request::LogAppend { length } => {
                let entries = buffer.get(..length).unwrap_or_default();
                ring.append(&mut self.medium, entries, self.work).await?;
                Ok(Outcome::Done)
            }
            Request::LogRead { cursor, most } => {
                let most = most.min(buffer.len());
                let into = &mut buffer[..most];
                let (length, next) = ring.read(&mut self.medium, cursor, into, self.work).await?;
                Ok(Outcome::Chunk(length, next))
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    /// After a failure it is not known what is on flash: the next request opens the queue again.
    async fn with_queue(&mut self, request: &Request, buffer: &mut [u8]) -> Answer {
        // Before an image is of this version, what is in its region is none of the queue's.
        self.open().await.map_err(|_| Failure::Flash)?;
        let answer = self.try_with_queue(request, buffer).await;
        let Some(queue) = &mut self.queue else {
            return answer;
        };
        self.sequence = self.sequence.max(queue.next_sequence());
        let damaged = queue.take_damaged();
        if damaged > 0 {
            log!(
                self.log,
                Warn,
                "storage",
                "{damaged} waiting messages could not be read back and are dropped"
            );
        }
        if matches!(answer, Err(Failure::Flash)) || matches!(request, Request::SettleAll) {
            self.queue = None;
        }
        answer
    }

    async fn try_with_queue(&mut self, request: &Request, buffer: &mut [u8]) -> Answer {
        let medium = &mut self.medium;
        let range = &self.layout.outbox;
        let queue = match &mut self.queue {
            Some(queue) => queue,
            none => none.insert(Queue::open(medium, range, self.sequence, self.work).await?),
        };
        match *request {
            Request::Push {
                length,
                name,
                latest,
            } => {
                let draft = Draft {
                    message: buffer.get(..length).unwrap_or_default(),
                    name,
                    latest,
                };
                let place = queue.push(medium, draft, self.work).await?;
                Ok(Outcome::Waiting {
                    place,
                    name: 0,
                    length: 0,
                })
            }
            Request::NextWaiting { after } => {
                let most = buffer.len();
                Ok(match queue.next(medium, after, most, self.work).await? {
                    Some((place, name, length)) => {
                        copy(self.work, buffer, length).ok_or(Failure::Flash)?;
                        Outcome::Waiting {
                            place,
                            name,
                            length,
                        }
                    }
                    None => Outcome::Nothing,
                })
            }
            Request::Settle { place } => {
                queue.settle(medium, place).await?;
                Ok(Outcome::Done)
            }
            Request::SettleAll => {
                Queue::clear(medium, range).await?;
                Ok(Outcome::Done)
            }
            _ => Ok(Outcome::Nothing),
        }
    }
}
