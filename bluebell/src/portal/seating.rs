//! The portal's memory, whatever its size: what a board chooses.

use core::convert::Infallible;

use edge_nal::TcpBind;

use super::{Backend, PortalMemory, serve};
use crate::log::Log;
use crate::uploads::Uploads;

/// Memory that a portal can be served in; [`PortalMemory`] of any size.
pub trait Seating: Sized {
    /// Memory of a portal that has not served anybody yet.
    const EMPTY: Self;

    /// Memory for whoever needs some while nobody is served, at least
    /// [`MAX_TEXT`](crate::config::MAX_TEXT) bytes.
    fn scratch(&mut self) -> &mut [u8];

    /// See [`serve`].
    async fn serve<S: TcpBind>(
        &mut self,
        stack: &S,
        backend: &dyn Backend,
        uploads: Option<&Uploads<'_>>,
        log: &Log<'_>,
    ) -> Infallible;
}

impl<const WORKERS: usize, const HEAD: usize> Seating for PortalMemory<WORKERS, HEAD> {
    const EMPTY: Self = Self::new();

    fn scratch(&mut self) -> &mut [u8] {
        self.scratch()
    }

    async fn serve<S: TcpBind>(
        &mut self,
        stack: &S,
        backend: &dyn Backend,
        uploads: Option<&Uploads<'_>>,
        log: &Log<'_>,
    ) -> Infallible {
        serve(stack, backend, uploads, self, log).await
    }
}
