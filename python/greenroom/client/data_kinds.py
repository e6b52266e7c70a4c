"""Streams and calls of one session, which live on the data packets of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rpc_calls import RpcCalls
from .rpc_methods import RpcMethods
from .state import ParticipantState
from .streams_incoming import IncomingStreams

if TYPE_CHECKING:
    from .session import Session


class DataKinds:
    """Made after the session's `receiver`, at each join; `close` fails what is under way."""

    def __init__(self, session: Session) -> None:
        self.streams = session.streams = IncomingStreams(session, session.facade.stream_handlers)
        self.calls = RpcCalls(session)
        self.methods = RpcMethods(session, session.facade.rpc_registry)

    def participant_left(self, participant: ParticipantState) -> None:
        self.streams.participant_left(participant)
        self.calls.participant_left(participant)
        self.methods.participant_left(participant)

    async def leave(self) -> None:
        """Before a polite end: answer callers while the channels are there."""
        await self.methods.leave()

    def close(self) -> None:
        self.methods.close()
        self.calls.close()
        self.streams.close()
