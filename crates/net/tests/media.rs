//! The media pool, its lanes and the media clock.

use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use greenroom_net::{MediaClock, MediaPool, TICK_INTERVAL};

const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps every thread of the pool busy until the returned function is called.
fn block(pool: &MediaPool, threads: usize) -> impl FnOnce() {
    let (entered, entries) = channel();
    let releases: Vec<_> = (0..threads)
        .map(|_| {
            let (release, released) = sync_channel::<()>(1);
            let entered = entered.clone();
            assert!(pool.submit(Box::new(move || {
                entered.send(()).unwrap();
                let _ = released.recv();
            })));
            entries.recv_timeout(PATIENCE).unwrap();
            release
        })
        .collect();
    move || drop(releases)
}

#[test]
fn jobs_of_a_lane_run_one_at_a_time_in_order() {
    let pool = MediaPool::new(4).unwrap();
    let (done, all_done) = channel();
    let running = Arc::new(Mutex::new(()));
    let lane = pool.lane(2000);
    for number in 0..1000 {
        let (done, running) = (done.clone(), Arc::clone(&running));
        assert!(lane.submit(Box::new(move || {
            let _alone = running.try_lock().expect("no other job of the lane runs");
            done.send(number).unwrap();
        })));
    }
    for expected in 0..1000 {
        assert_eq!(all_done.recv_timeout(PATIENCE).unwrap(), expected);
    }
}

#[test]
fn lanes_take_turns() {
    let pool = MediaPool::new(1).unwrap();
    let release = block(&pool, 1);
    let (done, order) = channel();
    let (first, second) = (pool.lane(10), pool.lane(10));
    for (lane, name) in [(&first, 'a'), (&first, 'a'), (&second, 'b'), (&second, 'b')] {
        let done = done.clone();
        assert!(lane.submit(Box::new(move || done.send(name).unwrap())));
    }
    release();
    let names: String = (0..4).map(|_| order.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(names, "abab");
}

#[test]
fn a_full_lane_refuses_and_the_latest_replaces() {
    let pool = MediaPool::new(1).unwrap();
    let release = block(&pool, 1);
    let (done, ran) = channel();
    let lane = pool.lane(2);
    let job = |number: u32| {
        let done = done.clone();
        Box::new(move || done.send(number).unwrap())
    };
    assert!(lane.submit(job(1)));
    assert!(lane.submit(job(2)));
    assert!(!lane.submit(job(3)));
    assert_eq!(lane.submit_latest(job(4)), Some(2));
    assert_eq!(lane.waiting(), 1);
    assert!(!lane.is_idle());
    release();
    assert_eq!(ran.recv_timeout(PATIENCE).unwrap(), 4);
    assert!(ran.try_recv().is_err());
}

#[test]
fn a_panicking_job_takes_neither_its_thread_nor_its_lane_with_it() {
    let pool = MediaPool::new(1).unwrap();
    let lane = pool.lane(10);
    let (done, ran) = channel();
    lane.submit(Box::new(|| panic!("asked for by the test")));
    pool.submit(Box::new(|| panic!("asked for by the test")));
    lane.submit(Box::new(move || done.send(()).unwrap()));
    ran.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn the_pools_queue_is_bounded() {
    let pool = MediaPool::new(1).unwrap();
    let release = block(&pool, 1);
    let taken = (0..5000).filter(|_| pool.submit(Box::new(|| ()))).count();
    assert_eq!(taken, 4096);
    release();
}

#[test]
fn the_clock_keeps_real_time_and_ends_callbacks() {
    let clock = MediaClock::new().unwrap();
    let (ticked, ticks) = channel();
    let start = Instant::now();
    let mut total = 0;
    clock.register(Box::new(move |now, count| {
        total += count;
        ticked.send((now, total)).unwrap();
        total < 30
    }));
    let (mut last, mut total) = (start, 0);
    while total < 30 {
        (last, total) = ticks.recv_timeout(PATIENCE).unwrap();
    }
    // Never ahead of time: tick n comes at start + n * 10 ms or later.
    assert!(
        last - start >= TICK_INTERVAL * 30 || total > 30,
        "{:?}",
        last - start
    );
    // The callback returned false, so its channel is closed.
    assert!(ticks.recv_timeout(PATIENCE).is_err());
    // The clock slept in between; it starts again.
    let (ticked, ticks) = channel();
    clock.register(Box::new(move |_, _| ticked.send(()).is_ok()));
    ticks.recv_timeout(PATIENCE).unwrap();
}
