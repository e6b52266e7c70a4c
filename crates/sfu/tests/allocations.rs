//! A packet in steady state costs no allocation: on its way in, to each subscriber, and in the feedback about it.
//!
//! Left out are ICE's own checks (of each connection, every few seconds), which allocate inside a library.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};

use common::{Vp8Source, World, ms, opus, vp8, work};
use greenroom_sfu::Kind;
use greenroom_sfu::rtcp::{self, ReportBlock};
use greenroom_sfu::rtp_header::RtpHeader;

struct CountingAllocator;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        work::allocated();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        work::allocated();
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SPEAKER: usize = 0;
const CAMERA: usize = 1;
const VIEWERS: std::ops::Range<usize> = 2..6;
const AUDIO_SSRC: u32 = 5;
const VIDEO_SSRC: u32 = 6;
const DOWN_AUDIO: u32 = 900;
const DOWN_VIDEO: u32 = 910;

/// A speaker and a camera, and those who get both.
struct Room {
    world: World,
    camera: Vp8Source,
    sequence_number: u16,
    ticks: u32,
}

impl Room {
    fn new() -> Room {
        let mut world = World::new(5);
        world.join();
        world.join();
        let audio = world.publish(SPEAKER, "a", Kind::Audio, vec![opus()], &[AUDIO_SSRC], &[]);
        let video = world.publish(CAMERA, "v", Kind::Video, vec![vp8(true)], &[VIDEO_SSRC], &[]);
        for viewer in VIEWERS {
            world.join();
            world.subscribe(viewer, audio, DOWN_AUDIO, vec![opus()]);
            world.subscribe(viewer, video, DOWN_VIDEO, vec![vp8(true)]);
        }
        for publisher in [SPEAKER, CAMERA] {
            world.clients[publisher].next_number = Some(65_000);
        }
        world.clients[CAMERA].loss = 0.01;
        Room {
            world,
            camera: Vp8Source::new(VIDEO_SSRC, None),
            sequence_number: 65_000,
            ticks: 0,
        }
    }

    /// 20 ms of sound and, half of the time, a frame of `packets` packets; and what everybody reports about them.
    fn tick(&mut self, packets: u8) {
        self.ticks += 1;
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number: self.sequence_number,
            timestamp: self.ticks * 960,
            ssrc: AUDIO_SSRC,
        };
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let payload = [7; 160];
        let shorter = 20 * (self.ticks % 5) as usize;
        self.world.clients[SPEAKER].send_rtp(header, &[(1, &[20])], &payload[shorter..]);
        if self.ticks.is_multiple_of(2) {
            self.camera.filler = 1_100 - 50 * (self.ticks % 7) as usize;
            self.camera.frame(&mut self.world.clients[CAMERA], packets, 3_600);
        }
        if self.ticks.is_multiple_of(50) {
            self.report();
        }
        self.world.run(ms(20));
    }

    /// What is said once a second: sender reports, receiver reports, and what a viewer lost.
    fn report(&mut self) {
        for (publisher, ssrc, rate) in [(SPEAKER, AUDIO_SSRC, 960), (CAMERA, VIDEO_SSRC, 1_800)] {
            let ntp_time = u64::from(self.ticks) << 32;
            self.world.clients[publisher].send_sender_report(ssrc, ntp_time, self.ticks * rate);
        }
        for viewer in VIEWERS {
            let client = &mut self.world.clients[viewer];
            let blocks = [DOWN_AUDIO, DOWN_VIDEO].map(|ssrc| ReportBlock {
                ssrc,
                ..ReportBlock::default()
            });
            client.send_rtcp(|out| rtcp::write_receiver_reports(out, 1, &blocks));
            let newest = client.on(DOWN_VIDEO).last().map(|got| got.header.sequence_number);
            if let Some(newest) = newest {
                let lost = [9, 8, 3].map(|back| newest.wrapping_sub(back));
                client.send_rtcp(|out| rtcp::write_nack(out, 1, DOWN_VIDEO, &lost));
            }
            client.got.clear();
        }
    }

    fn run(&mut self, seconds: u32, packets: u8) {
        for _ in 0..seconds * 50 {
            self.tick(packets);
        }
    }

    /// What the unit sends and allocates meanwhile.
    fn measure(&mut self, seconds: u32, packets: u8) -> (u64, u64) {
        let sent = self.world.sfu.statistics().packets_sent;
        let allocations = work::allocations();
        self.run(seconds, packets);
        (
            self.world.sfu.statistics().packets_sent - sent,
            work::allocations() - allocations,
        )
    }
}

#[test]
fn forwarding_in_steady_state_allocates_nothing() {
    let mut room = Room::new();
    // Histories, rings and pools are full after this.
    room.run(20, 8);
    for packets in [4, 8] {
        let (sent, allocations) = room.measure(20, packets);
        let statistics = room.world.sfu.statistics();
        assert!(sent > 10_000, "{sent} datagrams");
        assert!(
            statistics.nacks_received > 0 && statistics.nacks_sent > 0,
            "{statistics:?}"
        );
        assert_eq!(allocations, 0, "for {sent} datagrams, {packets} packets a frame");
    }
}
