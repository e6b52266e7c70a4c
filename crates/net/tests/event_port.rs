//! The event port: order, wake-ups, bounds, the end.

use greenroom_net::{Event, EventPort, Payload, next_handle};

const FAILED: u16 = 3;

/// The kernel shows an eventfd's count here, so no unsafe poll is needed.
fn is_readable(port: &EventPort) -> bool {
    let path = format!("/proc/self/fdinfo/{}", port.fileno().expect("open"));
    let info = std::fs::read_to_string(path).expect("readable");
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("eventfd-count:"))
        .expect("an eventfd");
    count.trim() != "0"
}

#[test]
fn events_come_in_order_with_one_wake_up_per_batch() {
    let port = EventPort::new(FAILED).unwrap();
    assert!(!is_readable(&port));
    for number in 0..100 {
        assert!(port.push(1, 7, Payload::Integer(number)));
    }
    assert_eq!(port.wake_count(), 1);
    assert!(is_readable(&port));
    let first = port.drain(60);
    assert_eq!(first.len(), 60);
    assert_eq!(
        first[59],
        Event {
            handle: 1,
            kind: 7,
            payload: Payload::Integer(59)
        }
    );
    assert!(is_readable(&port), "more is left");
    port.push(1, 7, Payload::None);
    assert_eq!(port.wake_count(), 1, "still the same batch");
    assert_eq!(port.drain(1000).len(), 41);
    assert!(!is_readable(&port));
    port.push(1, 7, Payload::None);
    assert_eq!(port.wake_count(), 2);
    assert!(is_readable(&port));
}

#[test]
fn a_handle_that_overflows_fails_once_and_others_go_on() {
    let port = EventPort::with_share(FAILED, 3).unwrap();
    for number in 0..10 {
        assert_eq!(port.push(1, 7, Payload::Integer(number)), number < 3);
    }
    assert!(port.push(2, 7, Payload::None));
    let events = port.drain(100);
    assert_eq!(events.len(), 5);
    assert_eq!((events[3].handle, events[3].kind), (1, FAILED));
    assert!(matches!(&events[3].payload, Payload::Text(reason) if reason.contains("overflow")));
    assert_eq!(events[4].handle, 2);
    assert!(!port.push(1, 7, Payload::None), "later events of it are dropped");
    port.forget(1);
    assert!(port.push(1, 7, Payload::None));
}

#[test]
fn draining_gives_a_handle_its_share_back() {
    let port = EventPort::with_share(FAILED, 3).unwrap();
    for _ in 0..5 {
        for _ in 0..3 {
            assert!(port.push(1, 7, Payload::None));
        }
        assert_eq!(port.drain(100).len(), 3);
    }
}

#[test]
fn a_closed_port_drops_quietly() {
    let port = EventPort::new(FAILED).unwrap();
    port.push(1, 7, Payload::None);
    port.close();
    port.close();
    assert_eq!(port.fileno(), None);
    assert!(!port.push(1, 7, Payload::None));
    assert!(port.drain(10).is_empty());
}

#[test]
fn handles_are_unique_across_threads() {
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| (0..1000).map(|_| next_handle()).collect::<Vec<_>>()))
        .collect();
    let mut all: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4000);
    assert_ne!(all[0], 0);
}
