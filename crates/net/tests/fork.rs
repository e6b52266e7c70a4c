//! The global engine: configuration, restart, and a child after fork. One test, for it is one engine.

mod common;

use common::{Echo, client, udp_sockets};
use greenroom_net::{ConfigureError, Engine, Sockets};

fn works() -> bool {
    let engine = Engine::global();
    let (sockets, address) = udp_sockets();
    let Ok(handle) = engine.spawn(sockets, |_| Echo::default()) else {
        return false;
    };
    let socket = client();
    let mut buffer = [0u8; 8];
    let echoed =
        socket.send_to(b"ping", address).is_ok() && socket.recv(&mut buffer).is_ok_and(|size| size == 4);
    let counted = handle.call(|echo, _| echo.received) == Some(1);
    let (ticked, ticks) = std::sync::mpsc::channel();
    engine
        .media_clock()
        .register(Box::new(move |_, _| ticked.send(()).is_err()));
    let ticking = ticks.recv_timeout(common::PATIENCE).is_ok();
    let (ran, runs) = std::sync::mpsc::channel();
    let pooled = engine.media_pool().submit(Box::new(move || {
        let _ = ran.send(());
    })) && runs.recv_timeout(common::PATIENCE).is_ok();
    echoed && counted && ticking && pooled
}

/// Runs `check` in a forked child; whether it was true there.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child only runs the check and leaves without running any destructor of the parent's.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(20);
                let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
                libc::_exit(i32::from(!good));
            }
            child => {
                assert!(child > 0);
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

#[test]
fn the_global_engine_restarts_after_shutdown_and_after_fork() {
    assert_eq!(Engine::configure(0), Err(ConfigureError::OutOfRange(0)));
    assert_eq!(Engine::configure(65), Err(ConfigureError::OutOfRange(65)));
    assert_eq!(Engine::configure(2), Ok(()));
    assert!(works());
    assert_eq!(Engine::configure(3), Err(ConfigureError::Running));
    assert_eq!(Engine::global().loads().len(), 2);

    let engine = Engine::global();
    let handle = engine.spawn(Sockets::default(), |_| Echo::default()).unwrap();
    let lane = engine.media_pool().lane(4);
    for _ in 0..20 {
        // Threads of the parent are busy with the engine's locks while it forks.
        let busy: Vec<_> = (0..2)
            .map(|_| {
                let handle = handle.clone();
                std::thread::spawn(move || {
                    for _ in 0..2000 {
                        handle.call(|_, _| ());
                        drop(Engine::global());
                    }
                })
            })
            .collect();
        let child_works = in_child(|| {
            let parents_is_dead = !handle.post(|_, _| ()) && handle.call(|_, _| ()).is_none();
            handle.close_and_wait();
            let dead_lane = !lane.submit(Box::new(|| ()));
            let alive = works() && Engine::global().loads().len() == 2;
            Engine::shutdown();
            Engine::shutdown();
            parents_is_dead && dead_lane && alive
        });
        assert!(child_works);
        busy.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert!(handle.call(|_, _| ()).is_some(), "the parent's engine goes on");

    Engine::shutdown();
    Engine::shutdown();
    assert!(handle.call(|_, _| ()).is_none());
    assert_eq!(Engine::configure(1), Ok(()));
    assert!(works());
    assert_eq!(Engine::global().loads().len(), 1);
}
