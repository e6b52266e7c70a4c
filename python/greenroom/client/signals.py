"""What each signal message does: one small function per kind, in a table.

A function changes the session's state, then emits. Kinds in `AT_ONCE` serve the connection itself and never
wait; the others are room matters and wait until `connect` has returned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.signalling.messages import enum_name

from . import participants

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")


def _offer(session: Session, message: proto.SessionDescription) -> None:
    session.connections.take_offer(message)


def _answer(session: Session, message: proto.SessionDescription) -> None:
    session.connections.take_answer(message)


def _trickle(session: Session, message: proto.TrickleRequest) -> None:
    session.connections.take_candidate(message)


def _media_sections_requirement(session: Session, message: proto.MediaSectionsRequirement) -> None:
    session.connections.take_requirement(message)


def _refresh_token(session: Session, token: str) -> None:
    session.token = token
    session.gate.pass_through(session.emit, "token_refreshed")


def _leave(session: Session, message: proto.LeaveRequest) -> None:
    session.ended_by_server(message)


def _track_published(session: Session, message: proto.TrackPublishedResponse) -> None:
    session.publications.announced(message)


def _request_response(session: Session, message: proto.RequestResponse) -> None:
    reason = enum_name(proto.RequestResponse.Reason, message.reason)
    request = message.WhichOneof("request")
    if request == "add_track":
        session.publications.refused(message.add_track.cid, reason, message.message)
    elif request in ("update_audio_track", "update_video_track"):
        sid = getattr(message, request).track_sid
        session.requests.track_change_refused(request, sid, reason, message.message)
    elif request == "publish_data_track":
        session.data_tracks.local.refused(message.publish_data_track.pub_handle, reason, message.message)
    elif request in ("mute", "trickle", "unpublish_data_track"):
        _logger.warning("the server refused a %s (%s): %s", request, reason, message.message)
    else:
        session.requests.answered(message.request_id, reason, message.message)


def _data_track_published(session: Session, message: proto.PublishDataTrackResponse) -> None:
    session.data_tracks.local.answered(message.info)


def _data_track_unpublished(session: Session, message: proto.UnpublishDataTrackResponse) -> None:
    session.data_tracks.local.ended_by_server(message.info)


def _data_track_handles(session: Session, message: proto.DataTrackSubscriberHandles) -> None:
    session.data_tracks.remote.handles(message)


def _update(session: Session, message: proto.ParticipantUpdate) -> None:
    for info in message.participants:
        if session.seen is not None:
            session.seen.add(info.identity)
        participants.apply_update(session, info)


def _speakers_changed(session: Session, message: proto.SpeakersChanged) -> None:
    participants.speakers_changed(session, list(message.speakers))


def _room_update(session: Session, message: proto.RoomUpdate) -> None:
    old = session.state.room
    session.state.room = message.room
    if message.room.sid:
        session.resolve_sid(message.room.sid)
    if old.metadata != message.room.metadata:
        session.emit("room_metadata_changed", old.metadata, message.room.metadata)
    session.emit("room_updated")


def _connection_quality(session: Session, message: proto.ConnectionQualityUpdate) -> None:
    for update in message.updates:
        participant = session.state.by_sid.get(update.participant_sid)
        if update.quality not in models.ConnectionQuality.values():
            continue
        if participant is not None and participant.quality != update.quality:
            participant.quality = update.quality
            session.emit("connection_quality_changed", participant.facade, update.quality)


def _stream_state(session: Session, message: proto.StreamStateUpdate) -> None:
    for update in message.stream_states:
        publication = session.state.publication(update.track_sid)
        if publication is not None and publication.track is not None:
            publication.track.paused = update.state == proto.StreamState.PAUSED


def _subscription_permission(session: Session, message: proto.SubscriptionPermissionUpdate) -> None:
    publication = session.state.publication(message.track_sid)
    if publication is not None:
        publication.allowed = message.allowed


def _subscription_response(session: Session, message: proto.SubscriptionResponse) -> None:
    publication = session.state.publication(message.track_sid)
    if publication is None:
        return
    error = enum_name(models.SubscriptionError, message.err)
    session.emit("track_subscription_failed", publication.participant.facade, message.track_sid, error)


def _mute(session: Session, message: proto.MuteTrackRequest) -> None:
    session.publications.muted_by_server(message)


def _track_unpublished(session: Session, message: proto.TrackUnpublishedResponse) -> None:
    session.publications.ended_by_server(message)


def _track_subscribed(session: Session, message: proto.TrackSubscribed) -> None:
    session.publications.subscribed(message)


def _subscribed_quality(session: Session, message: proto.SubscribedQualityUpdate) -> None:
    session.publications.quality_wanted(message)


def _room_moved(session: Session, message: proto.RoomMovedResponse) -> None:
    state = session.state
    session.token = message.token or session.token
    for participant in list(state.remotes.values()):
        participants.remove(session, participant)
    state.by_sid.pop(state.local.sid, None)
    state.speaking.pop(state.local.sid, None)
    state.room, state.local.info = message.room, message.participant
    state.by_sid[state.local.sid] = state.local
    session.set_sid(message.room.sid)
    session.emit("moved")
    for info in message.other_participants:
        participants.apply_update(session, info)


SignalHandler = Callable[["Session", Any], None]

AT_ONCE: dict[str, SignalHandler] = {
    "offer": _offer,
    "answer": _answer,
    "trickle": _trickle,
    "media_sections_requirement": _media_sections_requirement,
    "refresh_token": _refresh_token,
    "leave": _leave,
    "track_published": _track_published,
    "request_response": _request_response,
    "publish_data_track_response": _data_track_published,
    "unpublish_data_track_response": _data_track_unpublished,
}

WHEN_CONNECTED: dict[str, SignalHandler] = {
    "update": _update,
    "data_track_subscriber_handles": _data_track_handles,
    "speakers_changed": _speakers_changed,
    "room_update": _room_update,
    "connection_quality": _connection_quality,
    "stream_state_update": _stream_state,
    "subscription_permission_update": _subscription_permission,
    "subscription_response": _subscription_response,
    "mute": _mute,
    "track_unpublished": _track_unpublished,
    "track_subscribed": _track_subscribed,
    "subscribed_quality_update": _subscribed_quality,
    "room_moved": _room_moved,
}
