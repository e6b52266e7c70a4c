"""Joining anew in place of a session that is lost: other SIDs, and the same tracks, published again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as proto

from . import participants
from .errors import MediaPathError, SignalProtocolError
from .resume import MEDIA_TIMEOUT_S, first_message
from .waiting import run_within

if TYPE_CHECKING:
    from .session import Session


def leave_remotes(session: Session) -> None:
    """Everybody is gone until the new session tells who is there. Nothing the second time."""
    session.wishes.remember(session.state.remotes.values())
    session.returning.hold(session.state.remotes.values())
    session.data_tracks.remote.lose()
    for participant in list(session.state.remotes.values()):
        participants.remove(session, participant)
    session.state.speaking.clear()


async def restart(session: Session) -> None:
    """One attempt: done when all local tracks are published again. A ConnectError otherwise."""
    leave_remotes(session)
    session.drop_media()
    kind, message = await first_message(session)
    if kind != "join":
        raise SignalProtocolError(f"the server's first message was {kind!r}, not a join")
    assert isinstance(message, proto.JoinResponse)
    _take_join(session, message)
    primary = session.make_media(message)
    session.start_signal()
    session.connections.begin(message)
    if not session.publisher.negotiated:
        session.publisher.negotiate()
    try:
        await run_within(primary.up(), MEDIA_TIMEOUT_S)
        await run_within(session.publisher.link.up(), MEDIA_TIMEOUT_S)
    except asyncio.TimeoutError as error:
        raise MediaPathError(
            f"no media path within {MEDIA_TIMEOUT_S:g} s after joining anew",
            candidate_pairs=primary.candidate_pairs_tried(),
        ) from error
    except ConnectionError as error:
        raise MediaPathError(f"no media path after joining anew: {error}") from error
    renamed = await session.publications.republish()
    await session.data_tracks.local.publish_again()
    if not session.has_signal:
        raise SignalProtocolError("the signal connection was lost while joining anew")
    session.outbox.repeat_subscription_permission(renamed)
    session.returning.restarted()
    session.data_tracks.remote.settle()
    await session.sender.send_again()


def _take_join(session: Session, join: proto.JoinResponse) -> None:
    state = session.state
    state.by_sid.pop(state.local.sid, None)
    state.local.info = join.participant
    session.encryption.server_trailer = join.sif_trailer
    state.by_sid[state.local.sid] = state.local
    session.addresses.moved(join.alternative_url)
    old_metadata, state.room = state.room.metadata, join.room
    session.set_sid(join.room.sid)
    if old_metadata != join.room.metadata:
        session.emit("room_metadata_changed", old_metadata, join.room.metadata)
    for info in join.other_participants:
        if info.state != models.ParticipantInfo.DISCONNECTED:
            participants.apply_update(session, info)
