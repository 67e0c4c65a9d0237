use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

/// A server that answers every piece with the same, and a proxy in front of it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut piece = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut piece).await {
                    if stream.write_all(&piece[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Proxy::start(port).await.unwrap()
}

async fn client(proxy: &Proxy) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port))
        .await
        .unwrap();
    assert_eq!(ask(&mut stream).await.unwrap(), "ping");
    stream
}

/// What comes back of a `ping`; nothing within a moment is a timeout.
async fn ask(stream: &mut TcpStream) -> io::Result<String> {
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    let read = timeout(Duration::from_millis(300), stream.read(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn a_reply_is_cut_before_or_within() {
    let proxy = echo().await;
    let mut stream = client(&proxy).await;
    proxy.cut_before(1);
    let error = ask(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut stream = client(&proxy).await;
    proxy.cut_within(1);
    assert_eq!(ask(&mut stream).await.unwrap(), "pi");
    assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
    client(&proxy).await;
    let harm = proxy.harm();
    assert_eq!(
        (harm.cut_before.load(Relaxed), harm.cut_within.load(Relaxed)),
        (1, 1)
    );
}

#[tokio::test]
async fn held_replies_come_late_and_whole() {
    let proxy = echo().await;
    let mut stream = client(&proxy).await;
    proxy.set(|weather| weather.hold_replies = true);
    assert_eq!(
        ask(&mut stream).await.unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
    proxy.heal();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

#[tokio::test]
async fn a_half_open_connection_says_nothing_and_a_reset_one_ends() {
    let proxy = echo().await;
    let mut silent = client(&proxy).await;
    proxy.end_all(Break::HalfOpen);
    assert_eq!(
        ask(&mut silent).await.unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
    let mut ended = client(&proxy).await;
    proxy.end_all(Break::Reset);
    assert_eq!(
        ask(&mut ended).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    proxy.set(|weather| weather.refuse = true);
    let mut refused = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port))
        .await
        .unwrap();
    assert!(ask(&mut refused).await.is_err());
}
