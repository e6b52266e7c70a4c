"""The first and the last message of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling.server_description import PUBLISH_MIME_TYPES

from .config import LIVEKIT_VERSION, PING_INTERVAL_S, PING_TIMEOUT_S, PROTOCOL_VERSION

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room


def server_info(node_id: str, region: str) -> models.ServerInfo:
    return models.ServerInfo(
        version=LIVEKIT_VERSION, protocol=PROTOCOL_VERSION, node_id=node_id, region=region, agent_protocol=1
    )


def join_response(
    room: Room, participant: Participant, others: list[models.ParticipantInfo]
) -> messages.JoinResponse:
    """What a client needs to begin. The server itself is reached by its host candidates."""
    return messages.JoinResponse(
        room=room.info(),
        participant=participant.info(),
        other_participants=others,
        server_version=LIVEKIT_VERSION,
        server_info=server_info(room.node_id, room.config.region),
        ice_servers=room.ways.ice_servers(participant.identity, participant.sid),
        client_configuration=room.ways.client_configuration(participant.identity),
        subscriber_primary=participant.subscriber_primary,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        sif_trailer=room.sif_trailer,
        enabled_publish_codecs=[models.Codec(mime=mime) for mime in PUBLISH_MIME_TYPES],
        fast_publish=participant.permission.can_publish,
    )


def leave_request(
    protocol: int,
    reason: models.DisconnectReason,
    action: messages.LeaveRequest.Action,
) -> messages.LeaveRequest:
    """A leave in the form that the client's protocol understands: an action, or only `can_reconnect`
    (<= 12).
    """
    if protocol > 12:
        return messages.LeaveRequest(reason=reason, action=action)
    return messages.LeaveRequest(
        reason=reason, can_reconnect=action != messages.LeaveRequest.Action.DISCONNECT
    )
