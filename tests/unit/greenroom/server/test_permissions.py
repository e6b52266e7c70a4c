"""From the video grant to what a participant may do."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models

from greenroom.server.permissions import VideoGrant, is_dependent, kind_of, may_publish_source

Source = models.TrackSource
ALL = {Source.UNKNOWN, Source.CAMERA, Source.MICROPHONE, Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO}

MATRIX: dict[str, tuple[dict[str, Any], tuple[bool, bool, bool], set[int]]] = {
    # claim, (publish, subscribe, data), sources
    "defaults": ({}, (True, True, True), ALL),
    "no publish": ({"canPublish": False}, (False, True, False), set()),
    "no publish, data given": ({"canPublish": False, "canPublishData": True}, (False, True, True), set()),
    "no data": ({"canPublishData": False}, (True, True, False), ALL),
    "no subscribe": ({"canSubscribe": False}, (True, False, True), ALL),
    "nothing": (
        {"canPublish": False, "canSubscribe": False, "canPublishData": False},
        (False, False, False),
        set(),
    ),
    "one source": ({"canPublishSources": ["microphone"]}, (True, True, True), {Source.MICROPHONE}),
    "screen": (
        {"canPublishSources": ["screen_share", "screen_share_audio"]},
        (True, True, True),
        {Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO},
    ),
    "empty list of sources": ({"canPublishSources": []}, (True, True, True), ALL),
    "sources without publish": (
        {"canPublishSources": ["camera"], "canPublish": False},
        (False, True, False),
        set(),
    ),
}


@pytest.mark.parametrize(("claim", "flags", "sources"), MATRIX.values(), ids=MATRIX.keys())
def test_matrix(claim: dict[str, Any], flags: tuple[bool, bool, bool], sources: set[int]) -> None:
    permission = VideoGrant.from_claim(claim).permission()

    assert (permission.can_publish, permission.can_subscribe, permission.can_publish_data) == flags
    assert {source for source in ALL if may_publish_source(permission, source)} == sources


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("hidden", "hidden"),
        ("recorder", "recorder"),
        ("agent", "agent"),
        ("canUpdateOwnMetadata", "can_update_metadata"),
        ("canSubscribeMetrics", "can_subscribe_metrics"),
        ("canManageAgentSession", "can_manage_agent_session"),
    ],
)
def test_flags_that_are_off_unless_given(key: str, field: str) -> None:
    assert getattr(VideoGrant.from_claim({key: True}).permission(), field)
    assert not getattr(VideoGrant.from_claim({key: False}).permission(), field)
    assert not getattr(VideoGrant.from_claim({}).permission(), field)


@pytest.mark.parametrize(
    ("kind", "claim", "dependent"),
    [
        ("standard", {}, False),
        ("sip", {}, False),
        ("ingress", {}, False),
        ("agent", {}, True),
        ("egress", {}, True),
        ("", {"recorder": True}, True),
        ("", {"agent": True}, True),
        ("unheard of", {}, False),
    ],
)
def test_who_is_not_counted(kind: str, claim: dict[str, Any], dependent: bool) -> None:
    assert is_dependent(kind_of(kind), VideoGrant.from_claim(claim).permission()) is dependent
