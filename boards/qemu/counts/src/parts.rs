//! The parts of a device that is counted: everything that is neither the framework's nor the IP stack's
//! costs as little as can be, and nothing is random.

use core::cell::Cell;
use core::convert::Infallible;
use core::net::Ipv4Addr;

use bluebell::board::{Board, FlashLayout, Radio, RadioError, Status, System};
use bluebell::mqtt;
use bluebell::portal::PortalMemory;
use bluebell::wifi::{AccessPoint, Auth, JoinFailure, JoinTarget, Scan, Sighting, Ssid};
use bluebell_network::{Address, Portal, Station};
use critical_section::Mutex;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_storage_async::nor_flash::{
    ErrorType as FlashErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash,
};

use crate::counting::{Count, counted_until_now};

/// The family of types.
pub(crate) struct Counted;

impl Board for Counted {
    type Radio = Air;
    type Flash = Memory;
    type Station = Station;
    type Portal = Portal;
    type PortalMemory = PortalMemory;
    type Console = Nobody;
    type Commands = Nobody;
}

/// Air with one open network in it, which is always joined at once.
pub(crate) struct Air(pub(crate) Address);

/// The network's name.
pub(crate) const SSID: &str = "wire";

impl Radio for Air {
    async fn scan(
        &mut self,
        _scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        if let Ok(ssid) = Ssid::new(SSID) {
            found(Sighting {
                ssid,
                bssid: [2; 6],
                channel: 1,
                rssi: -50,
                auth: Auth::Open,
            });
        }
        Ok(())
    }

    async fn join(&mut self, _target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        Ok(())
    }

    async fn address(&mut self) -> Ipv4Addr {
        self.0.given().await
    }

    async fn lost(&mut self) {
        core::future::pending().await
    }

    async fn leave(&mut self) {}

    fn rssi(&self) -> Option<i8> {
        None
    }

    async fn open_access_point(&mut self, _settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        Ok(())
    }

    async fn close_access_point(&mut self) {}
}

/// NOR flash in RAM, with the least sectors that will do.
pub(crate) struct Memory([u8; Memory::SIZE]);

impl Memory {
    const SECTOR: usize = 4096;
    const SIZE: usize = 6 * Self::SECTOR;

    pub(crate) const fn erased() -> Self {
        Self([0xff; Self::SIZE])
    }

    pub(crate) const fn layout() -> FlashLayout {
        const SECTOR: u32 = Memory::SECTOR as u32;
        FlashLayout {
            store: 0..2 * SECTOR,
            log: 2 * SECTOR..4 * SECTOR,
            outbox: 4 * SECTOR..6 * SECTOR,
        }
    }

    fn place(&mut self, from: u32, length: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let from = from as usize;
        let place = self
            .0
            .get_mut(from..)
            .and_then(|rest| rest.get_mut(..length));
        place.ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl FlashErrorType for Memory {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(self.place(from, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        Self::SIZE
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = Self::SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.place(from, (to - from) as usize)?.fill(0xff);
        Ok(())
    }

    async fn write(&mut self, from: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        for (place, byte) in self.place(from, bytes.len())?.iter_mut().zip(bytes) {
            *place &= byte;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for Memory {}

/// A console at which nobody sits.
pub(crate) struct Nobody;

impl ErrorType for Nobody {
    type Error = Infallible;
}

impl Write for Nobody {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Read for Nobody {
    async fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, Infallible> {
        core::future::pending().await
    }
}

/// The machine as far as a device needs it; what it gives is not random, so that counts repeat.
pub(crate) struct Machine {
    /// What was counted when the portal opened first.
    pub(crate) portal_opened: Mutex<Cell<Option<Count>>>,
    pub(crate) online: Mutex<Cell<bool>>,
    pub(crate) portal: Mutex<Cell<bool>>,
}

impl Machine {
    pub(crate) const fn new() -> Self {
        Self {
            portal_opened: Mutex::new(Cell::new(None)),
            online: Mutex::new(Cell::new(false)),
            portal: Mutex::new(Cell::new(false)),
        }
    }
}

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }

    fn status(&self, status: &Status<'_>) {
        critical_section::with(|section| {
            let opened = self.portal_opened.borrow(section);
            if status.portal && opened.get().is_none() {
                opened.set(Some(counted_until_now()));
            }
            self.portal.borrow(section).set(status.portal);
            let online = status.mqtt == mqtt::State::Online;
            self.online.borrow(section).set(online);
        });
    }
}
