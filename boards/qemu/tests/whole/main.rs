//! The application on the emulated machine, judged from outside: what a browser, a broker and the
//! console see of it.
//!
//! Where QEMU or mosquitto is not installed the tests say so and pass, unless `CI` is `true`.

mod counts;
mod device;
mod machine;
mod phone;
mod power;
mod surroundings;
