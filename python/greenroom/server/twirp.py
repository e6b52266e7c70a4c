"""Twirp over HTTP (protocol version 8): a table of methods, bodies in JSON or protobuf, errors in JSON.

What can't be routed, decoded or done is answered with Twirp's codes and livekit-server's words.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from .tokens import Claims

_logger = logging.getLogger("greenroom.server")

PREFIX = "/twirp/"
_JSON, _PROTOBUF = "application/json", "application/protobuf"
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

HTTP_STATUS: Mapping[str, int] = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "dataloss": 500,
}
"""Of each error code (https://twitchtv.github.io/twirp/docs/spec_v7.html)."""


class TwirpError(Exception):
    """An answer that is no result. ValueError for a code that Twirp does not have."""

    def __init__(self, code: str, message: str, **meta: str) -> None:
        if code not in HTTP_STATUS:
            raise ValueError(f"{code!r} is no Twirp error code; known are {', '.join(HTTP_STATUS)}")
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.meta = meta

    @property
    def status(self) -> int:
        return HTTP_STATUS[self.code]


@dataclass(frozen=True)
class Method:
    """One method of a service: what it takes, and who answers. `call` raises TwirpError."""

    request: type[Message]
    call: Callable[[Claims | None, Any], Awaitable[Message]]


Methods = Mapping[tuple[str, str], Method]
"""From service (`livekit.RoomService`) and method name to the method."""

Finished = Callable[[str, str, str, float], None]
"""Told service, method, error code (empty: success) and duration in seconds of each call."""


@dataclass
class TwirpServer:
    """Answers the requests below `/twirp/`."""

    methods: Methods
    body_bytes: int
    """A larger body is refused."""
    body_timeout_s: float
    """A body that takes longer to arrive is refused."""
    on_finished: Finished = lambda service, method, code, duration_s: None
    _services: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._services = frozenset(service for service, _ in self.methods)

    def serves(self, path: str) -> bool:
        """Whether the path belongs to a service that is known here."""
        return path.startswith(PREFIX) and path.removeprefix(PREFIX).partition("/")[0] in self._services

    async def answer(self, request: web.Request, path: str, claims: Claims | None) -> web.Response:
        """The response to one request; never raises but for a lost connection."""
        service, _, name = path.removeprefix(PREFIX).partition("/")
        began, code = time.monotonic(), ""
        known = (service, name) in self.methods
        try:
            return await self._answer(request, path, claims, self._method(request, path, service, name))
        except TwirpError as error:
            code = error.code
            return error_response(error)
        except (asyncio.CancelledError, ConnectionError):
            code = "canceled"
            raise
        except Exception:
            _logger.exception("%s/%s failed", service, name)
            code = "internal"
            return error_response(TwirpError("internal", f"{service}/{name} failed: see the server's log"))
        finally:
            # Only names of the table: a stranger must not be able to make up series of a metric.
            self.on_finished(service, name if known else "", code, time.monotonic() - began)

    def _method(self, request: web.Request, path: str, service: str, name: str) -> Method:
        if request.method != hdrs.METH_POST:
            message = f'unsupported method "{request.method}" (only POST is allowed)'
            raise _bad_route(request, path, message)
        method = self.methods.get((service, name))
        if method is None:
            raise _bad_route(request, path, f'no handler for path "{path}"')
        return method

    async def _answer(
        self, request: web.Request, path: str, claims: Claims | None, method: Method
    ) -> web.Response:
        content_type = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
        codec = _CODECS.get(content_type)
        if codec is None:
            given = request.headers.get(hdrs.CONTENT_TYPE, "")
            raise _bad_route(request, path, f'unexpected Content-Type: "{given}"')
        decode, encode = codec
        message = decode(method.request, await self._body(request))
        return web.Response(body=encode(await method.call(claims, message)), content_type=content_type)

    async def _body(self, request: web.Request) -> bytes:
        too_large = TwirpError("resource_exhausted", f"the body is larger than {self.body_bytes} bytes")
        if (request.content_length or 0) > self.body_bytes:
            raise too_large
        try:
            return await asyncio.wait_for(request.read(), self.body_timeout_s)
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        except asyncio.TimeoutError:
            message = f"the body did not arrive within {self.body_timeout_s:g} s"
            raise TwirpError("deadline_exceeded", message) from None
        except (web.RequestPayloadError, ValueError) as error:
            raise TwirpError("malformed", f"the body could not be read: {error}") from error


def _bad_route(request: web.Request, path: str, message: str) -> TwirpError:
    return TwirpError("bad_route", message, twirp_invalid_route=f"{request.method} {path}")


def error_response(error: TwirpError) -> web.Response:
    """The error as JSON, whatever the request was in."""
    body: dict[str, Any] = {"code": error.code, "msg": error.message}
    if error.meta:
        body["meta"] = error.meta
    return web.json_response(body, status=error.status)


# ---- bodies ----


def _from_json(kind: type[Message], body: bytes) -> Message:
    try:
        given = json.loads(body.decode(), object_pairs_hook=_without_repetition)
        if not isinstance(given, dict):
            raise ValueError("the body is no object")
        _check_base64(kind, given)
        return json_format.ParseDict(given, kind(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise TwirpError("malformed", "the json request could not be decoded") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _check_base64(kind: type[Message], given: Mapping[str, Any]) -> None:
    """Protobuf's own reader skips over whatever is no base64."""
    for field_ in kind.DESCRIPTOR.fields:
        if field_.type == FieldDescriptor.TYPE_BYTES:
            value = given.get(field_.json_name, given.get(field_.name))
            if isinstance(value, str) and not _BASE64.fullmatch(value):
                raise ValueError(f"{field_.name} is no base64")


def _from_protobuf(kind: type[Message], body: bytes) -> Message:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise TwirpError("malformed", "the protobuf request could not be decoded") from error


def to_json(message: Message) -> dict[str, Any]:
    """Names as in the .proto file and every field present, as livekit-server writes them; absent messages are null."""
    written = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _add_absent(message, written)
    return written


def _add_absent(message: Message, written: dict[str, Any]) -> None:
    for field_ in message.DESCRIPTOR.fields:
        if field_.message_type is None or field_.message_type.GetOptions().map_entry:
            continue
        value = written.get(field_.name)
        if field_.is_repeated:
            for inner, inner_written in zip(getattr(message, field_.name), value or (), strict=True):
                _add_absent(inner, inner_written)
        elif message.HasField(field_.name):
            if isinstance(value, dict):
                _add_absent(getattr(message, field_.name), value)
        elif field_.containing_oneof is None:
            written[field_.name] = None


_CODECS: Mapping[str, tuple[Callable[[type[Message], bytes], Message], Callable[[Message], bytes]]] = {
    _JSON: (_from_json, lambda message: json.dumps(to_json(message)).encode()),
    _PROTOBUF: (_from_protobuf, lambda message: message.SerializeToString()),
}
