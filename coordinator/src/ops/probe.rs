//! Asks a process of this fleet whether it is ready: what a container's health check runs, in images
//! that have nothing else to ask with.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Time for each step: a process that takes longer to answer is not well.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes read of the answer: its first line, and the reason why not.
const ANSWER: u64 = 4_096;

/// Asks for `/readyz` at `address`, or on this machine where that means all of its addresses.
///
/// # Errors
/// When nothing answers in time, or what answers is not ready: with what it said.
pub fn ready(address: SocketAddr) -> Result<()> {
    let address = SocketAddr::new(own(address.ip()), address.port());
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let said = answer
        .split_once("\r\n\r\n")
        .map_or(&*answer, |(_, body)| body);
    Err(Error::new(ErrorKind::NotConnected, said.trim().to_owned()))
}

fn own(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What a process that answers so is found to be.
    fn asked(answer: &'static str) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 512];
            let read = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let ready = ready(SocketAddr::new(
            Ipv4Addr::UNSPECIFIED.into(),
            address.port(),
        ));
        assert!(answering.join().unwrap().starts_with("GET /readyz "));
        ready
    }

    #[test]
    fn only_a_process_that_says_so_is_ready() {
        asked("HTTP/1.1 200 OK\r\n\r\nready\n").unwrap();
        let why = asked("HTTP/1.1 503 Unavailable\r\n\r\nRedis is gone\n").unwrap_err();
        assert_eq!(why.to_string(), "Redis is gone");
        assert!(asked("SSH-2.0-x\r\n").is_err());
        assert!(asked("").is_err());
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ready(address).is_err());
    }
}
