//! Random histories against a model.

use proptest::prelude::*;
use sim::flash::Flash;

use super::{Values, boot, everything, histories, noise};
use crate::storage::{Key, Store, WriteError};

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: u8,
        length: usize,
        secret: bool,
    },
    Forget {
        key: u8,
    },
    Reboot,
    /// Cuts the power soon.
    Cut {
        operations: u64,
        words: usize,
    },
}

fn step(cuts: bool) -> impl Strategy<Value = Step> {
    let length = prop_oneof![0_usize..40, 0_usize..400, 400_usize..1100];
    prop_oneof![
        8 => (0_u8..6, length, any::<bool>())
            .prop_map(|(key, length, secret)| Step::Put { key, length, secret }),
        3 => (0_u8..6).prop_map(|key| Step::Forget { key }),
        1 => Just(Step::Reboot),
        u32::from(cuts) * 3 => (0_u64..12, 0_usize..1100)
            .prop_map(|(operations, words)| Step::Cut { operations, words }),
    ]
}

fn key(number: u8) -> Key {
    Key::numbered("key", usize::from(number)).unwrap()
}

async fn act(store: &Store<'_>, step: &Step, seed: u32) -> Result<(), WriteError> {
    match *step {
        Step::Put {
            key: number,
            length,
            secret: false,
        } => store.put(&key(number), &noise(seed, length)).await,
        Step::Put {
            key: number,
            length,
            secret: true,
        } => store.put_secret(&key(number), &noise(seed, length)).await,
        Step::Forget { key: number } => store.forget(&key(number)).await,
        Step::Reboot | Step::Cut { .. } => Ok(()),
    }
}

fn apply(values: &mut Values, step: &Step, seed: u32) {
    match *step {
        Step::Put {
            key: number,
            length,
            ..
        } => {
            values.insert(key(number), noise(seed, length));
        }
        Step::Forget { key: number } => {
            values.remove(&key(number));
        }
        Step::Reboot | Step::Cut { .. } => {}
    }
}

/// Lives through `steps`, one boot for each run between reboots and cuts.
fn live(steps: &[Step], sectors: usize) -> Flash {
    let flash = Flash::new(sectors + 2 + super::OUTBOX);
    let mut model = Values::new();
    let mut next = 0;
    while next < steps.len() {
        // What was under way when the power went.
        let interrupted = boot(&flash, async |store| {
            while let Some(step) = steps.get(next) {
                let seed = next as u32;
                next += 1;
                match step {
                    Step::Reboot => return None,
                    Step::Cut { operations, words } => flash.cut_power(*operations, *words),
                    _ => {}
                }
                match act(store, step, seed).await {
                    Ok(()) => apply(&mut model, step, seed),
                    Err(WriteError::Full) => assert!(!flash.is_dead()),
                    Err(error) => {
                        assert!(flash.is_dead(), "{error} at {step:?}");
                        return Some((step, seed));
                    }
                }
            }
            None
        });
        flash.revive();
        let found = boot(&flash, everything);
        if let Some((step, seed)) = interrupted
            && found != model
        {
            apply(&mut model, step, seed);
        }
        assert_eq!(found, model, "after step {next}");
    }
    flash
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(3)))]

    #[test]
    fn every_history_leaves_what_was_acknowledged(
        steps in proptest::collection::vec(step(false), 1..60), sectors in 2_usize..6,
    ) {
        let flash = live(&steps, sectors);
        prop_assert_eq!(flash.counts().bits_lost, 0);
    }

    #[test]
    fn every_history_with_cuts_leaves_what_was_acknowledged(
        steps in proptest::collection::vec(step(true), 1..60), sectors in 2_usize..6,
    ) {
        live(&steps, sectors);
    }
}

#[test]
fn a_full_store_keeps_everything_and_takes_more_once_something_is_forgotten() {
    let flash = super::chip();
    boot(&flash, async |store| {
        let mut number = 0;
        let full = loop {
            match store
                .put_secret(&key(number), &noise(number.into(), 500))
                .await
            {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full, WriteError::Full);
        assert!(number > 12, "{number} values of 500 bytes fit");
        let values = everything(store).await;
        assert_eq!(values.len(), usize::from(number));
        store.forget(&key(3)).await.unwrap();
        assert!(!flash.contains(&noise(3, 500)));
        store.put(&key(200), &noise(200, 500)).await.unwrap();
        for kept in (0..number).filter(|kept| *kept != 3) {
            assert_eq!(
                super::read(store, &key(kept)).await,
                Some(noise(kept.into(), 500))
            );
        }
    });
}
