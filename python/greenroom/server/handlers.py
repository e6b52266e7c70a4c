"""What each kind of SignalRequest does: a table of small functions."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.server_description import codec_of_mime_type

from .data_tracks import DataTrackRefused
from .limits import attributes_size
from .participant import Participant
from .permissions import may_publish_source
from .publications import Publication
from .refusal import ProtocolViolation

_logger = logging.getLogger("greenroom.server")

Handler = Callable[[Participant, messages.SignalRequest], None]
_Reason = messages.RequestResponse.Reason


def handle(participant: Participant, request: messages.SignalRequest) -> None:
    """Act on one message. Whatever is wrong with it costs at most this participant's session."""
    kind = request.WhichOneof("message")
    handler = HANDLERS.get(kind or "")
    if participant.closed:
        return
    if handler is None:
        _logger.debug("signal request of kind %s from %s ignored", kind, participant.identity)
        return
    try:
        handler(participant, request)
    except (ProtocolViolation, _engine.EngineError) as error:
        participant.room.counters["protocol_violations"] += 1
        participant.restart_client(f"{kind}: {error}", models.DisconnectReason.STATE_MISMATCH)
    except Exception:
        _logger.exception("signal request of kind %s from %s failed", kind, participant.identity)
        participant.room.counters["signal_requests_failed"] += 1
        participant.restart_client(f"{kind} failed", models.DisconnectReason.STATE_MISMATCH)


def _respond(participant: Participant, response: messages.RequestResponse) -> None:
    participant.send(messages.SignalResponse(request_response=response))


# ---- negotiation ----


def _offer(participant: Participant, request: messages.SignalRequest) -> None:
    participant.publisher.handle_offer(request.offer)


def _answer(participant: Participant, request: messages.SignalRequest) -> None:
    participant.subscriber.handle_answer(request.answer)


def _trickle(participant: Participant, request: messages.SignalRequest) -> None:
    trickle = request.trickle
    try:
        candidate = json.loads(trickle.candidateInit)["candidate"]
        if not isinstance(candidate, str):
            raise TypeError("candidate is no string")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        participant.room.counters["candidates_malformed"] += 1
        message = f"candidateInit can't be read: {error}"
        _respond(
            participant,
            messages.RequestResponse(reason=_Reason.UNCLASSIFIED_ERROR, message=message, trickle=trickle),
        )
        return
    is_publisher = trickle.target == messages.SignalTarget.PUBLISHER
    target = participant.publisher if is_publisher else participant.subscriber
    target.connection.add_candidate(candidate)


# ---- publishing ----


def _add_track(participant: Participant, request: messages.SignalRequest) -> None:
    add = request.add_track
    reason = _refuse_track(participant, add)
    if reason is not None:
        _respond(participant, messages.RequestResponse(reason=reason, add_track=add))
        return
    primary = participant.publisher.find(add.sid) if add.sid else None
    publication = Publication(participant, add, primary)
    if primary is not None and primary.backup is not None:
        primary.backup.track = publication
    info = publication.info if primary is None else primary.info
    published = messages.TrackPublishedResponse(cid=add.cid, track=info)
    participant.send(messages.SignalResponse(track_published=published))
    if primary is None:
        participant.room.tell("track_added", publication)
    participant.publisher.add(publication)


def _refuse_track(participant: Participant, add: messages.AddTrackRequest) -> _Reason | None:
    if not may_publish_source(participant.permission, add.source):
        return _Reason.NOT_ALLOWED
    if add.type not in (models.TrackType.AUDIO, models.TrackType.VIDEO):
        return _Reason.UNSUPPORTED_TYPE
    if add.sid:
        reason = _refuse_backup(participant.publisher.find(add.sid), add)
        if reason is not None:
            return reason
    if participant.publisher.has_cid(add.cid):
        return _Reason.QUEUED
    limits = participant.room.config.limits
    if (
        participant.publisher.track_count >= limits.published_tracks
        or add.ByteSize() > limits.add_track_bytes
    ):
        return _Reason.LIMIT_EXCEEDED
    return None


def _refuse_backup(known: Publication | None, add: messages.AddTrackRequest) -> _Reason | None:
    """Of a second codec for a published track: the one that was named with the track, and once."""
    if known is None:
        return _Reason.NOT_FOUND
    codecs = [codec_of_mime_type(codec.codec) for codec in add.simulcast_codecs]
    if known.backup is None or codecs != [known.backup.codec]:
        return _Reason.UNSUPPORTED_TYPE
    return None if known.backup.track is None else _Reason.QUEUED


def _mute(participant: Participant, request: messages.SignalRequest) -> None:
    publication = participant.publisher.find(request.mute.sid)
    if publication is None:
        _respond(participant, messages.RequestResponse(reason=_Reason.NOT_FOUND, mute=request.mute))
    elif publication.set_muted(request.mute.muted) and publication.announced:
        participant.room.changed(participant, at_once=True)


def _update_audio_track(participant: Participant, request: messages.SignalRequest) -> None:
    update = request.update_audio_track
    publication = participant.publisher.find(update.track_sid)
    if publication is None:
        _respond(participant, messages.RequestResponse(reason=_Reason.NOT_FOUND, update_audio_track=update))
        return
    del publication.info.audio_features[:]
    publication.info.audio_features.extend(dict.fromkeys(update.features))
    publication.touch()
    participant.room.changed(participant, at_once=True)


def _update_video_track(participant: Participant, request: messages.SignalRequest) -> None:
    update = request.update_video_track
    publication = participant.publisher.find(update.track_sid)
    if publication is None:
        _respond(participant, messages.RequestResponse(reason=_Reason.NOT_FOUND, update_video_track=update))
        return
    publication.info.width, publication.info.height = update.width, update.height
    publication.touch()
    participant.room.changed(participant, at_once=True)


def _publish_data_track(participant: Participant, request: messages.SignalRequest) -> None:
    publish = request.publish_data_track_request
    try:
        info = participant.data_tracks.publish(publish)
    except DataTrackRefused as refused:
        _respond(
            participant,
            messages.RequestResponse(
                reason=refused.reason, message=refused.message, publish_data_track=publish
            ),
        )
        return
    response = messages.PublishDataTrackResponse(info=info)
    participant.send(messages.SignalResponse(publish_data_track_response=response))


def _unpublish_data_track(participant: Participant, request: messages.SignalRequest) -> None:
    unpublish = request.unpublish_data_track_request
    info = participant.data_tracks.unpublish(unpublish.pub_handle)
    if info is None:
        _respond(
            participant,
            messages.RequestResponse(reason=_Reason.NOT_FOUND, unpublish_data_track=unpublish),
        )
        return
    response = messages.UnpublishDataTrackResponse(info=info)
    participant.send(messages.SignalResponse(unpublish_data_track_response=response))


# ---- subscribing ----


def _subscription(participant: Participant, request: messages.SignalRequest) -> None:
    update = request.subscription
    sids = [*update.track_sids, *(sid for p in update.participant_tracks for sid in p.track_sids)]
    participant.subscriptions.wish(sids, update.subscribe)


def _update_data_subscription(participant: Participant, request: messages.SignalRequest) -> None:
    participant.data_subscriptions.update(request.update_data_subscription)


def _track_setting(participant: Participant, request: messages.SignalRequest) -> None:
    participant.subscriptions.set_settings(request.track_setting)


def _subscription_permission(participant: Participant, request: messages.SignalRequest) -> None:
    permission = request.subscription_permission
    if any(not t.participant_sid and not t.participant_identity for t in permission.track_permissions):
        _logger.info(
            "subscription permission of %s ignored: an entry names no participant", participant.identity
        )
        return
    participant.set_subscription_permission(permission)


# ---- the participant itself ----


def _update_metadata(participant: Participant, request: messages.SignalRequest) -> None:
    update = request.update_metadata
    reason, message = _refuse_metadata(participant, update)
    if reason == _Reason.OK:
        # Empty means unchanged: neither can be cleared this way.
        participant.update_profile(
            name=update.name or None, metadata=update.metadata or None, attributes=dict(update.attributes)
        )
    if reason != _Reason.OK or participant.protocol > 14:
        response = messages.RequestResponse(request_id=update.request_id, reason=reason, message=message)
        if reason != _Reason.OK:
            response.update_metadata.CopyFrom(update)
        _respond(participant, response)


def _refuse_metadata(
    participant: Participant, update: messages.UpdateParticipantMetadata
) -> tuple[_Reason, str]:
    limits = participant.room.config.limits
    if not participant.permission.can_update_metadata:
        return _Reason.NOT_ALLOWED, "does not have permission to update own metadata"
    if len(update.metadata.encode()) > limits.metadata_bytes > 0:
        return _Reason.LIMIT_EXCEEDED, "exceeds metadata size limit"
    if len(update.name.encode()) > limits.name_bytes > 0:
        return _Reason.LIMIT_EXCEEDED, "exceeds name length limit"
    merged = {**participant.attributes, **update.attributes}
    if attributes_size(merged) > limits.attributes_bytes > 0:
        return _Reason.LIMIT_EXCEEDED, "exceeds attributes size limit"
    return _Reason.OK, ""


_LEAVE_REASONS = frozenset(
    {
        models.DisconnectReason.CLIENT_INITIATED,
        models.DisconnectReason.USER_UNAVAILABLE,
        models.DisconnectReason.USER_REJECTED,
        models.DisconnectReason.AGENT_ERROR,
    }
)


def _leave(participant: Participant, request: messages.SignalRequest) -> None:
    given = request.leave.reason
    reason = given if given in _LEAVE_REASONS else models.DisconnectReason.CLIENT_INITIATED
    participant.room.remove(participant, reason)


def _sync_state(participant: Participant, request: messages.SignalRequest) -> None:
    sync = request.sync_state
    unknown = [t.track.sid for t in sync.publish_tracks if participant.publisher.find(t.track.sid) is None]
    data_tracks = {track.sid for track in participant.data_tracks.tracks()}
    unknown += [t.info.sid for t in sync.publish_data_tracks if t.info.sid not in data_tracks]
    if unknown:
        raise ProtocolViolation(f"the client believes to publish {', '.join(unknown)}, which are not known")
    for sid in sync.track_sids_disabled:
        participant.subscriptions.set_settings(messages.UpdateTrackSettings(track_sids=[sid], disabled=True))
    participant.subscriptions.wish(sync.subscription.track_sids, sync.subscription.subscribe)
    participant.data_subscriptions.update(sync.data_subscription)


# ---- the connection ----


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _ping(participant: Participant, request: messages.SignalRequest) -> None:
    participant.send(messages.SignalResponse(pong=_unix_ms()))


def _ping_req(participant: Participant, request: messages.SignalRequest) -> None:
    pong = messages.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=_unix_ms())
    participant.send(messages.SignalResponse(pong_resp=pong))


def _simulate(participant: Participant, request: messages.SignalRequest) -> None:
    scenario = request.simulate.WhichOneof("scenario") or ""
    simulation = _SIMULATIONS.get(scenario)
    if simulation is not None:
        simulation(participant, request.simulate)
    else:
        _logger.info("simulation of %s asked for by %s is not supported", scenario, participant.identity)


def _simulate_speaker(participant: Participant, scenario: messages.SimulateScenario) -> None:
    def say(level: float) -> None:
        speaker = models.SpeakerInfo(sid=participant.sid, level=level, active=level > 0.0)
        changed = messages.SpeakersChanged(speakers=[speaker])
        participant.send(messages.SignalResponse(speakers_changed=changed))

    say(0.9)
    duration_s = min(max(scenario.speaker_update, 0), _LONGEST_SIMULATION_S)
    asyncio.get_running_loop().call_later(duration_s, say, 0.0)


def _simulate_server_leave(participant: Participant, _: messages.SimulateScenario) -> None:
    participant.room.remove(participant, models.DisconnectReason.SERVER_SHUTDOWN)


def _simulate_node_failure(participant: Participant, scenario: messages.SimulateScenario) -> None:
    # The session vanishes without a leave; the client finds out when it tries to resume.
    if participant.session is not None:
        participant.session.finish()
        participant.session = None
    failed = scenario.WhichOneof("scenario") == "node_failure"
    reason = models.DisconnectReason.SERVER_SHUTDOWN if failed else models.DisconnectReason.MIGRATION
    participant.room.remove(participant, reason)


def _simulate_lost_resume(participant: Participant, scenario: messages.SimulateScenario) -> None:
    # The next resume, if it comes soon, loses its signal connection: after its first messages, or before.
    silent = scenario.WhichOneof("scenario") == "disconnect_signal_on_resume_no_messages"
    participant.arm_lost_resume(before_messages=silent)


def _simulate_candidate_protocol(participant: Participant, scenario: messages.SimulateScenario) -> None:
    participant.room.ways.ask(participant.identity, scenario.switch_candidate_protocol)


def _simulate_bandwidth(participant: Participant, scenario: messages.SimulateScenario) -> None:
    limit_bps = scenario.subscriber_bandwidth
    participant.subscriber.connection.transport.set_bandwidth_limit(limit_bps if limit_bps > 0 else None)


_LONGEST_SIMULATION_S = 60
_SIMULATIONS: dict[str, Callable[[Participant, messages.SimulateScenario], None]] = {
    "speaker_update": _simulate_speaker,
    "server_leave": _simulate_server_leave,
    "node_failure": _simulate_node_failure,
    "migration": _simulate_node_failure,
    "subscriber_bandwidth": _simulate_bandwidth,
    "switch_candidate_protocol": _simulate_candidate_protocol,
    "disconnect_signal_on_resume": _simulate_lost_resume,
    "disconnect_signal_on_resume_no_messages": _simulate_lost_resume,
}

HANDLERS: dict[str, Handler] = {
    "offer": _offer,
    "answer": _answer,
    "trickle": _trickle,
    "add_track": _add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "leave": _leave,
    "subscription_permission": _subscription_permission,
    "sync_state": _sync_state,
    "simulate": _simulate,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
    "publish_data_track_request": _publish_data_track,
    "unpublish_data_track_request": _unpublish_data_track,
    "update_data_subscription": _update_data_subscription,
}
"""Kinds that are not here are ignored: `update_layers` by design, the rest because the server has no
such feature.
"""
