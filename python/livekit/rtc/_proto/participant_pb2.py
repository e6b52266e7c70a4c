"""Participants."""

from . import track_pb2
from ._build import build

build(
    globals(),
    "participant",
    """
enum ParticipantState: PARTICIPANT_STATE_JOINING=0 PARTICIPANT_STATE_JOINED=1 PARTICIPANT_STATE_ACTIVE=2 PARTICIPANT_STATE_DISCONNECTED=3
enum ParticipantKind: PARTICIPANT_KIND_STANDARD=0 PARTICIPANT_KIND_INGRESS=1 PARTICIPANT_KIND_EGRESS=2 PARTICIPANT_KIND_SIP=3 PARTICIPANT_KIND_AGENT=4 PARTICIPANT_KIND_CONNECTOR=5 PARTICIPANT_KIND_BRIDGE=6
enum ParticipantKindDetail: PARTICIPANT_KIND_DETAIL_CLOUD_AGENT=0 PARTICIPANT_KIND_DETAIL_FORWARDED=1 PARTICIPANT_KIND_DETAIL_CONNECTOR_WHATSAPP=2 PARTICIPANT_KIND_DETAIL_CONNECTOR_TWILIO=3 PARTICIPANT_KIND_DETAIL_BRIDGE_RTSP=4 PARTICIPANT_KIND_DETAIL_SIMULATION=5
enum DisconnectReason: UNKNOWN_REASON=0 CLIENT_INITIATED=1 DUPLICATE_IDENTITY=2 SERVER_SHUTDOWN=3 PARTICIPANT_REMOVED=4 ROOM_DELETED=5 STATE_MISMATCH=6 JOIN_FAILURE=7 MIGRATION=8 SIGNAL_CLOSE=9 ROOM_CLOSED=10 USER_UNAVAILABLE=11 USER_REJECTED=12 SIP_TRUNK_FAILURE=13 CONNECTION_TIMEOUT=14 MEDIA_FAILURE=15 AGENT_ERROR=16
message ParticipantInfo: sid=1 string; name=2 string; identity=3 string; state=4 ParticipantState; metadata=5 string; attributes=6 map; kind=7 ParticipantKind; disconnect_reason=8 DisconnectReason; joined_at=9 int64; kind_details=10 repeated ParticipantKindDetail; permission=11 ParticipantPermission; client_protocol=12 int32
message ParticipantPermission: can_subscribe=1 bool; can_publish=2 bool; can_publish_data=3 bool; can_publish_sources=9 repeated TrackSource; hidden=7 bool; can_update_metadata=10 bool; can_subscribe_metrics=12 bool; can_manage_agent_session=13 bool
""",
    imports=(track_pb2,),
)
