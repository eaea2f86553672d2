//! Socket options that TCP and UDP have in common, and those of TCP alone.

mod support;

use std::io::ErrorKind;

use runtime_net::{TcpListener, TcpSocket};
#[cfg(any(target_os = "linux", target_os = "android"))]
use runtime_net::{TcpStream, UdpSocket};
use support::{block_on, kind};

#[test]
fn the_type_of_service_is_set_on_sockets_of_both_families() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let v4 = TcpSocket::new_v4().unwrap();
        v4.set_tos(0x20).unwrap();
        assert_eq!(v4.tos().unwrap(), 0x20);
        assert_eq!(kind(v4.set_tos(256)), ErrorKind::InvalidInput);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = v4.connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!(stream.tos().unwrap(), 0x20);
        stream.set_tos(0x40).unwrap();
        assert_eq!(stream.tos().unwrap(), 0x40);
        // A machine may be without IPv6.
        if let Ok(v6) = TcpSocket::new_v6() {
            v6.set_tos(0x60).unwrap();
            assert_eq!(v6.tos().unwrap(), 0x60);
            let is_simulated = support::is_simulated("part: the option is read by socket2");
            if cfg!(target_os = "linux") && !is_simulated {
                assert_eq!(socket2::SockRef::from(&v6).tos_v4().unwrap(), 0x60);
            }
        }
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn received_bytes_are_acknowledged_at_once_if_asked_for() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        for on in [false, true] {
            stream.set_quickack(on).unwrap();
            assert_eq!(stream.quickack().unwrap(), on);
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_quickack(false).unwrap();
        assert!(!socket.quickack().unwrap());
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn sockets_are_bound_to_an_interface_that_exists() {
    if support::is_simulated("simulated interfaces have no names") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let tcp = TcpSocket::new_v4().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_eq!((tcp.device().unwrap(), udp.device().unwrap()), (None, None));
        tcp.bind_device(Some(b"lo")).unwrap();
        udp.bind_device(Some(b"lo")).unwrap();
        assert_eq!(tcp.device().unwrap().as_deref(), Some(&b"lo"[..]));
        assert_eq!(udp.device().unwrap().as_deref(), Some(&b"lo"[..]));
        let missing = udp.bind_device(Some(b"no such device")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV));
    });
}
