//! Getting on Wi-Fi and staying there: the runner with its policy, in a simulated world.

mod joining;
mod portal;
mod soak;
mod storing;
mod world;
