from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from . import track_pb2
from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class ParticipantState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    PARTICIPANT_STATE_JOINING: Final = 0
    PARTICIPANT_STATE_JOINED: Final = 1
    PARTICIPANT_STATE_ACTIVE: Final = 2
    PARTICIPANT_STATE_DISCONNECTED: Final = 3
PARTICIPANT_STATE_JOINING: Final = 0
PARTICIPANT_STATE_JOINED: Final = 1
PARTICIPANT_STATE_ACTIVE: Final = 2
PARTICIPANT_STATE_DISCONNECTED: Final = 3

class ParticipantKind(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    PARTICIPANT_KIND_STANDARD: Final = 0
    PARTICIPANT_KIND_INGRESS: Final = 1
    PARTICIPANT_KIND_EGRESS: Final = 2
    PARTICIPANT_KIND_SIP: Final = 3
    PARTICIPANT_KIND_AGENT: Final = 4
    PARTICIPANT_KIND_CONNECTOR: Final = 5
    PARTICIPANT_KIND_BRIDGE: Final = 6
PARTICIPANT_KIND_STANDARD: Final = 0
PARTICIPANT_KIND_INGRESS: Final = 1
PARTICIPANT_KIND_EGRESS: Final = 2
PARTICIPANT_KIND_SIP: Final = 3
PARTICIPANT_KIND_AGENT: Final = 4
PARTICIPANT_KIND_CONNECTOR: Final = 5
PARTICIPANT_KIND_BRIDGE: Final = 6

class ParticipantKindDetail(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    PARTICIPANT_KIND_DETAIL_CLOUD_AGENT: Final = 0
    PARTICIPANT_KIND_DETAIL_FORWARDED: Final = 1
    PARTICIPANT_KIND_DETAIL_CONNECTOR_WHATSAPP: Final = 2
    PARTICIPANT_KIND_DETAIL_CONNECTOR_TWILIO: Final = 3
    PARTICIPANT_KIND_DETAIL_BRIDGE_RTSP: Final = 4
    PARTICIPANT_KIND_DETAIL_SIMULATION: Final = 5
PARTICIPANT_KIND_DETAIL_CLOUD_AGENT: Final = 0
PARTICIPANT_KIND_DETAIL_FORWARDED: Final = 1
PARTICIPANT_KIND_DETAIL_CONNECTOR_WHATSAPP: Final = 2
PARTICIPANT_KIND_DETAIL_CONNECTOR_TWILIO: Final = 3
PARTICIPANT_KIND_DETAIL_BRIDGE_RTSP: Final = 4
PARTICIPANT_KIND_DETAIL_SIMULATION: Final = 5

class DisconnectReason(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    UNKNOWN_REASON: Final = 0
    CLIENT_INITIATED: Final = 1
    DUPLICATE_IDENTITY: Final = 2
    SERVER_SHUTDOWN: Final = 3
    PARTICIPANT_REMOVED: Final = 4
    ROOM_DELETED: Final = 5
    STATE_MISMATCH: Final = 6
    JOIN_FAILURE: Final = 7
    MIGRATION: Final = 8
    SIGNAL_CLOSE: Final = 9
    ROOM_CLOSED: Final = 10
    USER_UNAVAILABLE: Final = 11
    USER_REJECTED: Final = 12
    SIP_TRUNK_FAILURE: Final = 13
    CONNECTION_TIMEOUT: Final = 14
    MEDIA_FAILURE: Final = 15
    AGENT_ERROR: Final = 16
UNKNOWN_REASON: Final = 0
CLIENT_INITIATED: Final = 1
DUPLICATE_IDENTITY: Final = 2
SERVER_SHUTDOWN: Final = 3
PARTICIPANT_REMOVED: Final = 4
ROOM_DELETED: Final = 5
STATE_MISMATCH: Final = 6
JOIN_FAILURE: Final = 7
MIGRATION: Final = 8
SIGNAL_CLOSE: Final = 9
ROOM_CLOSED: Final = 10
USER_UNAVAILABLE: Final = 11
USER_REJECTED: Final = 12
SIP_TRUNK_FAILURE: Final = 13
CONNECTION_TIMEOUT: Final = 14
MEDIA_FAILURE: Final = 15
AGENT_ERROR: Final = 16

class ParticipantInfo(Message):
    sid: str
    name: str
    identity: str
    state: ParticipantState.ValueType
    metadata: str
    @property
    def attributes(self) -> MutableMapping[str, str]: ...
    kind: ParticipantKind.ValueType
    disconnect_reason: DisconnectReason.ValueType
    joined_at: int
    @property
    def kind_details(self) -> RepeatedScalarFieldContainer[ParticipantKindDetail.ValueType]: ...
    @property
    def permission(self) -> ParticipantPermission: ...
    client_protocol: int
    def __init__(self, *, sid: str | None = None, name: str | None = None, identity: str | None = None, state: ParticipantState.ValueType | None = None, metadata: str | None = None, attributes: Mapping[str, str] | None = None, kind: ParticipantKind.ValueType | None = None, disconnect_reason: DisconnectReason.ValueType | None = None, joined_at: int | None = None, kind_details: Iterable[ParticipantKindDetail.ValueType] | None = None, permission: ParticipantPermission | None = None, client_protocol: int | None = None) -> None: ...

class ParticipantPermission(Message):
    can_subscribe: bool
    can_publish: bool
    can_publish_data: bool
    @property
    def can_publish_sources(self) -> RepeatedScalarFieldContainer[track_pb2.TrackSource.ValueType]: ...
    hidden: bool
    can_update_metadata: bool
    can_subscribe_metrics: bool
    can_manage_agent_session: bool
    def __init__(self, *, can_subscribe: bool | None = None, can_publish: bool | None = None, can_publish_data: bool | None = None, can_publish_sources: Iterable[track_pb2.TrackSource.ValueType] | None = None, hidden: bool | None = None, can_update_metadata: bool | None = None, can_subscribe_metrics: bool | None = None, can_manage_agent_session: bool | None = None) -> None: ...
