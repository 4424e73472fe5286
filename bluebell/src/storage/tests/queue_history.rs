//! Random histories of messages that wait, with power cuts, against a model.

use std::vec::Vec;

use proptest::prelude::*;
use sim::flash::Flash;

use super::{CHIP, OUTBOX, SECTORS, histories, noise, push, waiting};
use crate::storage::{Store, WriteError};

#[derive(Debug, Clone)]
enum Step {
    Push {
        name: u8,
        length: usize,
        latest: bool,
    },
    Settle {
        number: usize,
    },
    Reboot,
    /// Cuts the power soon.
    Cut {
        operations: u64,
        words: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4, prop_oneof![0_usize..60, 0_usize..400, 400_usize..1300], any::<bool>())
            .prop_map(|(name, length, latest)| Step::Push { name, length, latest }),
        6 => prop_oneof![3 => Just(0), 1 => 0_usize..30].prop_map(|number| Step::Settle { number }),
        1 => Just(Step::Reboot),
        1 => (0_u64..9, 0_usize..1100).prop_map(|(operations, words)| Step::Cut { operations, words }),
    ]
}

type Model = Vec<(bool, Vec<u8>)>;

/// What may wait after a step of which only some was done, beside what waited before.
fn after(model: &Model, step: &Step, seed: u32) -> Vec<Model> {
    match *step {
        Step::Push {
            name,
            length,
            latest,
        } => {
            let new = content(name, length, seed);
            let replaced =
                |(old, message): &(bool, Vec<u8>)| latest && *old && message[..2] == new[..2];
            let gone = |(index, one)| replaced(one).then_some(index);
            let gone: Vec<usize> = model.iter().enumerate().filter_map(gone).collect();
            // An earlier cut may have left more than one that goes, one after the other in no set order.
            let some = |choice: u32| {
                let goes = |index: usize| {
                    let bit = gone.iter().position(|of| *of == index);
                    bit.is_some_and(|bit| choice >> bit & 1 == 1)
                };
                let mut with = model.clone();
                let mut index = 0;
                with.retain(|_| {
                    index += 1;
                    !goes(index - 1)
                });
                with.push((latest, new.clone()));
                with
            };
            (0..1 << gone.len()).map(some).collect()
        }
        Step::Settle { number } => {
            let mut model = model.clone();
            if number < model.len() {
                model.remove(number);
            }
            std::vec![model]
        }
        Step::Reboot | Step::Cut { .. } => std::vec![model.clone()],
    }
}

fn content(name: u8, length: usize, seed: u32) -> Vec<u8> {
    let mut content = noise(seed + 1, length + 2);
    content[..2].copy_from_slice(&[b'n', name]);
    content.extend(seed.to_le_bytes());
    content
}

async fn act(store: &Store<'_>, step: &Step, seed: u32) -> Result<(), WriteError> {
    match *step {
        Step::Push {
            name,
            length,
            latest,
        } => push(store, &content(name, length, seed), latest)
            .await
            .map(|_| ()),
        Step::Settle { number } => {
            let mut sequence = 0;
            let mut place = None;
            for _ in 0..=number {
                let mut take = |waiting: crate::storage::Waiting<'_>| place = Some(waiting.place);
                match store.next_waiting(sequence, &mut take).await {
                    Ok(true) => sequence = place.map_or(0, |place| place.sequence),
                    Ok(false) => return Ok(()),
                    Err(_) => return Err(WriteError::Flash),
                }
            }
            store.settle(place.unwrap()).await
        }
        Step::Reboot | Step::Cut { .. } => Ok(()),
    }
}

/// Lives through `steps` with an outbox of so many sectors.
fn live(steps: &[Step], outbox: usize) {
    let flash = Flash::new(CHIP - OUTBOX + outbox);
    let layout = super::layout(SECTORS, outbox);
    let mut model = Model::new();
    let mut next = 0;
    while next < steps.len() {
        let interrupted = super::boot_with(&flash, &layout, async |store| {
            while let Some(step) = steps.get(next) {
                let seed = next as u32;
                next += 1;
                match step {
                    Step::Reboot => return None,
                    Step::Cut { operations, words } => flash.cut_power(*operations, *words),
                    _ => {}
                }
                match act(store, step, seed).await {
                    Ok(()) => model = after(&model, step, seed).pop().unwrap(),
                    Err(WriteError::Full) => assert!(!flash.is_dead()),
                    Err(error) => {
                        assert!(flash.is_dead(), "{error} at {step:?}");
                        return Some((step, seed));
                    }
                }
            }
            None
        })
        .0;
        flash.revive();
        let found = super::boot_with(&flash, &layout, waiting).0;
        let found: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
        let matches = |model: &Model| model.iter().map(|(_, message)| message).eq(&found);
        if let Some((step, seed)) = interrupted
            && let Some(done) = after(&model, step, seed).into_iter().find(matches)
        {
            model = done;
        }
        assert!(matches(&model), "after step {next}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(3)))]

    #[test]
    fn every_history_with_cuts_leaves_the_messages_that_wait(
        steps in proptest::collection::vec(step(), 1..80), outbox in 2_usize..5,
    ) {
        live(&steps, outbox);
    }
}

/// Behind the torn one, the last one's beginning has the check of a header by chance.
#[test]
fn a_record_torn_after_its_first_word_costs_no_later_one() {
    let push = |length, latest| Step::Push {
        name: 0,
        length,
        latest,
    };
    let cut = Step::Cut {
        operations: 0,
        words: 1,
    };
    let mut steps = std::vec![push(0, false); 5];
    steps.extend([cut, push(5, true), push(5, true)]);
    live(&steps, 2);
}
