//! Whether the rest of the device goes on while the whole region is walked over.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embassy_futures::block_on;
use sim::flash::{Flash, SECTOR};

use crate::storage::Key;
use crate::storage::items::{scrub, scrub_astray};
use crate::storage::map::{Map, MapError, condition};
use crate::storage::medium::Medium;

const SECTORS: usize = 8;
const REGION: core::ops::Range<u32> = 0..(SECTORS * SECTOR) as u32;

/// How often others have had a turn until it is done.
fn turns(what: impl Future) -> usize {
    let mut what = pin!(what);
    let mut turns = 0;
    block_on(poll_fn(|context| match what.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(turns),
        Poll::Pending => {
            turns += 1;
            Poll::Pending
        }
    }))
}

/// As many values as go in, all of them short.
fn full() -> Flash {
    let flash = Flash::new(SECTORS);
    block_on(async {
        let mut map = Map {
            medium: &mut Medium::new(flash.clone()),
            range: REGION,
            work: &mut [0; SECTOR - 8],
        };
        for number in 0.. {
            let key = Key::numbered("key", number).unwrap();
            match map.add(&key, b"").await {
                Ok(()) => {}
                Err(error) => return assert_eq!(error, MapError::Full),
            }
        }
    });
    flash
}

#[test]
fn others_have_a_turn_in_each_sector_that_is_walked_over() {
    let key = Key::literal("other");
    let flash = full();
    let medium = || Medium::new(flash.clone());
    assert!(turns(scrub(&mut medium(), REGION, &key, None)) >= SECTORS - 2);
    assert!(turns(scrub_astray(&mut medium(), REGION, b"other")) >= SECTORS - 2);
    assert!(turns(condition(&mut medium(), &REGION)) >= SECTORS - 2);
}

#[test]
fn others_have_a_turn_in_each_sector_that_is_blank() {
    let mut medium = Medium::new(Flash::new(SECTORS));
    assert!(turns(condition(&mut medium, &REGION)) >= SECTORS - 2);
}
