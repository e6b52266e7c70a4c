"""What programs written for the reference SDK 1.2.1 use of rooms, participants, publications, tracks and options."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from livekit import rtc

_PARTICIPANT = """sid identity name metadata attributes state kind kind_details joined_at disconnect_reason
connection_quality permissions track_publications"""
_PUBLICATION = """sid name kind source simulcasted width height mime_type muted encryption_type audio_features
frame_metadata_features track"""
_MEMBERS = {
    "Room": """sid local_participant connection_state remote_participants name metadata e2ee_manager num_participants
        num_publishers creation_time is_recording departure_timeout empty_timeout isconnected on once off emit connect
        disconnect get_rtc_stats simulate_scenario register_text_stream_handler unregister_text_stream_handler
        register_byte_stream_handler unregister_byte_stream_handler""",
    "RemoteParticipant": _PARTICIPANT,
    "LocalParticipant": _PARTICIPANT
    + """ publish_data publish_dtmf publish_transcription publish_track unpublish_track perform_rpc register_rpc_method
        unregister_rpc_method add_rpc_interceptor remove_rpc_interceptor set_metadata set_name set_attributes stream_text
        send_text stream_bytes send_bytes send_file set_track_subscription_permissions""",
    "LocalTrackPublication": _PUBLICATION + " wait_for_subscription",
    "RemoteTrackPublication": _PUBLICATION + " subscribed set_subscribed set_video_quality",
    "LocalAudioTrack": "sid name kind stream_state muted mute unmute create_audio_track get_stats",
    "LocalVideoTrack": "sid name kind stream_state muted mute unmute create_video_track get_stats",
    "RemoteAudioTrack": "sid name kind stream_state muted get_stats",
    "RemoteVideoTrack": "sid name kind stream_state muted get_stats",
}
_FIELDS = {
    "RoomOptions": "auto_subscribe dynacast e2ee encryption rtc_config connect_timeout single_peer_connection data_stream",
    "RtcConfiguration": "ice_transport_type continual_gathering_policy ice_servers",
    "DataStreamOptions": "max_payload_byte_length",
    "DataPacket": "data kind participant topic",
    "SipDTMF": "code digit participant",
    "RtcStats": "publisher_stats subscriber_stats",
}
_COROUTINES = {
    "Room": "connect disconnect get_rtc_stats simulate_scenario",
    "LocalParticipant": "publish_track unpublish_track publish_data set_metadata set_name set_attributes perform_rpc",
    "LocalTrackPublication": "wait_for_subscription",
}


def _pairs(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in table.items() for name in names.split()]


@pytest.mark.parametrize(("kind", "name"), _pairs(_MEMBERS))
def test_members_are_there(kind: str, name: str) -> None:
    assert hasattr(getattr(rtc, kind), name)


@pytest.mark.parametrize(("kind", "name"), _pairs(_COROUTINES))
def test_what_is_awaited_there_is_awaited_here(kind: str, name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(getattr(rtc, kind), name))


@pytest.mark.parametrize("kind", _FIELDS)
def test_fields_come_first_in_the_same_order(kind: str) -> None:
    fields = [field.name for field in dataclasses.fields(getattr(rtc, kind))]
    wanted = _FIELDS[kind].split()
    assert fields[: len(wanted)] == wanted


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ConnectionState", {"CONN_DISCONNECTED": 0, "CONN_CONNECTED": 1, "CONN_RECONNECTING": 2}),
        ("DataPacketKind", {"KIND_LOSSY": 0, "KIND_RELIABLE": 1}),
        ("IceTransportType", {"TRANSPORT_RELAY": 0, "TRANSPORT_NOHOST": 1, "TRANSPORT_ALL": 2}),
        ("TrackKind", {"KIND_UNKNOWN": 0, "KIND_AUDIO": 1, "KIND_VIDEO": 2}),
        ("VideoQuality", {"VIDEO_QUALITY_LOW": 0, "VIDEO_QUALITY_MEDIUM": 1, "VIDEO_QUALITY_HIGH": 2}),
    ],
)
def test_enums_have_the_same_numbers_and_helpers(kind: str, values: dict[str, int]) -> None:
    wrapper = getattr(rtc, kind)
    assert dict(wrapper.items()) == values
    for name, number in values.items():
        assert wrapper.Value(name) == number
        assert wrapper.Name(number) == name
