//! The kernel writes into an address, so the library alone says which types are one: the trait is sealed.

use sockstep::Sockaddr;

#[derive(Clone, Copy)]
struct Mine;

unsafe impl Sockaddr for Mine { //~ E0277
    //~ instead: impl Mine {
    fn addrlen(&self) -> u32 {
        1000
    }
    fn family(&self) -> sockstep::AddressFamily {
        sockstep::AF_INET
    }
}

fn main() {}
