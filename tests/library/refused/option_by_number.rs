//! An option by its number alone may be SO_ZEROCOPY: that is for unsafe code.

use sockstep::{SockOpt, SolSocket};

fn main() {
    let _ = SockOpt::<SolSocket, i32>::from_raw(60); //~ E0133
    //~ instead: let _: Option<SockOpt<SolSocket, i32>> = None;
}
