//! Unix sockets: streams and datagrams within one host, without latency.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;

use super::address::UnixName;
use super::placeholder::SocketId;
use super::record::HostId;
use super::socket::{
    Body, DatagramSocket, Listener, Message, Socket, SocketOption, StreamSocket, StreamState,
};
use super::state::{State, os};
use super::tcp::copy_out;
use super::udp::copy_to;

/// The number of datagrams that wait in a queue (`net.unix.max_dgram_qlen`), and one more.
pub(super) const MAX_QUEUED: usize = 11;

/// A message of a Unix socket, or bytes of a stream.
#[derive(Debug, Default)]
pub struct ReceivedMessage {
    /// The number of bytes that were copied.
    pub len: usize,
    /// The length of the datagram; of a stream `len`.
    pub full_len: usize,
    /// The name of the sender, of a datagram.
    pub from: UnixName,
    /// The descriptors that came along.
    pub rights: Vec<OwnedFd>,
}

impl Socket {
    fn stream(&self) -> io::Result<&StreamSocket> {
        match &self.body {
            Body::Stream(socket) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }
}

impl State {
    fn stream_mut(&mut self, id: SocketId) -> io::Result<&mut StreamSocket> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Stream(socket)) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }

    fn datagram_mut(&mut self, id: SocketId) -> io::Result<&mut DatagramSocket> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Datagram(socket)) => Ok(socket),
            _ => Err(os(libc::EOPNOTSUPP)),
        }
    }

    fn stream_peer(&self, id: SocketId) -> Option<SocketId> {
        match &self.sockets.get(&id)?.stream().ok()?.state {
            StreamState::Connected { peer, .. } => *peer,
            _ => None,
        }
    }

    /// Creates two connected sockets.
    pub(super) fn unix_pair(
        &mut self,
        host: HostId,
        stream: bool,
    ) -> io::Result<(OwnedFd, OwnedFd)> {
        let body = || {
            if stream {
                Body::Stream(StreamSocket::default())
            } else {
                Body::Datagram(DatagramSocket::default())
            }
        };
        let (one, one_fd) = self.open_socket(host, body())?;
        let (two, two_fd) = match self.open_socket(host, body()) {
            Ok(opened) => opened,
            Err(e) => {
                self.remove_socket(one);
                return Err(e);
            }
        };
        for (id, other) in [(one, two), (two, one)] {
            if stream {
                self.stream_mut(id)?.state = StreamState::Connected {
                    peer: Some(other),
                    peer_name: UnixName::Unnamed,
                };
            } else {
                self.datagram_mut(id)?.peer = Some((other, UnixName::Unnamed));
            }
        }
        Ok((one_fd, two_fd))
    }

    pub(super) fn bind_unix(&mut self, id: SocketId, name: &UnixName) -> io::Result<()> {
        let host = self.sockets[&id].host;
        if self.unix_name(id)? != UnixName::Unnamed {
            return Err(os(libc::EINVAL));
        }
        let name = match name {
            UnixName::Unnamed => self.host_mut(host).free_name(),
            name => name.clone(),
        };
        if let (UnixName::Path(path), true) = (&name, self.names_are_files) {
            let created = File::create_new(path);
            created.map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => os(libc::EADDRINUSE),
                _ => e,
            })?;
        } else if self.host(host).names.contains_key(&name) {
            return Err(os(libc::EADDRINUSE));
        }
        if let UnixName::Path(path) = &name {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                return Err(os(libc::ENOENT));
            }
        }
        self.host_mut(host).names.insert(name.clone(), id);
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Stream(socket)) => socket.name = name,
            Some(Body::Datagram(socket)) => socket.name = name,
            _ => {}
        }
        Ok(())
    }

    /// Returns the name of a socket.
    pub(super) fn unix_name(&self, id: SocketId) -> io::Result<UnixName> {
        match &self.sockets[&id].body {
            Body::Stream(socket) => Ok(socket.name.clone()),
            Body::Datagram(socket) => Ok(socket.name.clone()),
            _ => Err(os(libc::EAFNOSUPPORT)),
        }
    }

    /// Returns the name of the peer.
    pub(super) fn unix_peer_name(&self, id: SocketId) -> io::Result<UnixName> {
        match &self.sockets[&id].body {
            Body::Stream(StreamSocket {
                state: StreamState::Connected { peer_name, .. },
                ..
            }) => Ok(peer_name.clone()),
            Body::Datagram(DatagramSocket {
                peer: Some((_, name)),
                ..
            }) => Ok(name.clone()),
            _ => Err(os(libc::ENOTCONN)),
        }
    }

    /// Returns the socket with a name.
    fn named(&self, host: HostId, name: &UnixName) -> io::Result<SocketId> {
        if *name == UnixName::Unnamed {
            return Err(os(libc::EINVAL));
        }
        let found = self.host(host).names.get(name).copied();
        if let (UnixName::Path(path), true) = (name, self.names_are_files) {
            // A file stays when its socket is closed, and a socket when its file is removed.
            path.metadata()?;
            return found.ok_or_else(|| os(libc::ECONNREFUSED));
        }
        found.ok_or_else(|| match name {
            UnixName::Path(_) => os(libc::ENOENT),
            _ => os(libc::ECONNREFUSED),
        })
    }

    pub(super) fn listen_stream(&mut self, id: SocketId, backlog: usize) -> io::Result<()> {
        let socket = self.stream_mut(id)?;
        if socket.name == UnixName::Unnamed {
            return Err(os(libc::EINVAL));
        }
        match &mut socket.state {
            StreamState::Listening(listener) => listener.backlog = backlog,
            StreamState::Connected { .. } => return Err(os(libc::EINVAL)),
            StreamState::Idle => {
                socket.state = StreamState::Listening(Listener {
                    backlog,
                    begun: 0,
                    queue: VecDeque::new(),
                });
            }
        }
        self.touch(id);
        Ok(())
    }

    pub(super) fn connect_unix(&mut self, id: SocketId, name: &UnixName) -> io::Result<()> {
        let host = self.sockets[&id].host;
        let target = self.named(host, name)?;
        let own_name = self.unix_name(id)?;
        if let Body::Datagram(_) = self.sockets[&id].body {
            self.datagram_mut(target)
                .map_err(|_| os(libc::EPROTOTYPE))?;
            self.datagram_mut(id)?.peer = Some((target, name.clone()));
            self.touch(id);
            return Ok(());
        }
        match &self.sockets[&id].stream()?.state {
            StreamState::Idle => {}
            StreamState::Listening(_) => return Err(os(libc::EINVAL)),
            StreamState::Connected { .. } => return Err(os(libc::EISCONN)),
        }
        let listener = self.stream_mut(target).map_err(|_| os(libc::EPROTOTYPE))?;
        let StreamState::Listening(queue) = &listener.state else {
            return Err(os(libc::ECONNREFUSED));
        };
        if queue.queue.len() > queue.backlog {
            return Err(os(libc::EAGAIN));
        }
        let accepted = self.add_socket(
            host,
            Body::Stream(StreamSocket {
                name: name.clone(),
                state: StreamState::Connected {
                    peer: Some(id),
                    peer_name: own_name,
                },
                ..StreamSocket::default()
            }),
        );
        self.stream_mut(id)?.state = StreamState::Connected {
            peer: Some(accepted),
            peer_name: name.clone(),
        };
        if let StreamState::Listening(listener) = &mut self.stream_mut(target)?.state {
            listener.queue.push_back(accepted);
        }
        self.touch(target);
        self.touch(id);
        Ok(())
    }

    pub(super) fn accept_unix(&mut self, id: SocketId) -> io::Result<(OwnedFd, UnixName)> {
        let StreamState::Listening(listener) = &self.sockets[&id].stream()?.state else {
            return Err(os(libc::EINVAL));
        };
        let accepted = *listener.queue.front().ok_or(io::ErrorKind::WouldBlock)?;
        let fd = self.hold(accepted)?;
        if let StreamState::Listening(listener) = &mut self.stream_mut(id)?.state {
            listener.queue.pop_front();
        }
        let name = self.unix_peer_name(accepted)?;
        Ok((fd, name))
    }

    /// Writes to a stream, with descriptors that travel with the first byte.
    pub(super) fn send_stream(
        &mut self,
        id: SocketId,
        bufs: &[io::IoSlice<'_>],
        rights: Vec<OwnedFd>,
    ) -> io::Result<usize> {
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let capacity = self.sockets[&id].size(SocketOption::SendBuffer);
        let socket = self.sockets[&id].stream()?;
        if !matches!(socket.state, StreamState::Connected { .. }) {
            return Err(os(libc::ENOTCONN));
        }
        let peer = self.stream_peer(id).filter(|_| !socket.is_write_shut);
        let peer = peer.ok_or_else(|| os(libc::EPIPE))?;
        let receiver = self.stream_mut(peer)?;
        if receiver.is_read_shut {
            return Err(os(libc::EPIPE));
        }
        let mut room = capacity.saturating_sub(receiver.received.len());
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let start = receiver.position + receiver.received.len() as u64;
        let mut written = 0;
        for buf in bufs {
            let len = buf.len().min(room);
            receiver.received.extend(&buf[..len]);
            room -= len;
            written += len;
        }
        if !rights.is_empty() && written > 0 {
            receiver.rights.push_back((start, rights));
        }
        self.touch(peer);
        Ok(written)
    }

    /// Reads from a stream. A read does not go past bytes that came with descriptors.
    pub(super) fn recv_stream(
        &mut self,
        id: SocketId,
        bufs: &mut [&mut [u8]],
        peek: bool,
    ) -> io::Result<ReceivedMessage> {
        let peer = self.stream_peer(id);
        let is_peer_shut = match peer.map(|peer| self.sockets[&peer].stream()) {
            Some(Ok(peer)) => peer.is_write_shut,
            _ => true,
        };
        let socket = self.stream_mut(id)?;
        if socket.received.is_empty() {
            let is_connected = matches!(socket.state, StreamState::Connected { .. });
            let is_at_end = socket.is_read_shut || is_peer_shut;
            if let Some(error) = self.take_error(id) {
                return Err(error);
            }
            return match (is_connected, is_at_end) {
                (false, _) => Err(os(libc::EINVAL)),
                (true, true) => Ok(ReceivedMessage::default()),
                (true, false) => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let position = socket.position;
        let mut rights = Vec::new();
        if !peek && socket.rights.front().is_some_and(|(at, _)| *at == position) {
            rights = socket
                .rights
                .pop_front()
                .map(|(_, fds)| fds)
                .unwrap_or_default();
        }
        // Up to the next bytes with descriptors.
        let next = socket.rights.iter().find(|(at, _)| *at > position);
        let limit = next.map_or(usize::MAX, |(at, _)| (*at - position) as usize);
        let len = read_limited(&socket.received, bufs, limit);
        if !peek {
            socket.received.drain(..len);
            socket.position += len as u64;
            if let Some(peer) = peer {
                self.touch(peer);
            }
        }
        Ok(ReceivedMessage {
            len,
            full_len: len,
            from: UnixName::Unnamed,
            rights,
        })
    }

    /// Sends a datagram to a name, or to the socket that this one is connected to.
    pub(super) fn send_message(
        &mut self,
        id: SocketId,
        data: Vec<u8>,
        to: Option<&UnixName>,
        rights: Vec<OwnedFd>,
    ) -> io::Result<usize> {
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let host = self.sockets[&id].host;
        let capacity = self.sockets[&id].size(SocketOption::SendBuffer);
        let sender = self.datagram_mut(id)?;
        let (from, connected) = (sender.name.clone(), sender.peer.as_ref().map(|peer| peer.0));
        if sender.is_write_shut {
            return Err(os(libc::EPIPE));
        }
        if data.len() > capacity {
            return Err(os(libc::EMSGSIZE));
        }
        let target = match to {
            Some(name) => self.named(host, name)?,
            None => connected.ok_or_else(|| os(libc::ENOTCONN))?,
        };
        if !self.sockets.contains_key(&target) {
            return Err(os(libc::ECONNREFUSED));
        }
        let receiver = self
            .datagram_mut(target)
            .map_err(|_| os(libc::EPROTOTYPE))?;
        if receiver.is_read_shut {
            return Err(os(libc::EPIPE));
        }
        if receiver.peer.as_ref().is_some_and(|(peer, _)| *peer != id) {
            return Err(os(libc::EPERM));
        }
        if receiver.queue.len() >= MAX_QUEUED {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = data.len();
        receiver.queue.push_back(Message { from, data, rights });
        self.touch(target);
        Ok(len)
    }

    pub(super) fn recv_message(
        &mut self,
        id: SocketId,
        bufs: &mut [&mut [u8]],
        peek: bool,
    ) -> io::Result<ReceivedMessage> {
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let socket = self.datagram_mut(id)?;
        let Some(message) = socket.queue.front_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let mut received = ReceivedMessage {
            len: copy_to(&message.data, bufs),
            full_len: message.data.len(),
            from: message.from.clone(),
            rights: Vec::new(),
        };
        if !peek {
            received.rights = mem::take(&mut message.rights);
            socket.queue.pop_front();
            self.touch_senders(id);
        }
        Ok(received)
    }

    /// Notes that the queue of a datagram socket has room, for those that are connected to it.
    fn touch_senders(&mut self, id: SocketId) {
        let sends_here = |socket: &Socket| match &socket.body {
            Body::Datagram(socket) => socket.peer.as_ref().is_some_and(|(peer, _)| *peer == id),
            _ => false,
        };
        let senders = self.sockets.iter().filter(|(_, socket)| sends_here(socket));
        let senders: Vec<SocketId> = senders.map(|(id, _)| *id).collect();
        for sender in senders {
            self.touch(sender);
        }
    }

    pub(super) fn shutdown_unix(
        &mut self,
        id: SocketId,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        let mut peer = None;
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Stream(socket)) => {
                let StreamState::Connected { peer: other, .. } = &socket.state else {
                    return Err(os(libc::ENOTCONN));
                };
                peer = *other;
                socket.is_read_shut |= read;
                socket.is_write_shut |= write;
            }
            Some(Body::Datagram(socket)) => {
                socket.is_read_shut |= read;
                socket.is_write_shut |= write;
            }
            _ => return Err(os(libc::EOPNOTSUPP)),
        }
        self.touch(id);
        if let Some(peer) = peer {
            self.touch(peer);
        }
        Ok(())
    }

    /// Closes a Unix socket whose last descriptor is closed.
    pub(super) fn close_unix(&mut self, id: SocketId) {
        let Some(mut socket) = self.remove_socket(id) else {
            return;
        };
        let host = socket.host;
        match &mut socket.body {
            Body::Stream(socket) => {
                self.forget_name(host, &socket.name, id);
                match &mut socket.state {
                    StreamState::Connected { peer, .. } => {
                        let unread = !socket.received.is_empty();
                        if let Some(peer) = *peer {
                            self.on_stream_peer_closed(peer, unread);
                        }
                    }
                    StreamState::Listening(listener) => {
                        for id in mem::take(&mut listener.queue) {
                            self.close_unix(id);
                        }
                    }
                    StreamState::Idle => {}
                }
            }
            Body::Datagram(socket) => {
                self.forget_name(host, &socket.name, id);
                self.touch_senders(id);
            }
            _ => {}
        }
    }

    fn on_stream_peer_closed(&mut self, id: SocketId, unread: bool) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        if unread {
            socket.error = libc::ECONNRESET;
        }
        if let Body::Stream(StreamSocket {
            state: StreamState::Connected { peer, .. },
            ..
        }) = &mut socket.body
        {
            *peer = None;
        }
        self.touch(id);
    }

    /// In a world a name is free once its socket is closed, although a file would stay: the file
    /// system is not simulated, so a program that removes the file would not reach the name.
    fn forget_name(&mut self, host: HostId, name: &UnixName, id: SocketId) {
        let names = &mut self.host_mut(host).names;
        if names.get(name) == Some(&id) {
            names.remove(name);
        }
    }
}

fn read_limited(queue: &VecDeque<u8>, bufs: &mut [&mut [u8]], limit: usize) -> usize {
    if limit >= queue.len() {
        return copy_out(queue, bufs);
    }
    let mut rest = limit;
    let mut limited: Vec<&mut [u8]> = Vec::with_capacity(bufs.len());
    for buf in bufs {
        let len = buf.len().min(rest);
        rest -= len;
        limited.push(&mut buf[..len]);
    }
    copy_out(queue, &mut limited)
}
