//! Scarce bandwidth through a whole unit: layers given up and taken again, pauses, priorities.

mod common;

use common::{Vp8Source, World, ms, read_vp8, vp8};
use greenroom_sfu::rtcp::Feedback;
use greenroom_sfu::{BandwidthPolicy, Handle, Kind, SfuEvent};

const FRAME: u32 = 3_000;
/// Payload bytes of a frame on each layer: about 120, 400 and 1,200 kb/s at 30 frames a second.
const FRAME_BYTES: [usize; 3] = [460, 1_600, 4_900];

/// A publisher of three layers, and what it sends.
struct Camera {
    up_track: Handle,
    sources: [Vp8Source; 3],
}

fn camera(world: &mut World, mid: &'static str, first_ssrc: u32) -> Camera {
    let ssrcs: Vec<u32> = (0..3).map(|index| first_ssrc + index).collect();
    let up_track = world.publish(0, mid, Kind::Video, vec![vp8(false)], &ssrcs, &[]);
    let sources = [0, 1, 2].map(|index| {
        let mut source = Vp8Source::new(ssrcs[index], None);
        source.filler = FRAME_BYTES[index] / packets(index);
        source.temporal = true;
        source
    });
    Camera { up_track, sources }
}

fn packets(layer: usize) -> usize {
    [1, 2, 5][layer]
}

/// Frames at 30 per second for so long; the publisher obeys key frame requests.
fn stream(world: &mut World, cameras: &mut [Camera], milliseconds: u64) {
    for _ in 0..milliseconds / 33 {
        for source in cameras
            .iter_mut()
            .flat_map(|camera| camera.sources.iter_mut().enumerate())
        {
            let (index, source) = source;
            let wanted = Feedback::KeyFrame { ssrc: source.ssrc };
            source.key_next |= world.clients[0]
                .feedback
                .iter()
                .any(|(_, feedback)| *feedback == wanted);
            source.frame(&mut world.clients[0], packets(index) as u8, FRAME);
        }
        world.clients[0]
            .feedback
            .retain(|(_, feedback)| !matches!(feedback, Feedback::KeyFrame { .. }));
        world.run(ms(33));
    }
}

fn layer(world: &World, down_track: Handle) -> Option<u8> {
    let found = world.sfu.down_track_statistics(down_track).expect("open");
    found.spatial_layer
}

fn pauses(world: &World, down_track: Handle) -> Vec<bool> {
    let of_track = |event: &SfuEvent| match event {
        SfuEvent::DownTrackPaused(handle, paused) if *handle == down_track => Some(*paused),
        _ => None,
    };
    world.events.iter().filter_map(of_track).collect()
}

fn assert_no_holes(world: &World, client: usize, ssrc: u32) {
    let got = world.clients[client].on(ssrc);
    for pair in got.windows(2) {
        let (before, after) = (read_vp8(&pair[0].payload), read_vp8(&pair[1].payload));
        assert_eq!(
            pair[1].header.sequence_number,
            pair[0].header.sequence_number.wrapping_add(1)
        );
        assert_eq!(
            after.0,
            (before.0 + u16::from(after.4 == 0)) & 0x7FFF,
            "picture id"
        );
        assert!(before.2 == after.2 || after.5, "a switch without a key frame");
    }
}

/// What a client's video may take, from now on.
fn limit(world: &mut World, client: usize, limit_bps: Option<u64>) {
    let (transport, now) = (world.clients[client].handle, world.now);
    world
        .sfu
        .set_bandwidth_limit(transport, limit_bps, now)
        .expect("open");
}

fn set_policy(world: &mut World, client: usize, policy: BandwidthPolicy) {
    let (transport, now) = (world.clients[client].handle, world.now);
    world
        .sfu
        .set_bandwidth_policy(transport, policy, now)
        .expect("open");
}

const MAY_PAUSE: BandwidthPolicy = BandwidthPolicy {
    congestion_control: true,
    allow_pause: true,
};

/// Two cameras, and a client whose tracks of both may be paused: it, and its tracks on SSRC 900 and 910.
fn two_tracks(world: &mut World) -> ([Camera; 2], usize, [Handle; 2]) {
    world.join();
    let cameras = [camera(world, "v", 1_000), camera(world, "w", 2_000)];
    let client = world.join();
    set_policy(world, client, MAY_PAUSE);
    let tracks = [(0, 900), (1, 910)].map(|(index, ssrc): (usize, u32)| {
        world.subscribe(client, cameras[index].up_track, ssrc, vec![vp8(true)])
    });
    (cameras, client, tracks)
}

#[test]
fn a_limit_lowers_the_layer_and_no_limit_raises_it() {
    let mut world = World::new(11);
    world.join();
    let mut cameras = [camera(&mut world, "v", 1_000)];
    let (limited, other) = (world.join(), world.join());
    let down_track = world.subscribe(limited, cameras[0].up_track, 900, vec![vp8(true)]);
    let undisturbed = world.subscribe(other, cameras[0].up_track, 900, vec![vp8(true)]);
    stream(&mut world, &mut cameras, 2_000);
    assert_eq!(layer(&world, down_track), Some(2));
    for (limit_bps, expected) in [
        (Some(550_000), 1),
        (Some(200_000), 0),
        (Some(550_000), 1),
        (None, 2),
        (Some(50_000), 0),
    ] {
        limit(&mut world, limited, limit_bps);
        stream(&mut world, &mut cameras, 5_000);
        assert_eq!(layer(&world, down_track), Some(expected), "{limit_bps:?}");
        assert_eq!(layer(&world, undisturbed), Some(2), "{limit_bps:?}");
    }
    assert_no_holes(&world, limited, 900);
    assert_no_holes(&world, other, 900);
    assert_eq!(pauses(&world, down_track), [], "pausing is not allowed");
}

#[test]
fn temporal_layers_go_before_spatial_ones() {
    let mut world = World::new(12);
    world.join();
    let mut cameras = [camera(&mut world, "v", 1_000)];
    let client = world.join();
    let down_track = world.subscribe(client, cameras[0].up_track, 900, vec![vp8(true)]);
    stream(&mut world, &mut cameras, 3_000);
    limit(&mut world, client, Some(900_000));
    let before = world.clients[client].on(900).len();
    stream(&mut world, &mut cameras, 2_000);
    assert_eq!(layer(&world, down_track), Some(2));
    let got = world.clients[client].on(900);
    let frames = got[before..]
        .iter()
        .filter(|got| read_vp8(&got.payload).4 == 0)
        .count();
    assert!((28..=34).contains(&frames), "{frames} frames in two seconds");
    assert_no_holes(&world, client, 900);
}

#[test]
fn tracks_that_do_not_fit_are_paused_where_that_is_allowed() {
    let mut world = World::new(13);
    let (mut cameras, client, [first, second]) = two_tracks(&mut world);
    stream(&mut world, &mut cameras, 2_000);
    let now = world.now;
    world.sfu.set_priority(second, 7, now).expect("open");
    limit(&mut world, client, Some(90_000));
    stream(&mut world, &mut cameras, 2_000);
    assert_eq!(
        (pauses(&world, first), pauses(&world, second)),
        (vec![true], vec![])
    );
    assert_eq!((layer(&world, first), layer(&world, second)), (None, Some(0)));
    let held = world.clients[client].on(900).len();
    stream(&mut world, &mut cameras, 2_000);
    assert_eq!(
        world.clients[client].on(900).len(),
        held,
        "a paused track sends nothing"
    );
    limit(&mut world, client, None);
    stream(&mut world, &mut cameras, 3_000);
    assert_eq!(pauses(&world, first), [true, false]);
    assert_eq!((layer(&world, first), layer(&world, second)), (Some(2), Some(2)));
    for ssrc in [900, 910] {
        assert_no_holes(&world, client, ssrc);
    }
}

#[test]
fn a_track_that_is_disabled_while_it_is_paused_comes_back() {
    let mut world = World::new(14);
    world.join();
    let mut cameras = [camera(&mut world, "v", 1_000)];
    let client = world.join();
    let down_track = world.subscribe(client, cameras[0].up_track, 900, vec![vp8(true)]);
    stream(&mut world, &mut cameras, 2_000);
    set_policy(&mut world, client, MAY_PAUSE);
    limit(&mut world, client, Some(10_000));
    stream(&mut world, &mut cameras, 1_000);
    assert_eq!(layer(&world, down_track), None);
    let now = world.now;
    world.sfu.set_down_track_enabled(down_track, false, now);
    stream(&mut world, &mut cameras, 1_000);
    limit(&mut world, client, None);
    let now = world.now;
    world.sfu.set_down_track_enabled(down_track, true, now);
    stream(&mut world, &mut cameras, 2_000);
    assert_eq!(layer(&world, down_track), Some(2));
    assert_eq!(pauses(&world, down_track), [true, false]);
}

/// The longest time in which no packet of an SSRC came, after some time.
fn longest_pause_ms(world: &World, client: usize, ssrc: u32, from: std::time::Instant) -> u128 {
    let got = world.clients[client].on(ssrc);
    let times: Vec<_> = got.iter().map(|got| got.at).filter(|at| *at >= from).collect();
    times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .max()
        .unwrap_or(u128::MAX)
}

#[test]
fn a_subscriber_behind_a_narrow_link_gets_what_it_can_take_and_nobody_else_notices() {
    for seed in 21..24 {
        let mut world = World::new(seed);
        world.join();
        let mut cameras = [camera(&mut world, "v", 1_000)];
        cameras[0]
            .sources
            .iter_mut()
            .for_each(|source| source.temporal = false);
        let (narrow, wide) = (world.join(), world.join());
        let down_track = world.subscribe(narrow, cameras[0].up_track, 900, vec![vp8(true)]);
        let undisturbed = world.subscribe(wide, cameras[0].up_track, 900, vec![vp8(true)]);
        stream(&mut world, &mut cameras, 5_000);
        assert_eq!(layer(&world, down_track), Some(2), "seed {seed}");
        let began = world.now;
        world.clients[narrow].bottleneck = Some((300_000, ms(300)));
        stream(&mut world, &mut cameras, 2_500);
        assert_eq!(layer(&world, down_track), Some(0), "seed {seed}");
        let overflowed = world.clients[narrow].overflowed;
        let settled = world.now;
        for _ in 0..20 {
            stream(&mut world, &mut cameras, 1_000);
            assert_eq!(layer(&world, down_track), Some(0), "seed {seed}");
        }
        assert_eq!(
            world.clients[narrow].overflowed, overflowed,
            "seed {seed}: lost after it settled"
        );
        assert!(
            longest_pause_ms(&world, narrow, 900, settled) < 300,
            "seed {seed}"
        );
        world.clients[narrow].bottleneck = None;
        stream(&mut world, &mut cameras, 10_000);
        assert_eq!(layer(&world, down_track), Some(2), "seed {seed}");
        assert_eq!(layer(&world, undisturbed), Some(2));
        assert!(longest_pause_ms(&world, wide, 900, began) < 100);
        assert_no_holes(&world, wide, 900);
    }
}

#[test]
fn who_sends_no_feedback_gets_everything() {
    let mut world = World::new(31);
    world.join();
    let mut cameras = [camera(&mut world, "v", 1_000)];
    let client = world.join();
    world.clients[client].reports_arrivals = false;
    world.clients[client].bottleneck = Some((300_000, ms(300)));
    let down_track = world.subscribe(client, cameras[0].up_track, 900, vec![vp8(true)]);
    stream(&mut world, &mut cameras, 10_000);
    assert_eq!(layer(&world, down_track), Some(2));
}

#[test]
fn everything_is_sent_where_congestion_is_not_controlled() {
    let mut world = World::new(32);
    world.join();
    let mut cameras = [camera(&mut world, "v", 1_000)];
    let client = world.join();
    let policy = BandwidthPolicy {
        congestion_control: false,
        allow_pause: true,
    };
    set_policy(&mut world, client, policy);
    world.clients[client].bottleneck = Some((300_000, ms(300)));
    let down_track = world.subscribe(client, cameras[0].up_track, 900, vec![vp8(true)]);
    stream(&mut world, &mut cameras, 10_000);
    assert_eq!(layer(&world, down_track), Some(2));
}

#[test]
fn two_tracks_share_a_link_and_a_paused_one_returns_with_the_room_for_it() {
    let mut world = World::new(33);
    let (mut cameras, client, [first, second]) = two_tracks(&mut world);
    let now = world.now;
    world.sfu.set_priority(second, 255, now).expect("open");
    stream(&mut world, &mut cameras, 4_000);
    world.clients[client].bottleneck = Some((110_000, ms(400)));
    stream(&mut world, &mut cameras, 12_000);
    assert_eq!(pauses(&world, first), [true]);
    assert_eq!(layer(&world, second), Some(0));
    world.clients[client].bottleneck = None;
    stream(&mut world, &mut cameras, 25_000);
    assert_eq!(pauses(&world, first), [true, false]);
    assert_eq!((layer(&world, first), layer(&world, second)), (Some(2), Some(2)));
}
