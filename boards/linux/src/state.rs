//! The folder in which the board keeps what survives a power cycle.
//!
//! Guarantees: one board at a time uses it; a file in it is either the old or the new one, whenever
//! the process is killed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a board that was just killed may still hold the folder.
const PATIENCE: Duration = Duration::from_millis(500);

/// The board's folder, held for as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// Another board runs on it.
    InUse(PathBuf),
    /// A file or the folder itself cannot be made or read.
    File(PathBuf, io::Error),
}

impl std::fmt::Display for StateError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse(path) => write!(
                formatter,
                "another board runs on {}: stop it, or give this one its own --state",
                path.display()
            ),
            Self::File(path, error) => write!(
                formatter,
                "cannot use {}: {error}; give a folder that can be written with --state",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateError {}

impl StateFolder {
    /// Opens the folder, which is made where it is missing, and holds it against other boards.
    ///
    /// # Errors
    ///
    /// When another board holds it, or it cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::File(path.to_owned(), source);
        std::fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The board's hardware address: random when it was made, and the same ever since.
    ///
    /// # Errors
    ///
    /// When the file that keeps it cannot be read or made.
    pub fn hardware_address(&self) -> Result<[u8; 6], StateError> {
        let path = self.path.join("hardware-address");
        let failed = |source| StateError::File(path.clone(), source);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                if let Some(address) = parse_address(&text) {
                    return Ok(address);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(failed(error)),
        }
        let mut address = [0; 6];
        getrandom::fill(&mut address)
            .map_err(|error| failed(io::Error::other(error.to_string())))?;
        // IEEE 802: a locally administered address of one station.
        address[0] = (address[0] & 0xfc) | 0x02;
        let text = address.map(|byte| format!("{byte:02x}")).join(":");
        self.replace("hardware-address", text.as_bytes())?;
        Ok(address)
    }

    /// Puts `wifi.json` onto the device.
    ///
    /// # Errors
    ///
    /// When the copy cannot be written.
    pub fn provision(&self, bytes: &[u8]) -> Result<(), StateError> {
        self.replace("wifi.json", bytes)
    }

    /// The device's `wifi.json`.
    #[must_use]
    pub fn wifi_json(&self) -> WifiJson {
        WifiJson {
            path: self.path.join("wifi.json"),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        let unfinished = self.path.join(format!("{name}.new"));
        std::fs::write(&unfinished, bytes)
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .map_err(|source| StateError::File(path, source))
    }
}

fn parse_address(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.trim().split(':');
    for byte in &mut address {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    (parts.next().is_none() && address[0] & 1 == 0).then_some(address)
}

/// A `wifi.json` that was put onto the device and waits to be taken in.
#[derive(Debug, Clone)]
pub struct WifiJson {
    path: PathBuf,
}

impl WifiJson {
    /// The file's bytes; `None` when there is none, or none that can be read.
    #[must_use]
    pub fn read(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.path).ok()
    }

    /// Overwrites the file and removes it, once what it held is sealed.
    ///
    /// # Errors
    ///
    /// When the file stays: it will be taken in again at the next boot.
    pub fn erase(&self) -> io::Result<()> {
        let length = match std::fs::metadata(&self.path) {
            Ok(file) => usize::try_from(file.len()).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let file = File::options().write(true).open(&self.path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; length], 0)?;
        std::fs::remove_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_board_on_the_same_folder_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/below");
        let first = StateFolder::open(&path).unwrap();
        let refused = StateFolder::open(&path).unwrap_err().to_string();
        assert!(
            refused.contains("below") && refused.contains("--state"),
            "{refused}"
        );
        drop(first);
        StateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "").unwrap();
        let error = StateFolder::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("file") && error.contains("--state"),
            "{error}"
        );
    }

    #[test]
    fn the_hardware_address_stays_and_is_made_anew_when_it_is_spoilt() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(parent.path()).unwrap();
        let address = folder.hardware_address().unwrap();
        assert_eq!(address[0] & 0x03, 0x02);
        assert_eq!(folder.hardware_address().unwrap(), address);
        std::fs::write(parent.path().join("hardware-address"), [0xff, 0]).unwrap();
        let fresh = folder.hardware_address().unwrap();
        assert_eq!(folder.hardware_address().unwrap(), fresh);
    }

    #[test]
    fn wifi_json_is_there_until_it_is_erased() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(parent.path()).unwrap();
        assert_eq!(folder.wifi_json().read(), None);
        folder.provision(b"{}").unwrap();
        assert_eq!(folder.wifi_json().read(), Some(b"{}".to_vec()));
        folder.wifi_json().erase().unwrap();
        folder.wifi_json().erase().unwrap();
        assert_eq!(folder.wifi_json().read(), None);
    }
}
