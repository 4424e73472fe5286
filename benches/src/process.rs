//! Programs that are measured: started, asked what they have used, and ended.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What went wrong, in words for the person who started the run.
pub(crate) type Failure = String;

/// A program that ends when this goes.
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    /// Starts a program whose output nobody reads.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}; install it"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// Waits until it takes connections.
    pub(crate) fn listening(mut self, address: SocketAddr) -> Result<Self, Failure> {
        let due = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            let name = &self.name;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{name} has ended: {status}; start it by hand"));
            }
            if Instant::now() > due {
                return Err(format!("{name} does not listen on {address}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(self)
    }

    /// The processor time that its threads have taken so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64, Failure> {
        cpu_of(self.child.id()).map_err(|error| format!("{} cannot be asked: {error}", self.name))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In nanoseconds, as the scheduler counts them: `stat` has hundredths of a second only.
fn cpu_of(process: u32) -> io::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split(' ').next().unwrap_or_default();
        nanoseconds += first.parse::<f64>().map_err(io::Error::other)?;
    }
    Ok(nanoseconds / 1e9)
}

/// An address of this machine that is free.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, sim::port::free()).into()
}

/// A program that was built with this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let path = own.with_file_name(name);
    if !path.is_file() {
        let path = path.display();
        return Err(format!("{path} is not built: start with make bench"));
    }
    Ok(path)
}

/// Where a program of Debian is; some lie outside of a user's path.
pub(crate) fn installed(name: &str) -> PathBuf {
    let apart = Path::new("/usr/sbin").join(name);
    if apart.is_file() { apart } else { name.into() }
}

/// A folder for the length of the run.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let number = std::process::id();
        let path = std::env::temp_dir().join(format!("bluebell-bench-{number}-{name}"));
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        std::fs::write(&path, content).map_err(|error| error.to_string())?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
