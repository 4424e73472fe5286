//! The board as a whole, in processes of its own, as a person and a program meet it.

mod board;
mod broker;
mod support;
