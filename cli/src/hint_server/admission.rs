//! Who is answered: by the token that a request bears, and by the host that it names.
//!
//! In: the headers of a request. Out: whether it is answered, or why not. A page in a browser can make a name of its own
//! stand for a loopback address, and would then be let in as if it came from here: so a request to such an address has to
//! name that address, `localhost`, or a host that the user has named.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use jsonrpsee::server::HttpRequest;

/// Who is answered at one door.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission {
    token: Option<Arc<str>>,
    hosts: Option<Hosts>,
}

/// The hosts that requests may name.
#[derive(Clone, Debug)]
struct Hosts {
    /// Where they arrive.
    address: IpAddr,
    /// What the user has named, in small letters.
    named: Arc<[String]>,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It does not bear the token.
    WithoutToken,
    /// It names another host.
    OfAnotherHost(String),
}

impl Admission {
    /// Who is answered at a socket, which no browser reaches.
    pub(super) fn at_socket(token: Option<Arc<str>>) -> Self {
        Self { token, hosts: None }
    }

    /// Who is answered at an address. Beyond the loopback addresses a token says who asks; hosts are looked at there only
    /// if the user has named some.
    pub(super) fn at_address(token: Option<Arc<str>>, address: SocketAddr, named: &[String]) -> Self {
        let named: Arc<[String]> = named.iter().map(|name| plain(name)).collect();
        let is_checked = address.ip().is_loopback() || !named.is_empty();
        Self { token, hosts: is_checked.then(|| Hosts { address: address.ip(), named }) }
    }

    /// Whether a request is answered.
    pub(super) fn admits<B>(&self, request: &HttpRequest<B>) -> Result<(), Stranger> {
        if let Some(hosts) = &self.hosts {
            let headers = request.headers().get_all("host").iter();
            let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let named = headers.chain(request.uri().authority().map(ToString::to_string));
            for host in named {
                if !hosts.hold(&host) {
                    return Err(Stranger::OfAnotherHost(host));
                }
            }
        }
        let Some(token) = &self.token else { return Ok(()) };
        let given = request.headers().get("authorization").map_or(&[][..], |value| value.as_bytes());
        if bears(given, token.as_bytes()) { Ok(()) } else { Err(Stranger::WithoutToken) }
    }
}

impl Hosts {
    fn hold(&self, host: &str) -> bool {
        let host = plain(host);
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(&host);
        let is_ours = |address: IpAddr| address.is_loopback() || address == self.address;
        host == "localhost" || bare.parse().is_ok_and(is_ours) || self.named.contains(&host)
    }
}

/// A host without its port, in small letters.
fn plain(host: &str) -> String {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        // The colons of an address stand between brackets.
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether an `Authorization` holds the token, in a time that does not depend on where they differ.
fn bears(given: &[u8], token: &[u8]) -> bool {
    let Some((scheme, given)) = given.split_at_checked(6) else { return false };
    if !scheme.eq_ignore_ascii_case(b"bearer") || !given.starts_with(b" ") {
        return false;
    }
    let given = given.trim_ascii();
    let differs = given.iter().zip(token).fold(0, |all, (one, other)| all | (one ^ other));
    given.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_has_no_case_and_a_token_has() {
        for good in ["Bearer abc", "bearer abc", "BEARER abc", "bEaReR   abc ", "Bearer abc"] {
            assert!(bears(good.as_bytes(), b"abc"), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearerabc",
            "Bearer ABC",
            "Bearer abcd",
            "Bearer ab",
            "Basic abc",
            "abc",
        ] {
            assert!(!bears(bad.as_bytes(), b"abc"), "{bad}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_ours() {
        let address = "127.0.0.1:8547".parse().expect("an address");
        let door = Admission::at_address(None, address, &["Hints.Example".to_owned()]);
        let hosts = door.hosts.expect("it is a loopback address");
        let good = [
            "localhost",
            "LOCALHOST:8547",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.8.9.1",
            "[::1]",
            "[::1]:8547",
            "hints.example",
            "hints.example:443",
            "HINTS.example.",
        ];
        for host in good {
            assert!(hosts.hold(host), "{host}");
        }
        let bad = [
            "evil.example",
            "localhost.evil.example",
            "evil.example:8547",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "",
            "localhost:evil",
            "localhost@evil.example",
            "x.hints.example",
        ];
        for host in bad {
            assert!(!hosts.hold(host), "{host}");
        }
        let elsewhere = "192.0.2.7:1".parse().expect("an address");
        assert!(Admission::at_address(None, elsewhere, &[]).hosts.is_none());
        let named = Admission::at_address(None, elsewhere, &["a".to_owned()]).hosts.expect("some are named");
        assert!(named.hold("192.0.2.7:1") && named.hold("a") && !named.hold("b"));
    }
}
