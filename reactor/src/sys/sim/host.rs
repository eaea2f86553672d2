//! The hosts of a simulated kernel.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::kernel::Kernel;
use super::placeholder::SocketId;
use super::record::HostId;
use super::state::{HostState, State};

impl Kernel {
    /// Creates a kernel in real time, and returns its only host.
    pub(in super::super) fn alone() -> io::Result<Host> {
        let loopback = [false, true].map(super::address::loopback);
        Kernel::with_time(0, true).add_host("localhost", loopback)
    }

    /// Adds a host.
    ///
    /// # Errors
    /// Returns `AlreadyExists` if a host has the name, and `AddrInUse` if one has the address.
    pub fn add_host(
        &self,
        name: &str,
        addrs: impl IntoIterator<Item = IpAddr>,
    ) -> io::Result<Host> {
        let addrs = addrs.into_iter().collect();
        let id = self.with(|state| state.add_host(name, addrs))?;
        Ok(self.host_with(id))
    }

    /// Returns the host with a name.
    pub fn host(&self, name: &str) -> Option<Host> {
        let found = self.with(|state| state.hosts.iter().position(|host| host.name == name))?;
        Some(self.host_with(HostId(found as u32)))
    }

    /// Returns all hosts, in the order in which they were added.
    pub fn hosts(&self) -> Vec<Host> {
        let count = self.with(|state| state.hosts.len() as u32);
        (0..count).map(|id| self.host_with(HostId(id))).collect()
    }

    fn host_with(&self, id: HostId) -> Host {
        let kernel = self.clone();
        Host { kernel, id }
    }
}

/// A host of a [`Kernel`].
#[derive(Clone, Debug)]
pub struct Host {
    pub(super) kernel: Kernel,
    pub(super) id: HostId,
}

impl Host {
    /// Returns the number of the host.
    pub fn id(&self) -> HostId {
        self.id
    }

    /// Returns the name of the host.
    pub fn name(&self) -> String {
        self.with_host(|host| host.name.clone())
    }

    /// Returns the addresses of the host, without those of its loopback interface.
    pub fn addrs(&self) -> Vec<IpAddr> {
        self.with_host(|host| host.addrs.clone())
    }

    /// Returns the addresses that a name has on this host: those of the host with the name, or of
    /// the loopback interface for `localhost`.
    pub fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if name == "localhost" {
            return [false, true].map(super::address::loopback).into();
        }
        self.kernel.resolve(name)
    }

    /// Returns the kernel of the host.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Returns true if a turn of the host's reactor would report an event.
    pub fn has_ready(&self) -> bool {
        self.kernel
            .ask(|state| !state.host(self.id).changed.is_empty())
    }

    /// Returns descriptions of the sockets that programs of the host have open, such as
    /// `TCP 10.0.0.1:80 -> 10.0.0.2:5123`.
    pub fn open_sockets(&self) -> Vec<String> {
        self.kernel.with(|state| {
            let own = |socket: &&SocketId| {
                let socket = &state.sockets[*socket];
                socket.host == self.id && socket.is_held
            };
            let ids: Vec<SocketId> = state.sockets.keys().filter(own).copied().collect();
            ids.into_iter().map(|id| state.describe(id)).collect()
        })
    }

    fn with_host<R>(&self, f: impl FnOnce(&HostState) -> R) -> R {
        self.kernel.with(|state| f(state.host(self.id)))
    }

    /// Calls `f` with the socket that a descriptor refers to.
    ///
    /// # Errors
    /// Returns `Unsupported` if the descriptor is no socket of this host.
    pub(super) fn with_socket<R>(
        &self,
        fd: BorrowedFd<'_>,
        f: impl FnOnce(&mut State, SocketId) -> io::Result<R>,
    ) -> io::Result<R> {
        self.kernel.with(|state| {
            let id = state.find(self.id, fd)?;
            f(state, id)
        })
    }

    /// Calls `f` as [`with_socket`](Host::with_socket) does, to send or receive. Looks for closed
    /// descriptors only if that can matter: what is closed on this host reaches the peer of a
    /// connection to another host later.
    pub(super) fn transfer<R>(
        &self,
        fd: BorrowedFd<'_>,
        f: impl FnOnce(&mut State, SocketId) -> io::Result<R>,
    ) -> io::Result<R> {
        self.kernel.with_state(|state| {
            let id = state.find(self.id, fd)?;
            if !state.has_remote_peer(id) {
                state.close_abandoned();
            }
            f(state, id)
        })
    }

    /// Forgets what a number refers to. To be called when the program makes a socket of a
    /// descriptor that may be any.
    pub fn forget_number(&self, fd: BorrowedFd<'_>) {
        self.kernel.forget_number(fd);
    }
}
