//! PORT - tokio's own example of an echo server.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let Ok((mut client, _)) = listener.accept().await else {
            tokio::task::yield_now().await; // no descriptor is left
            continue;
        };
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(n @ 1..) = client.read(&mut buffer).await {
                if client.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        });
    }
}
