"""What the engine counts, under the names of the public statistics."""

from __future__ import annotations

from livekit.rtc._stats import sender_stats


def test_a_sender_tells_what_it_encoded_and_sent() -> None:
    counted = {
        "mid": "1", "rid": "h", "ssrc": 7, "codec": "vp8", "packets_sent": 90, "bytes_sent": 9000,
        "frames_encoded": 30, "key_frames_encoded": 1, "frame_width": 640, "frame_height": 360,
        "target_bitrate_bps": 500_000, "fraction_lost": 0.25,
    }  # fmt: skip
    entries = sender_stats({"senders": [counted, counted | {"mid": "2"}]}, "1")
    outbound = entries[0].outbound_rtp
    assert (outbound.stream.kind, outbound.stream.ssrc, outbound.outbound.rid) == ("video", 7, "h")
    assert (outbound.sent.packets_sent, outbound.sent.bytes_sent) == (90, 9000)
    assert (outbound.outbound.frames_sent, outbound.outbound.frames_encoded) == (30, 30)
    assert outbound.outbound.target_bitrate == 500_000
    assert entries[1].remote_inbound_rtp.remote_inbound.fraction_lost == 0.25
    assert len([entry for entry in entries if entry.HasField("outbound_rtp")]) == 1


def test_sound_has_packets_and_no_frames() -> None:
    counted = {
        "mid": "0",
        "ssrc": 8,
        "codec": "opus",
        "packets_sent": 50,
        "frames_encoded": 50,
        "nack_count": 2,
    }
    outbound = sender_stats({"senders": [counted]}, "0")[0].outbound_rtp
    assert (outbound.stream.kind, outbound.sent.packets_sent, outbound.outbound.nack_count) == (
        "audio",
        50,
        2,
    )
    assert not outbound.outbound.HasField("frames_sent")
    assert not outbound.outbound.HasField("frames_encoded")


def test_an_unknown_section_has_no_statistics() -> None:
    assert sender_stats({"senders": []}, "1") == []
