//! The name to which a request was sent.
//!
//! A browser that visits a hostile web site can be made to resolve the name of that site to a
//! loopback address (DNS rebinding). Scripts of the site then read what they request from this
//! server, as it is the same origin for the browser. Such a request names the site in its `Host`
//! header, which scripts cannot set.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::HOST;
use hyper::{Request, Uri};

/// Returns true if all names in a request are `localhost`, an IP address or in `allowed`, and there
/// is a name at all.
pub(crate) fn is_allowed<B>(request: &Request<B>, allowed: &[String]) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let is_host_allowed = host
        .to_str()
        .is_ok_and(|host| is_name_allowed(host, allowed));
    // A request for a proxy has the name in its target, too.
    let target = request.uri().authority();
    is_host_allowed && target.is_none_or(|target| is_name_allowed(target.as_str(), allowed))
}

fn is_name_allowed(host: &str, allowed: &[String]) -> bool {
    let Ok(uri) = host.parse::<Uri>() else {
        return false;
    };
    let has_more = uri.scheme().is_some() || uri.path_and_query().is_some() || host.contains('@');
    let Some(name) = uri.host().filter(|_| !has_more) else {
        return false;
    };
    if let Some(address) = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    name.parse::<Ipv4Addr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|one| name.eq_ignore_ascii_case(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_names_addresses_and_permitted_names_are_allowed() {
        let allowed = ["Console.example".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:80",
            "127.0.0.1",
            "[::1]:6669",
            "[::1]",
            "192.168.1.7:1",
            "console.EXAMPLE:443",
        ] {
            assert!(is_name_allowed(host, &allowed), "{host}");
        }
        for host in [
            "",
            "*",
            "/",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:127",
            "localhost@evil.example",
            "evil@localhost",
            "http://localhost/",
            "localhost/",
            "[::1",
            "[localhost]",
            "::1",
            "0x7f000001",
            "console.example.",
            "a b",
        ] {
            assert!(!is_name_allowed(host, &allowed), "{host}");
        }
    }

    #[test]
    fn a_request_needs_exactly_one_host_and_a_target_for_the_same_names() {
        let check = |target: &str, hosts: &[&str]| {
            let mut request = Request::get(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            is_allowed(&request.body(()).unwrap(), &[])
        };
        assert!(check("/", &["localhost"]));
        assert!(check("http://127.0.0.1/events", &["localhost"]));
        assert!(!check("/", &[]));
        assert!(!check("/", &["localhost", "localhost"]));
        assert!(!check("http://evil.example/", &["localhost"]));
        assert!(!check("http://localhost/", &["evil.example"]));
    }
}
