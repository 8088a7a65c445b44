//! One client after another, by read and write.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    loop {
        let (client, _peer) = accept::<AnyAddr>(&listener)?;
        let mut buf = [0; 512];
        loop {
            let n = read(&client, &mut buf)?;
            if n == 0 {
                break;
            }
            write(&client, &buf[..n])?;
        }
        close(client)?;
    }
}
