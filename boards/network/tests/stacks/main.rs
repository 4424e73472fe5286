//! What a network does to the stacks, over two real ones and a wire between them, in virtual time.

mod address;
mod guard;
mod wire;
