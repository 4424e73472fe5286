//! Many clients, and clients and owners that go away.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::vec::Vec;

use embassy_futures::block_on;
use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select};

use super::{boot, chip, layout, noise, read};
use crate::log::Log;
use crate::storage::{Key, ReadError, Store, StoreMemory, WriteError};

const A: Key = Key::literal("a");
const B: Key = Key::literal("b");

/// Polls a future so many times and drops it.
async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(fewer) => {
            left = fewer;
            context.waker().wake_by_ref();
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

#[test]
fn a_client_that_goes_away_at_any_time_tears_nothing_and_holds_up_nobody() {
    let (old, new) = (noise(1, 200), noise(2, 300));
    let mut given_up = 0;
    for polls in 0.. {
        let flash = chip();
        let done = boot(&flash, async |store| {
            store.put(&A, &old).await.unwrap();
            let put = give_up_after(polls, store.put_secret(&A, &new)).await;
            store.put(&B, b"next").await.unwrap();
            assert_eq!(read(store, &B).await.unwrap(), b"next");
            let found = read(store, &A).await.unwrap();
            assert!(found == new || (put.is_none() && found == old));
            let mut buffer = [0; 300];
            let got = give_up_after(polls, store.get(&A, &mut buffer)).await;
            assert!(got.is_none_or(|got| got.unwrap().unwrap() == found));
            let mut again = 0;
            store.keys("", &mut |_| again += 1).await.unwrap();
            assert_eq!(again, 2);
            put.is_some()
        });
        if done {
            break;
        }
        given_up += 1;
    }
    assert!(given_up > 2, "{given_up}");
}

#[test]
fn clients_at_the_same_time_are_served_one_after_the_other() {
    let flash = chip();
    boot(&flash, async |store| {
        let keys: [Key; 12] = core::array::from_fn(|number| Key::numbered("k", number).unwrap());
        let all = keys.map(|key| async move {
            let mine = noise(u32::from(key.as_str().as_bytes()[2]), 150);
            for _ in 0..3 {
                store.put(&key, &mine[..100]).await.unwrap();
                store.put_secret(&key, &mine).await.unwrap();
                assert_eq!(read(store, &key).await.unwrap(), mine);
            }
        });
        join_array(all).await;
    });
}

#[test]
fn a_client_that_asks_without_pause_does_not_hold_up_another() {
    boot(&chip(), async |store| {
        let asked = Cell::new(0);
        let greedy = async {
            loop {
                read(store, &A).await;
                asked.set(asked.get() + 1);
            }
        };
        let modest = async {
            for _ in 0..5 {
                store.put(&B, b"modest").await.unwrap();
            }
        };
        match select(greedy, modest).await {
            Either::First(never) => never,
            Either::Second(()) => assert!(asked.get() < 20, "{}", asked.get()),
        }
    });
}

#[test]
fn an_owner_that_goes_away_answers_and_the_next_one_goes_on() {
    let flash = chip();
    let layout = layout(super::SECTORS, super::OUTBOX);
    let mut memory = StoreMemory::<512>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    let value = noise(1, 400);
    let mut interrupted = 0;
    for polls in 0..40 {
        let answers = Cell::new([Err(WriteError::Full); 2]);
        block_on(async {
            let serve = give_up_after(polls, store.serve(flash.clone(), &layout, &log));
            let ask = async {
                let forgotten = store.forget(&A).await;
                answers.set([forgotten, store.put(&A, &value).await]);
            };
            let owners = async {
                serve.await;
                select(
                    store.serve(flash.clone(), &layout, &log),
                    store.serve(flash.clone(), &layout, &log),
                )
                .await;
            };
            select(owners, ask).await;
        });
        for answer in answers.get() {
            assert!(matches!(answer, Ok(()) | Err(WriteError::Flash)));
            interrupted += usize::from(answer.is_err());
        }
    }
    assert!(interrupted > 0);
}

#[test]
fn what_does_not_fit_is_refused_with_the_remedy() {
    boot(&chip(), async |store| {
        let error = store.put(&A, &[7; 3585]).await.unwrap_err();
        assert_eq!(error, WriteError::TooLong { most: 3584 });
        assert_eq!(
            std::format!("{error}"),
            "a value may have at most 3584 bytes: shorten it"
        );
        for length in [3584, 64, 1, 0] {
            store.put(&A, &noise(1, length)).await.unwrap();
            assert_eq!(read(store, &A).await.unwrap(), noise(1, length));
        }
        store.put(&A, &[7; 100]).await.unwrap();
        let error = store.get(&A, &mut [0; 99]).await.unwrap_err();
        assert_eq!(error, ReadError::BufferTooSmall { needed: 100 });
    });
}

#[test]
fn keys_are_listed_by_prefix_in_order_and_without_the_stores_own() {
    boot(&chip(), async |store| {
        for name in ["wifi/1", "app/b", "wifi/0", "wifi", "app/a", "wifi/10"] {
            store.put(&Key::new(name).unwrap(), b"x").await.unwrap();
            store.put(&Key::new(name).unwrap(), b"y").await.unwrap();
        }
        store.forget(&Key::literal("wifi/1")).await.unwrap();
        for (prefix, expected) in [
            ("wifi/", &["wifi/0", "wifi/10"][..]),
            ("app/", &["app/a", "app/b"]),
            ("", &["app/a", "app/b", "wifi", "wifi/0", "wifi/10"]),
            ("other", &[]),
            ("!", &[]),
            ("no key at all", &[]),
        ] {
            let mut found = Vec::new();
            let mut visit = |key: &Key| found.push(std::string::String::from(key.as_str()));
            store.keys(prefix, &mut visit).await.unwrap();
            assert_eq!(found, expected, "{prefix}");
        }
    });
}
