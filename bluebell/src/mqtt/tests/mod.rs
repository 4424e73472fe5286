//! The client against an implementation of MQTT that is not ours.

mod again;
mod alive;
mod broker;
mod codec;
mod device;
mod hostile;
mod network;
mod outages;
mod outbound;
mod peer;
mod runner;
mod session;
mod walk;
