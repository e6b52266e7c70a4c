use super::super::stun::tests::message;
use super::*;

const ALICE: u32 = 1;
const BOB: u32 = 2;
const REQUEST: u16 = 1;
const RESPONSE: u16 = 0x0101;
const USERNAME: u16 = 6;

fn remote(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn check(username: &str) -> Vec<u8> {
    message(REQUEST, 1, &[(USERNAME, username.as_bytes())])
}

#[test]
fn a_remote_is_the_first_ones_that_sends_there() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    assert_eq!(routes.recipient(remote(1), b"\x80media"), None);
    assert!(routes.admit(ALICE, remote(1), b"\x80media", now));
    assert!(!routes.admit(BOB, remote(1), b"\x80media", now));
    assert!(routes.admit(BOB, remote(2), b"\x80media", now));
    assert_eq!(routes.recipient(remote(1), b"\x80media"), Some(ALICE));
    assert_eq!(routes.recipient(remote(2), b"\x16dtls"), Some(BOB));
    assert_eq!(
        routes.recipient(remote(2), &message(RESPONSE, 9, &[])),
        Some(BOB),
        "the answer to a check comes from where the check went"
    );
}

#[test]
fn a_check_from_anywhere_finds_whom_it_names() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    assert!(routes.admit(ALICE, remote(1), &check("server-a:alice"), now));
    assert!(routes.admit(BOB, remote(2), &check("server-b:bob"), now));
    assert_eq!(routes.recipient(remote(77), &check("bob:server-b")), Some(BOB));
    assert_eq!(routes.recipient(remote(2), &check("alice:server-a")), Some(ALICE));
    for hostile in ["bob:server-a", "bob", "", ":", "server-a:alice"] {
        assert_eq!(routes.recipient(remote(1), &check(hostile)), None, "{hostile:?}");
    }
    assert_eq!(routes.recipient(remote(1), &message(REQUEST, 1, &[])), None);
}

#[test]
fn one_ufrag_of_two_endpoints_is_told_apart_by_the_other() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.admit(ALICE, remote(1), &check("server-a:same"), now);
    routes.admit(BOB, remote(2), &check("server-b:same"), now);
    assert_eq!(routes.recipient(remote(9), &check("same:server-a")), Some(ALICE));
    assert_eq!(routes.recipient(remote(9), &check("same:server-b")), Some(BOB));
}

#[test]
fn a_check_that_may_not_be_sent_teaches_nothing() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.claim(ALICE, remote(1), now);
    assert!(!routes.admit(BOB, remote(1), &check("server:bob"), now));
    assert_eq!(routes.recipient(remote(1), &check("bob:server")), None);
}

#[test]
fn a_stun_server_answers_everybody() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    assert!(routes.admit(ALICE, remote(3478), &message(REQUEST, 1, &[]), now));
    assert!(routes.admit(BOB, remote(3478), &message(REQUEST, 2, &[]), now));
    let answer = |transaction| message(RESPONSE, transaction, &[]);
    assert_eq!(routes.recipient(remote(3478), &answer(1)), Some(ALICE));
    assert_eq!(routes.recipient(remote(3478), &answer(2)), Some(BOB));
    assert_eq!(routes.recipient(remote(3478), &answer(3)), None);
    assert_eq!(
        routes.recipient(remote(3478), b"\x80media"),
        None,
        "it is nobody's remote"
    );
}

#[test]
fn transactions_are_forgotten_in_time_and_bounded() {
    let (mut transactions, now) = (Transactions::default(), Instant::now());
    transactions.insert([1; 12], ALICE, now);
    transactions.insert([2; 12], ALICE, now + TRANSACTION_AGE);
    assert_eq!(transactions.get([1; 12]), Some(ALICE));
    transactions.insert([3; 12], ALICE, now + 2 * TRANSACTION_AGE);
    assert_eq!(transactions.get([1; 12]), None);
    assert_eq!(transactions.get([2; 12]), Some(ALICE));
    for number in 0..50_000u64 {
        let mut transaction = [9; 12];
        transaction[..8].copy_from_slice(&number.to_be_bytes());
        transactions.insert(transaction, BOB, now);
    }
    assert!(transactions.recent.len() + transactions.older.len() <= 2 * MAX_TRANSACTIONS);
}

#[test]
fn nobody_is_given_the_remote_of_one_that_has_just_gone() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.admit(ALICE, remote(1), &check("server:alice"), now);
    routes.release(ALICE, now);
    assert_eq!(routes.recipient(remote(1), b"\x80media"), None);
    assert_eq!(routes.recipient(remote(1), &check("alice:server")), None);
    assert!(!routes.is_free_for(BOB, remote(1), now));
    assert!(!routes.claim(BOB, remote(1), now + REST / 2));
    assert!(routes.claim(BOB, remote(1), now + REST));
    assert_eq!(routes.recipient(remote(1), b"\x80media"), Some(BOB));
    routes.release(ALICE, now + REST);
    assert_eq!(routes.recipient(remote(1), b"\x80media"), Some(BOB));
}

#[test]
fn what_one_endpoint_holds_is_bounded() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    let taken = (0..1000).filter(|port| routes.claim(ALICE, remote(*port), now));
    assert_eq!(taken.count(), MAX_REMOTES);
    assert!(routes.claim(ALICE, remote(0), now), "what it has it keeps");
    for number in 0..100 {
        routes.admit(ALICE, remote(0), &check(&format!("server:restart-{number}")), now);
    }
    assert_eq!(routes.usernames.len(), MAX_USERNAMES);
    assert_eq!(
        routes.recipient(remote(0), &check("restart-99:server")),
        Some(ALICE)
    );
    assert_eq!(routes.recipient(remote(0), &check("restart-0:server")), None);
}

#[test]
fn remotes_that_rest_are_bounded_and_the_first_gives_way() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    let addresses = |key: u32| (0..MAX_REMOTES as u32).map(move |number| (key * MAX_REMOTES as u32) + number);
    let address = |number: u32| SocketAddr::from((number.to_be_bytes(), 5000));
    let endpoints = (MAX_RESTING / MAX_REMOTES) as u32 + 2;
    for key in 1..=endpoints {
        addresses(key).for_each(|number| assert!(routes.claim(key, address(number), now)));
        routes.release(key, now);
    }
    assert_eq!(routes.claims.len(), MAX_RESTING);
    assert!(
        routes.claim(BOB, address(MAX_REMOTES as u32), now),
        "the first of all"
    );
    assert!(!routes.claim(BOB, address(endpoints * MAX_REMOTES as u32), now));
    routes.wake_rested(now + REST);
    assert_eq!(routes.claims.len(), 1);
}

#[test]
fn what_arrives_teaches_nothing_and_harms_nothing() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.admit(ALICE, remote(1), &check("server:alice"), now);
    let before = (routes.claims.len(), routes.usernames.len());
    for length in 0..60 {
        for first in [0u8, 1, 3, 4, 20, 64, 128, 255] {
            let mut junk = vec![0xFF; length];
            junk.iter_mut().take(1).for_each(|byte| *byte = first);
            let found = routes.recipient(remote(2), &junk);
            assert_eq!(found, None, "{length} bytes from {first}");
        }
    }
    assert_eq!(routes.recipient(remote(1), &[0; 40]), None, "STUN in name only");
    assert_eq!((routes.claims.len(), routes.usernames.len()), before);
}
