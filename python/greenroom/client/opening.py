"""Opening signal connections of one session: at which address, and for one peer connection or two."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from greenroom import _engine
from greenroom.signalling.url import UrlError, signal_url

from .connections import Hooks, SingleConnection
from .errors import InvalidUrlError, MediaPathError, ServerRefusedError, ServerUnreachableError, TlsError
from .join_parameters import SINGLE_PATH, join_query, single_join_query
from .signal_connection import SignalConnection

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")


class SignalOpener:
    """`open` gives a connection that is the session's from then on. `close` when the session is over."""

    def __init__(self, session: Session, hooks: Hooks) -> None:
        self._session = session
        self._hooks = hooks
        self._prepared: SingleConnection | None = None
        """Its offer is with the server, which has not accepted it yet."""

    def take_prepared(self) -> SingleConnection | None:
        """The connection whose offer went with the last join; None when there are to be two."""
        prepared, self._prepared = self._prepared, None
        return prepared

    def close(self) -> None:
        prepared = self.take_prepared()
        if prepared is not None:
            prepared.close()

    async def open_anywhere(self) -> SignalConnection:
        """At the address given or, on LiveKit Cloud, in the first region that works."""
        addresses = self._session.addresses
        while True:
            try:
                return await self.open()
            except (ServerUnreachableError, ServerRefusedError, TlsError) as error:
                if not await addresses.use_next(self._session.token):
                    raise
                _logger.warning("%s; trying %s", error, addresses.current)

    async def open(self, *, resumed_sid: str = "") -> SignalConnection:
        """Connect with the newest token, for a new join or to resume. ConnectError says why not."""
        options = self._session.options
        if resumed_sid and isinstance(self._session.connections, SingleConnection):
            return await self._open(single_join_query(options, resumed_sid=resumed_sid), SINGLE_PATH)
        if not resumed_sid and options.single_connection:
            self.close()
            try:
                self._prepared = SingleConnection(self._hooks)
            except _engine.EngineError as error:
                raise MediaPathError(f"no media connection could be made: {error}") from error
            query = single_join_query(options, offer=self._prepared.first_offer)
            try:
                return await self._open(query, SINGLE_PATH)
            except ServerRefusedError as error:
                self.close()
                if error.status != 404:
                    raise
        return await self._open(join_query(options, resumed_sid=resumed_sid), "/rtc")

    async def _open(self, query: dict[str, str], path: str) -> SignalConnection:
        session = self._session
        try:
            address = signal_url(session.addresses.current, query, path=path)
        except UrlError as error:  # one that the server named
            raise InvalidUrlError(str(error)) from error
        # The session's at once: a cancellation that comes in the same moment must find it to close it.
        session.signal = signal = await SignalConnection.open(address, session.token, session.options.route)
        return signal
