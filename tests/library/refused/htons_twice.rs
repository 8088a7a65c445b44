//! What has been through `htons` does not go through it again.

use sockstep::htons;

fn main() {
    let port = htons(80);
    let _ = htons(port); //~ E0308
    //~ instead: let _ = port;
}
