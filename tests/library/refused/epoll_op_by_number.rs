//! What to do to the list is one of three constants; in C `epoll_ctl(epfd, 99, fd, &ev)` compiles.

use sockstep::{EPOLL_CTL_DEL, epoll_create1, epoll_ctl};

fn main() {
    let list = epoll_create1(0).unwrap();
    let _ = epoll_ctl(&list, 99, &list, None); //~ E0308
    //~ instead: let _ = epoll_ctl(&list, EPOLL_CTL_DEL, &list, None);
}
