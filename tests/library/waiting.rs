//! poll, select, epoll, fcntl and threads: what C's examples of concurrent servers do with them.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sockstep::Errno::{EAGAIN, EBADF, ECANCELED, EINVAL};
use sockstep::*;

fn pair() -> [OwnedFd; 2] {
    socketpair(AF_UNIX, SOCK_STREAM, 0).unwrap()
}

#[test]
fn poll_waits_in_an_array_that_owns_its_descriptors_and_keeps_them_from_round_to_round() {
    let ([one, its_peer], [other, others_peer]) = (pair(), pair());
    let mut fds = vec![pollfd::new(one, POLLIN), pollfd::new(other, POLLIN)];
    assert_eq!(poll(&mut fds, 0), Ok(0));
    send(&others_peer, b"x", 0).unwrap();
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(
        (fds[0].revents, fds[1].revents),
        (PollEvents::empty(), POLLIN)
    );
    assert_eq!(format!("{:?}", POLLIN | POLLHUP), "POLLIN|POLLHUP");

    // C's `close(fds[1].fd); fds[1].fd = -1;`
    close(fds[1].fd.take().unwrap()).unwrap();
    assert_eq!(
        recv(&others_peer, &mut [0; 16], 0).unwrap_err(),
        Errno::ECONNRESET
    );
    drop(its_peer);
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert!(fds[0].revents.has(POLLHUP) && fds[1].revents.is_empty());
}

#[test]
fn poll_borrows_descriptors_too_and_says_which_are_not_for_it() {
    let path_only = nix::fcntl::open(
        "/",
        nix::fcntl::OFlag::O_PATH,
        nix::sys::stat::Mode::empty(),
    );
    let (path_only, [sock, _peer]) = (path_only.unwrap(), pair());
    let mut fds = [
        pollfd::new(path_only.as_fd(), POLLIN),
        pollfd::new(sock.as_fd(), POLLOUT),
    ];
    assert_eq!(poll(&mut fds, -1), Ok(2));
    assert_eq!([fds[0].revents, fds[1].revents], [POLLNVAL, POLLOUT]);
}

#[test]
fn a_time_out_is_waited_for_in_full() {
    let [sock, _peer] = pair();
    let mut left = timeval {
        tv_sec: 0,
        tv_usec: 30_000,
    };
    let mut set = fd_set::zeroed();
    let begun = Instant::now();
    FD_SET(&sock, &mut set).unwrap();
    assert_eq!(
        select(
            sock.as_raw_fd() + 1,
            Some(&mut set),
            None,
            None,
            Some(&mut left)
        ),
        Ok(0)
    );
    assert_eq!((left.tv_sec, left.tv_usec), (0, 0)); // what Linux leaves
    assert_eq!(poll(&mut [pollfd::new(sock.as_fd(), POLLIN)], 30), Ok(0));
    let epfd = epoll_create1(0).unwrap();
    assert_eq!(epoll_wait(&epfd, &mut [epoll_event::zeroed()], 30), Ok(0));
    assert!(begun.elapsed() >= Duration::from_millis(90));
}

#[test]
fn select_leaves_those_that_are_ready_in_sets_that_are_copied() {
    let ([one, its_peer], [other, _others_peer]) = (pair(), pair());
    let mut master = fd_set::zeroed();
    FD_SET(&one, &mut master).unwrap();
    FD_SET(&other, &mut master).unwrap();
    send(&its_peer, b"x", 0).unwrap();
    let (mut readfds, mut writefds) = (master, master);
    let nfds = one.as_raw_fd().max(other.as_raw_fd()) + 1;
    assert_eq!(
        select(nfds, Some(&mut readfds), Some(&mut writefds), None, None),
        Ok(3)
    );
    assert!(FD_ISSET(&one, &readfds) && !FD_ISSET(&other, &readfds));
    assert_eq!(writefds, master);
    assert_eq!(format!("{readfds:?}"), format!("[{}]", one.as_raw_fd()));
    FD_CLR(&one, &mut readfds);
    assert_eq!(readfds, fd_set::zeroed());
    FD_ZERO(&mut master);
    assert_eq!(master, readfds);
}

#[test]
#[allow(unsafe_code, reason = "a descriptor with a high number")]
fn a_set_refuses_a_descriptor_that_it_has_no_bit_for() {
    let [sock, _peer] = pair();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(2048.min(hard)), hard).unwrap();
    let mut set = fd_set::zeroed();
    for (number, expected) in [(1023, Ok(())), (1024, Err(Error::new("FD_SET", EINVAL)))] {
        // SAFETY: three integers.
        let fd = unsafe { libc::fcntl(sock.as_raw_fd(), libc::F_DUPFD, number) };
        assert!(
            fd >= number,
            "the hard limit of descriptors is too low here"
        );
        // SAFETY: it was made just now.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if fd.as_raw_fd() != number {
            continue; // another test has that number
        }
        assert_eq!(FD_SET(&fd, &mut set), expected);
        assert_eq!(FD_ISSET(&fd, &set), expected.is_ok());
        FD_CLR(&fd, &mut set);
    }
    assert_eq!(set, fd_set::zeroed());
}

#[test]
fn select_reads_nothing_beyond_its_sets_and_refuses_a_descriptor_that_was_closed() {
    let mut set = fd_set::zeroed();
    for nfds in [1025, i32::MAX, -1] {
        assert_eq!(
            select(nfds, Some(&mut set), None, None, None).unwrap_err(),
            EINVAL
        );
    }
    let file = File::open("/dev/null").unwrap();
    let file = fcntl_high(&file);
    FD_SET(&file, &mut set).unwrap();
    let nfds = file.as_raw_fd() + 1;
    drop(file);
    assert_eq!(
        select(nfds, Some(&mut set), None, None, None).unwrap_err(),
        EBADF
    );
}

/// The same file under a number that no other test's next descriptor takes.
#[allow(unsafe_code, reason = "F_DUPFD")]
fn fcntl_high(file: &File) -> OwnedFd {
    // SAFETY: three integers.
    let fd = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 900) };
    assert!(fd >= 0);
    // SAFETY: it was made just now.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[test]
fn epoll_tells_what_is_ready_and_hands_back_what_it_was_given() {
    let ([one, its_peer], [other, others_peer]) = (pair(), pair());
    let epfd = epoll_create1(EPOLL_CLOEXEC).unwrap();
    assert!(fcntl(&epfd, F_GETFD, 0).unwrap().has(FD_CLOEXEC));
    let mut ev = epoll_event {
        events: EPOLLIN | EPOLLRDHUP,
        data: epoll_data_t::of_fd(&one),
    };
    epoll_ctl(&epfd, EPOLL_CTL_ADD, &one, Some(&ev)).unwrap();
    ev.data = epoll_data_t { u64: u64::MAX };
    epoll_ctl(&epfd, EPOLL_CTL_ADD, &other, Some(&ev)).unwrap();

    let mut events = [epoll_event::zeroed(); 8];
    send(&its_peer, b"x", 0).unwrap();
    assert_eq!(epoll_wait(&epfd, &mut events, -1), Ok(1));
    let seen = events[0];
    assert_eq!(
        ({ seen.events }, { seen.data }.fd()),
        (EPOLLIN, one.as_raw_fd())
    );
    close(others_peer).unwrap();
    assert_eq!(epoll_wait(&epfd, &mut events[..1], -1), Ok(1)); // no more than there is room for
    assert_eq!(epoll_wait(&epfd, &mut events, -1), Ok(2));

    ev.events = EPOLLOUT | EPOLLONESHOT;
    epoll_ctl(&epfd, EPOLL_CTL_MOD, &one, Some(&ev)).unwrap();
    epoll_ctl(&epfd, EPOLL_CTL_DEL, &other, None).unwrap();
    assert_eq!(epoll_wait(&epfd, &mut events, -1), Ok(1));
    let seen = events[0];
    assert_eq!(({ seen.events }, { seen.data }.u64), (EPOLLOUT, u64::MAX));
    assert_eq!(epoll_wait(&epfd, &mut events, 0), Ok(0)); // once
}

#[test]
fn fcntl_makes_a_socket_non_blocking_and_back() {
    let [sock, _peer] = pair();
    let flags = fcntl(&sock, F_GETFL, 0).unwrap();
    assert_eq!((flags, flags.has(O_NONBLOCK)), (O_RDWR, false));
    fcntl(&sock, F_SETFL, flags | O_NONBLOCK).unwrap();
    assert_eq!(recv(&sock, &mut [0], 0).unwrap_err(), EAGAIN);
    fcntl(&sock, F_SETFL, (flags | O_NONBLOCK) & !O_NONBLOCK).unwrap();
    assert_eq!(fcntl(&sock, F_GETFL, 0), Ok(flags));
    fcntl(&sock, F_SETFD, FD_CLOEXEC).unwrap();
    assert_eq!(fcntl(&sock, F_GETFD, 0), Ok(FD_CLOEXEC));
    fcntl(
        &sock,
        F_SETFD,
        fcntl(&sock, F_GETFD, 0).unwrap() & !FD_CLOEXEC,
    )
    .unwrap();
    assert_eq!(fcntl(&sock, F_GETFD, 0), Ok(FdFlags::empty()));
}

#[test]
fn a_thread_gives_back_what_its_closure_returns() {
    let [sock, peer] = pair();
    let thread = pthread_create(None, move || {
        let mut buf = vec![0; 16];
        let n = recv(&sock, &mut buf, 0).unwrap();
        buf.truncate(n);
        buf
    });
    send(&peer, b"hello", 0).unwrap();
    assert_eq!(pthread_join(thread.unwrap()), Ok(b"hello".to_vec()));
}

#[test]
fn a_thread_that_is_let_go_runs_on() {
    let (done, waits) = channel();
    let mut attr = pthread_attr_init().unwrap();
    pthread_attr_setstacksize(&mut attr, 64 * 1024).unwrap();
    for _ in 0..100 {
        let done = done.clone();
        let thread = pthread_create(Some(&attr), move || done.send(()).unwrap()).unwrap();
        pthread_detach(thread).unwrap();
    }
    let dropped = pthread_create(Some(&attr), move || done.send(()).unwrap());
    drop(dropped);
    for _ in 0..101 {
        waits.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn a_thread_that_cannot_be_had_is_an_error_and_what_it_was_to_own_is_dropped() {
    let mut attr = pthread_attr_init().unwrap();
    let error = pthread_attr_setstacksize(&mut attr, 1).unwrap_err();
    assert_eq!(
        (error.call(), error.errno()),
        ("pthread_attr_setstacksize", EINVAL)
    );
    pthread_attr_setstacksize(&mut attr, 1 << 46).unwrap(); // of an address space of 2^47
    let [sock, peer] = pair();
    let error = pthread_create(Some(&attr), move || drop(sock)).unwrap_err();
    assert_eq!((error.call(), error.errno()), ("pthread_create", EAGAIN));
    assert_eq!(recv(&peer, &mut [0], 0), Ok(0)); // closed
}

#[test]
fn a_thread_that_panics_ends_alone() {
    let [sock, peer] = pair();
    let thread = pthread_create(None, move || {
        let _sock = sock;
        panic!("this panic is a part of the test");
    });
    let error = pthread_join::<()>(thread.unwrap()).unwrap_err();
    assert_eq!((error.call(), error.errno()), ("pthread_join", ECANCELED));
    assert_eq!(recv(&peer, &mut [0], 0), Ok(0));
}
