"""Participants, and their publications, following the server's `update` messages.

Every function changes state first and emits afterwards. `tracks` in an update is the full list; identity
is what
stays when somebody joins again; a version or SID that is older than what is known is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models

from .state import ParticipantState, PublicationState, RoomState

if TYPE_CHECKING:
    from .session import Session

_DISCONNECTED = models.ParticipantInfo.DISCONNECTED
_ACTIVE = models.ParticipantInfo.ACTIVE


def fill(session: Session, infos: list[models.ParticipantInfo]) -> None:
    """Those who are there at join: in the mappings with their publications, without events."""
    for info in infos:
        participant = _add(session, info)
        for track in info.tracks:
            _add_publication(session, participant, track)
        session.data_tracks.participant_updated(info, is_local=False)
        participant.was_encrypted = participant.is_encrypted


def apply_update(session: Session, info: models.ParticipantInfo) -> None:
    """One entry of an `update` message."""
    state = session.state
    if info.identity == state.local.identity:
        if info.sid == state.local.sid and info.state != _DISCONNECTED:
            _apply_known(session, state.local, info)
        return
    known = state.remotes.get(info.identity)
    if info.state == _DISCONNECTED:
        if known is not None and known.sid == info.sid:
            known.info.disconnect_reason = info.disconnect_reason
            remove(session, known)
    elif known is None:
        _join(session, info)
    elif known.sid == info.sid:
        if info.version >= known.info.version:
            _apply_known(session, known, info)
    elif _joined_at(info) >= _joined_at(known.info):
        remove(session, known)
        _join(session, info)


def remove(session: Session, participant: ParticipantState) -> None:
    """The participant left: its tracks end, then it goes."""
    for publication in list(participant.publications.values()):
        _remove_publication(session, publication)
    session.data_tracks.remote.listed(participant.identity, ())
    session.encryption.participant_left(participant.identity)
    participant.info.state = _DISCONNECTED
    state = session.state
    state.remotes.pop(participant.identity, None)
    state.by_sid.pop(participant.sid, None)
    state.speaking.pop(participant.sid, None)
    participant.tracks_changed()
    session.data_kinds.participant_left(participant)
    session.receiver.early.departed(participant.sid)
    session.emit("participant_disconnected", participant.facade)


def _joined_at(info: models.ParticipantInfo) -> tuple[int, int]:
    return (info.joined_at, info.joined_at_ms)


def _add(session: Session, info: models.ParticipantInfo) -> ParticipantState:
    participant = ParticipantState(info)
    participant.facade = session.facade.make_participant(participant)
    session.state.remotes[participant.identity] = participant
    session.state.by_sid[participant.sid] = participant
    return participant


def _join(session: Session, info: models.ParticipantInfo) -> None:
    participant = _add(session, info)
    session.returning.participant_back(participant)
    session.emit("participant_connected", participant.facade)
    if info.state == _ACTIVE:
        session.emit("participant_active", participant.facade)
    for track in info.tracks:
        _publish(session, participant, track)
    session.data_tracks.participant_updated(info, is_local=False)
    _tell_encryption(session, participant)
    session.receiver.early.release(participant.identity)


def _apply_known(session: Session, participant: ParticipantState, info: models.ParticipantInfo) -> None:
    old, participant.info = participant.info, info
    facade = participant.facade
    if old.name != info.name:
        session.emit("participant_name_changed", facade, old.name, info.name)
    if old.metadata != info.metadata:
        session.emit("participant_metadata_changed", facade, old.metadata, info.metadata)
    changed = changed_attributes(dict(old.attributes), dict(info.attributes))
    if changed:
        session.emit("participant_attributes_changed", changed, facade)
    if old.permission != info.permission:
        session.emit("participant_permissions_changed", facade, info.permission)
    if old.state != _ACTIVE and info.state == _ACTIVE and not participant.is_local:
        session.emit("participant_active", facade)
    if participant.is_local:
        _apply_local_tracks(participant, info)
    else:
        _apply_tracks(session, participant, info)
    session.data_tracks.participant_updated(info, is_local=participant.is_local)
    _tell_encryption(session, participant)


def data_came(session: Session, packet: models.DataPacket, *, encrypted: bool) -> None:
    """Whether what a participant sends is encrypted is judged by its last message too."""
    state = session.state
    participant = state.participant(identity=packet.participant_identity, sid=packet.participant_sid)
    if participant is not None and participant.data_encrypted is not encrypted:
        participant.data_encrypted = encrypted
        _tell_encryption(session, participant)


def _tell_encryption(session: Session, participant: ParticipantState) -> None:
    if participant.was_encrypted != participant.is_encrypted:
        participant.was_encrypted = participant.is_encrypted
        session.emit("participant_encryption_status_changed", participant.facade, participant.is_encrypted)


def changed_attributes(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """The keys whose value differs, with the new value; a deleted key has an empty one."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    return changed | {key: "" for key in old if key not in new}


def _apply_local_tracks(participant: ParticipantState, info: models.ParticipantInfo) -> None:
    # Mute is ours to say, and `track_unpublished` says what ended: only the description is taken over.
    for track in info.tracks:
        publication = participant.publications.get(track.sid)
        if publication is not None:
            muted = publication.info.muted
            publication.info = track
            publication.info.muted = muted
    participant.tracks_changed()


def _apply_tracks(session: Session, participant: ParticipantState, info: models.ParticipantInfo) -> None:
    listed = {track.sid for track in info.tracks}
    for publication in [p for sid, p in participant.publications.items() if sid not in listed]:
        _remove_publication(session, publication)
    for track in info.tracks:
        known = participant.publications.get(track.sid)
        if known is None:
            _publish(session, participant, track)
        else:
            _update_publication(session, known, track)


def _add_publication(
    session: Session, participant: ParticipantState, info: models.TrackInfo
) -> PublicationState:
    publication = PublicationState(info, participant, wanted=session.options.auto_subscribe)
    publication.facade = session.facade.make_publication(publication)
    participant.publications[publication.sid] = publication
    return publication


def _publish(session: Session, participant: ParticipantState, info: models.TrackInfo) -> None:
    publication = _add_publication(session, participant, info)
    session.emit("track_published", publication.facade, participant.facade)
    session.wishes.restore(publication)
    session.media.attach_waiting(publication)


def _update_publication(session: Session, publication: PublicationState, info: models.TrackInfo) -> None:
    was_muted, publication.info = publication.info.muted, info
    if publication.track is not None:
        publication.track.muted = info.muted
        publication.track.name = info.name
    if was_muted != info.muted:
        event = "track_muted" if info.muted else "track_unmuted"
        session.emit(event, publication.participant.facade, publication.facade)


def _remove_publication(session: Session, publication: PublicationState) -> None:
    session.media.detach(publication)
    publication.participant.publications.pop(publication.sid, None)
    session.emit("track_unpublished", publication.facade, publication.participant.facade)


def speakers_changed(session: Session, speakers: list[models.SpeakerInfo]) -> None:
    """A delta of active speakers; the event carries the whole list, loudest first."""
    state: RoomState = session.state
    for speaker in speakers:
        participant = state.by_sid.get(speaker.sid)
        if participant is None:
            continue
        participant.is_speaking = speaker.active
        participant.audio_level = speaker.level if speaker.active else 0.0
        if speaker.active:
            state.speaking[speaker.sid] = speaker.level
        else:
            state.speaking.pop(speaker.sid, None)
    loudest_first = sorted(state.speaking, key=lambda sid: state.speaking[sid], reverse=True)
    session.emit("active_speakers_changed", [state.by_sid[sid].facade for sid in loudest_first])
