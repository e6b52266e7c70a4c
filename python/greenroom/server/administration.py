"""What an administrator changes while a session runs. The client learns of it as from livekit-server.

Removing somebody is `Room.remove` with PARTICIPANT_REMOVED, ending a room `Room.close` with ROOM_DELETED, changing a
name, metadata or attributes `Participant.update_profile`, subscribing for somebody `Subscriptions.wish`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from . import tokens
from .permissions import may_publish_source

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room


def change_permission(participant: Participant, permission: models.ParticipantPermission) -> bool:
    """What the participant may do from now on; False when that is what it may do already.

    Tracks that it may no longer publish end, subscriptions follow, everybody is told, and a new token is sent.
    """
    if participant.closed or permission == participant.permission:
        return False
    room = participant.room
    recorded = room.is_recorded()
    participant.permission = models.ParticipantPermission()
    participant.permission.CopyFrom(permission)
    participant.claims = tokens.with_permission(participant.claims, permission)
    for publication in participant.publisher.tracks():
        if not may_publish_source(permission, publication.info.source):
            participant.publisher.revoke(publication)
    participant.has_published = permission.can_publish and participant.publisher.connection.connected
    for publication in room.announced_publications():
        if publication.publisher is not participant:
            participant.subscriptions.reconcile(publication)
    if not permission.can_publish_data:
        participant.data_tracks.revoke()
    for track in room.data_tracks.values():
        participant.data_subscriptions.reconcile(track)
    room.changed(participant, at_once=True)
    participant.send_refresh_token()
    if room.is_recorded() != recorded:
        room.send_room_update()
    return True


def mute_track(participant: Participant, track_sid: str, muted: bool) -> models.TrackInfo | None:
    """Mute or unmute a track in its publisher's place, which is told to; None when it has no such track."""
    publication = participant.publisher.find(track_sid)
    if publication is None:
        return None
    participant.send(messages.SignalResponse(mute=messages.MuteTrackRequest(sid=track_sid, muted=muted)))
    if publication.set_muted(muted) and publication.announced:
        participant.room.changed(participant, at_once=True)
    return publication.info


def change_room_metadata(room: Room, metadata: str) -> None:
    """Everybody in the room is told at once."""
    room.metadata = metadata
    room.send_room_update()
