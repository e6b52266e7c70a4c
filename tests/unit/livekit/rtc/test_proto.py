"""The protobuf names that user code reaches for."""

from __future__ import annotations

import pytest

from livekit import rtc
from livekit.rtc._proto import e2ee_pb2, participant_pb2, stats_pb2, track_pb2, video_frame_pb2


def test_enums_are_ints_with_protobuf_helpers() -> None:
    kind = rtc.TrackKind
    assert (kind.KIND_VIDEO, kind.Name(2), kind.Value("KIND_VIDEO")) == (2, "KIND_VIDEO", 2)
    assert ("KIND_AUDIO", 1) in kind.items()
    assert kind.ValueType is int
    assert str(rtc.DisconnectReason.ROOM_DELETED) == "5"
    assert rtc.DataPacketKind.KIND_RELIABLE == 1
    assert e2ee_pb2.EncryptionState.MISSING_KEY == 4
    assert track_pb2.KIND_AUDIO == 1


def test_enums_of_python_have_the_helpers_too() -> None:
    quality = rtc.ConnectionQuality
    assert (quality.Name(2), quality.Value("QUALITY_EXCELLENT")) == ("QUALITY_EXCELLENT", 2)
    assert quality.items() == list(zip(quality.keys(), quality.values(), strict=True))
    assert (quality.keys()[0], quality.values()[0], f"{quality.QUALITY_GOOD:d}") == (
        "QUALITY_UNKNOWN",
        -1,
        "1",
    )
    for wrong in (lambda: quality.Name(9), lambda: quality.Value("GOOD")):
        with pytest.raises(ValueError, match="ConnectionQuality"):
            wrong()


def test_messages_behave_as_messages() -> None:
    info = rtc.room.proto_room.RoomInfo(sid="RM_x", name="n")  # type: ignore[attr-defined]
    assert rtc.room.proto_room.RoomInfo.FromString(info.SerializeToString()) == info  # type: ignore[attr-defined]
    options = rtc.TrackPublishOptions(video_encoding=rtc.VideoEncoding(max_bitrate=5, max_framerate=1.5))
    assert options.HasField("video_encoding")
    assert not options.HasField("dtx")
    person = participant_pb2.ParticipantInfo(attributes={"a": "b"}, permission={"can_publish": True})
    assert person.attributes["a"] == "b"
    assert person.permission.can_publish
    stats = stats_pb2.RtcStats()
    stats.transport.rtc.id = "T01"
    assert stats.WhichOneof("stats") == "transport"
    assert video_frame_pb2.FrameMetadata(user_data=b"x").user_data == b"x"
