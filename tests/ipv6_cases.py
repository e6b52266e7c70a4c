"""Rooms over IPv6 alone: cases that hold on every server. `server` is the fixture that makes one on ::1."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from room_tools import Ear, Rooms, microphone

from livekit import rtc


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6"),
]


@pytest.mark.parametrize("single", [True, False])
async def test_everything_goes_over_ipv6(server: Any, single: bool) -> None:
    assert server.url.startswith("ws://[::1]:")
    options = rtc.RoomOptions(single_peer_connection=single)
    rooms = Rooms(server)
    anna, _ = await rooms.join("anna", options)
    bob, events = await rooms.join("bob", options)
    async with microphone(anna, 700):
        track, *_ = await events.wait("track_subscribed")
        sound = rtc.AudioStream(track)
        await Ear(sound).wait_for_tone(700)
        await sound.aclose()
        await anna.local_participant.publish_data("over IPv6")
        await events.wait("data_received", lambda packet: packet.data == b"over IPv6")
        for room in (anna, bob):
            assert room._session is not None
            for link in room._session.connections.links:
                way = link.peer.stats()["transport"]
                if way["dtls_state"] == "connected":
                    assert way["remote_candidate"].startswith("[::1]:"), way
                    assert all("-> [::1]:" in pair for pair in way["candidate_pairs_tried"])
    await rooms.leave()
