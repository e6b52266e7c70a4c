"""One websocket to the server: the handshake with its errors, reading, writing, and signs of life."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable, Collection
from typing import Any

import aiohttp
from livekit.protocol import rtc as proto

from greenroom.signalling.messages import MAX_MESSAGE_BYTES, MessageError, decode_response, encode_request
from greenroom.signalling.url import validate_url

from .errors import ConnectError, MalformedTokenError, ServerUnreachableError, SignalLostError, TlsError
from .http_route import HttpRoute, without_credentials
from .refusals import refusal_error
from .stranded import is_stranded
from .unconfirmed import Unconfirmed
from .waiting import loop_time, run_within

_logger = logging.getLogger("livekit")

_VALIDATE_TIMEOUT_S = 3.0
_CLOSE_TIMEOUT_S = 0.4
_MAX_UNSENT = 4096
"""Messages waiting for the socket; a server that takes none of so many is as good as gone."""

MessageCallback = Callable[[str, Any], None]
ClosedCallback = Callable[[str], None]


class SignalConnection:
    """An open signal connection. `send` never blocks; what arrives goes to `on_message`, in order, on
    the loop."""

    def __init__(self, http: aiohttp.ClientSession, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._websocket = websocket
        self._unsent: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_UNSENT)
        self._tasks: list[asyncio.Task[None]] = []
        self._on_message: MessageCallback = lambda kind, message: None
        self._on_closed: ClosedCallback | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._last_received_s = loop_time()
        self._closing = False
        self._is_deaf = False
        """Nothing gets to the other end, as far as is known: no goodbye is waited for."""
        self._last_ping_ms = 0
        self.unconfirmed = Unconfirmed()
        """Requests that the server may not have got."""
        self.round_trip_time_ms = 0
        self.skipped_messages = 0
        """Frames that were no signal message."""

    @classmethod
    async def open(cls, url: str, token: str, route: HttpRoute) -> SignalConnection:
        """Connect the websocket at `url` (query included). Raises the ConnectError that says why not."""
        _check_token(token)
        arguments = route.arguments(url)
        refusal: list[tuple[int, str]] = []

        async def keep_refusal(response: aiohttp.ClientResponse) -> None:
            if response.status != 101:
                refusal.append((response.status, await _read_text(response)))

        http = aiohttp.ClientSession(
            raise_for_status=keep_refusal,
            headers={"Authorization": f"Bearer {token}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        try:
            websocket = await http.ws_connect(
                # A proxy knows no ws://.
                url.replace("ws://", "http://", 1) if arguments.get("proxy") else url,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
                **arguments,
            )
        except BaseException as error:
            try:
                if isinstance(error, (aiohttp.ClientError, OSError, ValueError)):
                    raise await _connect_error(http, url, error, refusal, arguments) from error
                raise
            finally:
                await http.close()
        return cls(http, websocket)

    @property
    def server_address(self) -> str | None:
        """The IP address the websocket goes to."""
        peer = self._websocket.get_extra_info("peername")
        return peer[0] if isinstance(peer, tuple) and peer else None

    async def receive_first(self) -> tuple[str, Any]:
        """The first message: the server sends it together with the upgrade. Raises SignalProtocolError."""
        while True:
            frame = await self._websocket.receive()
            if frame.type is aiohttp.WSMsgType.BINARY:
                decoded = self._decode(frame.data)
                if decoded is not None:
                    return decoded
            elif frame.type is not aiohttp.WSMsgType.TEXT:
                raise SignalLostError(
                    f"the server closed the signal connection before its first message "
                    f"({_close_text(self._websocket)})"
                )

    def start(self, on_message: MessageCallback, on_closed: ClosedCallback) -> None:
        """Begin to read and write. `on_closed(why)` is called at most once, and never after `close`."""
        self._on_message = on_message
        self._on_closed = on_closed
        self._last_received_s = loop_time()
        self._tasks = [
            asyncio.ensure_future(self._read()),
            asyncio.ensure_future(self._write()),
        ]

    def start_pings(self, interval_s: int, timeout_s: int) -> None:
        """Ping every `interval_s`; silence of `timeout_s` closes the connection. 0 switches either off."""
        loop = asyncio.get_running_loop()

        def tick() -> None:
            silent_s = loop_time() - self._last_received_s
            if timeout_s and silent_s > timeout_s:
                self._lost(f"nothing from the server for {silent_s:.0f} s")
                return
            self._last_ping_ms = max(int(time.time() * 1000), self._last_ping_ms + 1)
            self.send("ping_req", proto.Ping(timestamp=self._last_ping_ms, rtt=self.round_trip_time_ms))
            self.unconfirmed.ping(self._last_ping_ms)
            self._ping_timer = loop.call_later(interval_s, tick)

        if interval_s > 0:
            self._ping_timer = loop.call_later(interval_s, tick)

    def send(self, kind: str, message: Any) -> None:
        """Queue one request. Dropped when the connection is closed."""
        if self._closing:
            return
        try:
            self._unsent.put_nowait(encode_request(kind, message))
            self.unconfirmed.sent(kind, message)
        except asyncio.QueueFull:
            self._closed(f"{_MAX_UNSENT} signal messages wait for a server that takes none")

    def addresses_changed(self, present: Collection[str]) -> None:
        """This machine has these addresses now. Without the one that this goes from, and with another to reach the server
        from, nothing is to be waited for: it closes. A network that is away for a moment may come back with the address."""
        ours, theirs = (self._websocket.get_extra_info(name) for name in ("sockname", "peername"))
        if not self._closing and is_stranded(ours, theirs, present):
            self._lost(f"this machine has lost the address {ours[0]} that it goes from")

    @property
    def is_open(self) -> bool:
        return not self._closing

    def mute(self) -> None:
        """Call back no more."""
        self._on_closed = None
        self._on_message = lambda kind, message: None

    async def close(self, farewell: tuple[str, Any] | None = None) -> None:
        """Send what is queued and `farewell`, then close; takes well under a second. Harmless twice."""
        if farewell is not None:
            self.send(*farewell)
        self.mute()
        already_closing, self._closing = self._closing, True
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        try:
            if (
                not already_closing
                and len(self._tasks) == 2
                and not self._tasks[1].done()
                and not self._unsent.full()
            ):
                self._unsent.put_nowait(None)
                await asyncio.wait([self._tasks[1]], timeout=_CLOSE_TIMEOUT_S)
        finally:
            try:
                # The reader ends by itself here. Cancelled before, it would keep this from waiting for the server's
                # close frame: the connection would be reset, and our last messages lost with it.
                if not self._is_deaf:
                    await self._websocket.close()
            finally:
                for task in self._tasks:
                    task.cancel()
                await self._http.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _decode(self, frame: bytes) -> tuple[str, Any] | None:
        try:
            return decode_response(frame)
        except MessageError as error:
            self.skipped_messages += 1
            _logger.warning("skipped a signal message: %s", error)
            return None

    async def _read(self) -> None:
        async for frame in self._websocket:
            self._last_received_s = loop_time()
            if frame.type is not aiohttp.WSMsgType.BINARY:
                continue
            decoded = self._decode(frame.data)
            if decoded is not None:
                self._take(*decoded)
        self._closed(f"the server closed the signal connection ({_close_text(self._websocket)})")

    def _take(self, kind: str, message: Any) -> None:
        if kind == "pong_resp":
            self.unconfirmed.pong(message.last_ping_timestamp)
            self.round_trip_time_ms = max(0, int(time.time() * 1000) - message.last_ping_timestamp)
            return
        try:
            self._on_message(kind, message)
        except Exception:
            self.skipped_messages += 1
            _logger.exception("handling the signal message %r failed; it is skipped", kind)

    async def _write(self) -> None:
        try:
            while (frame := await self._unsent.get()) is not None:
                await self._websocket.send_bytes(frame)
        except (aiohttp.ClientError, OSError) as error:
            self._closed(f"writing to the signal connection failed: {error}")

    def _lost(self, why: str) -> None:
        self._is_deaf = True
        self._closed(why)

    def _closed(self, why: str) -> None:
        on_closed, self._on_closed = self._on_closed, None
        self._closing = True
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        if on_closed is not None:
            on_closed(why)


def _check_token(token: str) -> None:
    """MalformedTokenError for what fits into no header, a trailing line end for instance."""
    if not isinstance(token, str):
        raise MalformedTokenError(f"the access token is {token!r}; pass what AccessToken.to_jwt returned")
    for position, character in enumerate(token):
        if not "!" <= character <= "~":
            raise MalformedTokenError(
                f"the access token has {character!r} at position {position}, which is never part of a token; "
                "pass what AccessToken.to_jwt returned, unchanged"
            )


async def _read_text(response: aiohttp.ClientResponse) -> str:
    try:
        return (await run_within(response.content.read(4096), _VALIDATE_TIMEOUT_S)).decode(errors="replace")
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
        return ""


async def _connect_error(
    http: aiohttp.ClientSession,
    url: str,
    error: Exception,
    refusal: list[tuple[int, str]],
    arguments: dict[str, Any],
) -> ConnectError:
    shown = url.partition("?")[0]
    proxy = without_credentials(arguments.get("proxy", ""))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ServerUnreachableError(
            f"the proxy {proxy} refused the way to {shown}: {error.status} {error.message}; check its rules, and the "
            "user and password in its URL",
            may_pass=False,
        )
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.InvalidURL)) and proxy:
        return ServerUnreachableError(
            f"no connection to {shown}: the proxy {proxy} can't be used: {error}; check RoomOptions.proxy, or HTTPS_PROXY "
            "and HTTP_PROXY in the environment (NO_PROXY names hosts that need none)",
            may_pass=False,
        )
    if refusal:
        status, body = refusal[-1]
        return refusal_error(shown, status, body or await _validated_body(http, url, arguments))
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TlsError(
            f"TLS to {shown} failed: the certificate is not trusted: {error.certificate_error}; "
            "use a certificate that this machine trusts, or give RoomOptions.ssl_context one that trusts it "
            "(ssl.create_default_context(cafile=...)); SSL_CERT_FILE can name its issuer, too"
        )
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return TlsError(
            f"TLS to {shown} failed: {error}; is it a TLS port? use ws:// for a server without TLS"
        )
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return ServerUnreachableError(
            f"{shown} answered but is no websocket: {error.message}; check the URL", may_pass=False
        )
    if (
        isinstance(error, aiohttp.ServerDisconnectedError)
        or getattr(error, "errno", None) == errno.ECONNRESET
    ):
        return ServerUnreachableError(
            f"{shown} hung up without an answer: is it a TLS port (use wss://), or no LiveKit server at all?"
        )
    return ServerUnreachableError(
        f"no connection to {shown}: {str(error) or type(error).__name__}; is the server running, and the "
        f"host and port right?",
        may_pass=not _is_unknown_host(error),
    )


def _is_unknown_host(error: Exception) -> bool:
    """The name does not exist, as far as a name server could be asked."""
    cause = getattr(error, "os_error", None)
    return isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN


async def _validated_body(http: aiohttp.ClientSession, url: str, arguments: dict[str, Any]) -> str:
    try:
        async with http.get(
            validate_url(url),
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=_VALIDATE_TIMEOUT_S),
            **arguments,
        ) as response:
            return (
                (await response.content.read(4096)).decode(errors="replace") if response.status != 200 else ""
            )
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
        return ""


def _close_text(websocket: aiohttp.ClientWebSocketResponse) -> str:
    error = websocket.exception()
    code = websocket.close_code
    return f"{error}" if error is not None else f"code {code}" if code is not None else "connection lost"
