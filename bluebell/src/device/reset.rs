//! Forgetting everything that was set.
//!
//! Guarantees: a factory reset that was acknowledged is carried out, whenever the power goes: a mark on
//! flash stays until nothing else is left, and the boot begins with it. Before the mark is there,
//! nothing is forgotten.

use heapless::Vec;

use crate::log;
use crate::log::Log;
use crate::storage::{Key, ReadError, Store, WriteError};

/// The mark: the next boot forgets everything.
const RESET: Key = Key::literal("factory.reset");

/// How many keys are taken at a time.
const BATCH: usize = 8;

/// Has the next boot forget everything in the store.
pub(super) async fn at_next_boot(store: &Store<'_>) -> Result<(), WriteError> {
    store.put(&RESET, &[]).await
}

/// Carries out a factory reset that was asked for. To be called before anything is read from the store.
///
/// A flash that fails ends it; the next boot goes on with it.
pub(super) async fn carry_out(store: &Store<'_>, log: &Log<'_>) {
    if !matches!(store.get(&RESET, &mut []).await, Ok(Some(_))) {
        return;
    }
    match forget_all(store).await {
        Ok(()) => log!(
            log,
            Info,
            "device",
            "factory reset: everything is forgotten"
        ),
        Err(Failed) => log!(
            log,
            Error,
            "device",
            "the factory reset is not finished, the flash fails: cycle the power, then replace it"
        ),
    }
}

struct Failed;

impl From<ReadError> for Failed {
    fn from(_: ReadError) -> Self {
        Self
    }
}

impl From<WriteError> for Failed {
    fn from(_: WriteError) -> Self {
        Self
    }
}

async fn forget_all(store: &Store<'_>) -> Result<(), Failed> {
    loop {
        let mut batch = Vec::<Key, BATCH>::new();
        store
            .keys("", &mut |key| {
                if *key != RESET {
                    // What does not fit is met again.
                    let _ = batch.push(*key);
                }
            })
            .await?;
        if batch.is_empty() {
            break;
        }
        for key in &batch {
            store.forget(key).await?;
        }
    }
    store.settle_all().await?;
    Ok(store.forget(&RESET).await?)
}
