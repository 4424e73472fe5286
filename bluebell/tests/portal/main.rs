//! The portal as people, browsers and attackers meet it, in virtual time.

mod abuse;
mod captive;
mod connections;
mod routes;
mod world;
