//! Endpoints over real loopback sockets: datagrams, commands, timers, isolation and the end.

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Echo, LOOPBACK, PATIENCE, client, failing_echo, udp_sockets, udp_transmit};
use greenroom_net::{Engine, Sockets, bind_udp_all, local_addresses};

#[test]
fn ten_thousand_datagrams_come_back() {
    let engine = Engine::start(2).unwrap();
    let (sockets, address) = udp_sockets();
    let handle = engine.spawn(sockets, |_| Echo::default()).unwrap();
    let socket = client();
    let mut seen = HashSet::new();
    let mut buffer = [0u8; 2048];
    // A window keeps the kernel's buffers from overflowing; loopback then loses nothing.
    for window in (0..10_000u32).collect::<Vec<_>>().chunks(100) {
        for number in window {
            socket.send_to(&number.to_be_bytes(), address).unwrap();
        }
        for _ in window {
            let (size, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(from, address);
            assert!(seen.insert(u32::from_be_bytes(buffer[..size].try_into().unwrap())));
        }
    }
    assert_eq!(seen.len(), 10_000);
    assert_eq!(handle.call(|echo, _| echo.received), Some(10_000));
}

#[test]
fn a_burst_larger_than_a_turn_is_handled_whole_and_sent_in_order() {
    let engine = Engine::start(1).unwrap();
    let (sockets, address) = udp_sockets();
    let socket = client();
    let local = socket.local_addr().unwrap();
    let handle = engine.spawn(sockets, |_| Echo::default()).unwrap();
    handle.post(move |echo, _| {
        echo.pending
            .extend((0..150u8).map(|number| udp_transmit(address, local, &[number])));
    });
    let mut buffer = [0u8; 8];
    for number in 0..150u8 {
        assert_eq!(socket.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], number);
    }
}

#[test]
fn ipv6_works_where_the_machine_has_it() {
    let Ok(udp) = bind_udp_all(&[LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)], 0) else {
        return;
    };
    let addresses: Vec<_> = udp.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert_eq!(
        addresses[0].port(),
        addresses[1].port(),
        "one port on all addresses"
    );
    let engine = Engine::start(1).unwrap();
    let _handle = engine
        .spawn(
            Sockets {
                udp,
                ..Sockets::default()
            },
            |_| Echo::default(),
        )
        .unwrap();
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"six", addresses[1]).unwrap();
    let mut buffer = [0u8; 8];
    let (size, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..size], from), (&b"six"[..], addresses[1]));
}

#[test]
fn datagrams_that_are_empty_too_large_or_sourceless_do_no_harm() {
    let engine = Engine::start(1).unwrap();
    let (sockets, address) = udp_sockets();
    let handle = engine.spawn(sockets, |_| Echo::default()).unwrap();
    let socket = client();
    let local = socket.local_addr().unwrap();
    socket.send_to(&[7; 4000], address).unwrap();
    socket.send_to(&[], address).unwrap();
    let mut buffer = [0u8; 8];
    assert_eq!(
        socket.recv(&mut buffer).unwrap(),
        0,
        "the large one is dropped, the empty one echoed"
    );
    handle.call(move |echo, _| {
        echo.pending
            .push(udp_transmit(local, local, b"not from a socket of ours"));
        echo.pending.push(udp_transmit(address, local, &[1; 70_000]));
        echo.pending.push(udp_transmit(address, local, b"good"));
    });
    assert_eq!(socket.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"good");
}

#[test]
fn posts_run_in_order_and_calls_after_them() {
    let engine = Engine::start(1).unwrap();
    let handle = engine.spawn(Sockets::default(), |_| Echo::default()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in 0..1000 {
        let seen = Arc::clone(&seen);
        assert!(handle.post(move |_, _| seen.lock().unwrap().push(number)));
    }
    let all = handle.call({
        let seen = Arc::clone(&seen);
        move |_, _| seen.lock().unwrap().clone()
    });
    assert_eq!(all, Some((0..1000).collect::<Vec<_>>()));
}

#[test]
fn a_full_command_queue_refuses_and_recovers() {
    let engine = Engine::start(1).unwrap();
    let handle = engine.spawn(Sockets::default(), |_| Echo::default()).unwrap();
    let (release, released) = sync_channel::<()>(0);
    let (entered, has_entered) = channel();
    handle.post(move |_, _| {
        entered.send(()).unwrap();
        let _ = released.recv();
    });
    has_entered.recv_timeout(PATIENCE).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let mut taken = 0;
    let refused = loop {
        let ran = Arc::clone(&ran);
        if !handle.post(move |_, _| {
            ran.fetch_add(1, Ordering::Relaxed);
        }) {
            break true;
        }
        taken += 1;
        if taken > 100_000 {
            break false;
        }
    };
    assert!(refused);
    assert_eq!(taken, 65_536);
    release.send(()).unwrap();
    // `call` itself is refused until there is room again.
    let deadline = Instant::now() + PATIENCE;
    while handle.call(|_, _| ()).is_none() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(ran.load(Ordering::Relaxed), 65_536);
}

#[test]
fn timers_fire_in_order_and_not_early() {
    let engine = Engine::start(1).unwrap();
    let (fired, firings) = channel();
    let handle = engine
        .spawn(Sockets::default(), |_| Echo {
            fired: Some(fired),
            ..Echo::default()
        })
        .unwrap();
    handle.post(|echo, now| {
        for (name, delay_ms) in [(3, 30), (1, 10), (2, 20), (0, 0)] {
            echo.deadlines.push((now + Duration::from_millis(delay_ms), name));
        }
    });
    for expected in 0..4 {
        let (name, at, now) = firings.recv_timeout(PATIENCE).unwrap();
        assert_eq!(name, expected);
        assert!(now >= at);
    }
}

#[test]
fn an_endpoint_that_always_asks_for_now_is_slowed_and_starves_nobody() {
    let engine = Engine::start(1).unwrap();
    let restless = engine
        .spawn(Sockets::default(), |_| Echo {
            restless: true,
            ..Echo::default()
        })
        .unwrap();
    let other = engine.spawn(Sockets::default(), |_| Echo::default()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while restless.call(|echo, _| echo.timeouts).unwrap() < 3 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(other.call(|_, _| 5), Some(5));
    // Undisturbed it is called 1,000 times at once, then once per millisecond.
    let (fired, firings) = channel();
    other.post(move |echo, now| {
        echo.fired = Some(fired);
        echo.deadlines.push((now + Duration::from_millis(400), 0));
    });
    firings.recv_timeout(PATIENCE).unwrap();
    let timeouts = restless.call(|echo, _| echo.timeouts).unwrap();
    assert!((900..2500).contains(&timeouts), "{timeouts} timeouts in 400 ms");
}

#[test]
fn a_panic_fails_its_own_endpoint_only() {
    let engine = Engine::start(1).unwrap();
    let (echo, failed) = failing_echo();
    let (sockets, address) = udp_sockets();
    let doomed = engine.spawn(sockets, |_| echo).unwrap();
    let (sockets, other_address) = udp_sockets();
    let other = engine.spawn(sockets, |_| Echo::default()).unwrap();
    let socket = client();
    socket.send_to(b"panic", address).unwrap();
    let reason = failed.recv_timeout(PATIENCE).unwrap();
    assert!(reason.contains("asked for by the test"), "{reason}");
    socket.send_to(b"hello", other_address).unwrap();
    let mut buffer = [0u8; 8];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
    assert!(other.call(|_, _| ()).is_some());
    // `other` is on the same worker, so the doomed one is gone by now.
    assert!(doomed.is_closed());
    assert!(!doomed.post(|_, _| ()));
    assert_eq!(doomed.call(|_, _| ()), None);
    UdpSocket::bind(address).expect("its port is free");
}

#[test]
fn a_panic_in_a_call_gives_none() {
    let engine = Engine::start(1).unwrap();
    let (echo, failed) = failing_echo();
    let handle = engine.spawn(Sockets::default(), |_| echo).unwrap();
    assert_eq!(handle.call(|_, _| -> u32 { panic!("in a call") }), None);
    assert!(failed.recv_timeout(PATIENCE).unwrap().contains("in a call"));
}

#[test]
fn close_sends_what_is_left_and_frees_the_port() {
    let engine = Engine::start(1).unwrap();
    let socket = client();
    let local = socket.local_addr().unwrap();
    let mut buffer = [0u8; 8];
    let (mut sockets, address) = udp_sockets();
    for _ in 0..50 {
        let handle = engine.spawn(sockets, |_| Echo::default()).unwrap();
        handle.post(move |echo, _| echo.pending.push(udp_transmit(address, local, b"bye")));
        handle.close_and_wait();
        assert_eq!(handle.call(|_, _| ()), None);
        assert_eq!(socket.recv(&mut buffer).unwrap(), 3);
        sockets = Sockets {
            udp: bind_udp_all(&[LOOPBACK], address.port()).unwrap(),
            ..Sockets::default()
        };
    }
    assert_eq!(engine.loads(), [0]);
}

#[test]
fn closing_twice_and_from_its_own_worker_is_harmless() {
    let engine = Engine::start(1).unwrap();
    let handle = engine.spawn(Sockets::default(), |_| Echo::default()).unwrap();
    let own = handle.clone();
    handle.post(move |_, _| {
        own.close_and_wait();
        assert!(own.call(|_, _| ()).is_none(), "a call on a worker is refused");
    });
    handle.close_and_wait();
    handle.close_and_wait();
    handle.close();
}

#[test]
fn stopping_the_engine_ends_calls_and_drops_endpoints() {
    let engine = Arc::new(Engine::start(1).unwrap());
    let (sockets, address) = udp_sockets();
    let handle = engine.spawn(sockets, |_| Echo::default()).unwrap();
    let (entered, has_entered) = channel();
    let (release, released) = sync_channel::<()>(0);
    handle.post(move |_, _| {
        entered.send(()).unwrap();
        let _ = released.recv();
    });
    has_entered.recv_timeout(PATIENCE).unwrap();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || while handle.call(|_, _| ()).is_some() {})
        })
        .collect();
    let stopper = std::thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.stop()
    });
    release.send(()).unwrap();
    stopper.join().unwrap();
    for caller in callers {
        caller.join().unwrap();
    }
    assert!(!handle.post(|_, _| ()));
    handle.close_and_wait();
    assert!(engine.spawn(Sockets::default(), |_| Echo::default()).is_err());
    UdpSocket::bind(address).expect("its port is free");
}

#[test]
fn endpoints_spread_over_workers() {
    let engine = Engine::start(3).unwrap();
    let handles: Vec<_> = (0..9)
        .map(|_| engine.spawn(Sockets::default(), |_| Echo::default()).unwrap())
        .collect();
    assert_eq!(engine.loads(), [3, 3, 3]);
    drop(handles);
}

#[test]
fn an_address_in_use_is_named() {
    let (_sockets, address) = udp_sockets();
    let error = bind_udp_all(&[LOOPBACK], address.port()).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn loopback_is_listed_only_when_asked_for() {
    assert!(local_addresses(true).unwrap().contains(&LOOPBACK));
    assert!(
        local_addresses(false)
            .unwrap()
            .iter()
            .all(|address| !address.is_loopback())
    );
}
