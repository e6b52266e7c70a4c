"""The Twirp protocol: routes, bodies in both encodings, errors as livekit-server words them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import room as api
from server_fakes import Harness

from greenroom.server import Limits
from greenroom.server.twirp import HTTP_STATUS, TwirpError, to_json

JSON, PROTOBUF = "application/json", "application/protobuf"
CREATE = "/twirp/livekit.RoomService/CreateRoom"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    limits = Limits(api_body_bytes=50_000, api_body_timeout_s=0.2)
    async with Harness(limits=limits) as harness:
        yield harness


async def post(
    harness: Harness,
    path: str,
    body: Any,
    content_type: str | None = JSON,
    method: str = "POST",
    **grants: Any,
) -> tuple[int, Any]:
    """Status and body, decoded when it is JSON."""
    headers = {"Content-Type": content_type} if content_type else {}
    if grants:
        headers["Authorization"] = "Bearer " + harness.server.token("", "admin", **grants)
    url = harness.server.http_url + path
    async with harness.http.request(method, url, data=body, headers=headers) as response:
        if response.content_type == JSON:
            return response.status, await response.json()
        return response.status, await response.read()


async def test_protobuf_in_protobuf_out(harness: Harness) -> None:
    body = api.CreateRoomRequest(name="hall", empty_timeout=7).SerializeToString()

    status, answer = await post(harness, CREATE, body, PROTOBUF, room_create=True)

    room = models.Room.FromString(answer)
    assert (status, room.name, room.empty_timeout) == (200, "hall", 7)
    assert room.sid.startswith("RM_")


@pytest.mark.parametrize("spelling", ["emptyTimeout", "empty_timeout"])
async def test_json_in_both_spellings_and_json_out_with_every_field(harness: Harness, spelling: str) -> None:
    body = f'{{"name": "hall", "{spelling}": 7, "unknown": {{}}}}'

    status, answer = await post(harness, CREATE, body, "Application/JSON; charset=utf-8", room_create=True)

    assert (status, answer["name"], answer["empty_timeout"]) == (200, "hall", 7)
    assert answer["num_participants"] == 0
    assert answer["creation_time_ms"].isdigit()
    assert answer["version"] is None


ROUTES = {
    "unknown method": ("POST", "/twirp/livekit.RoomService/Fly", JSON, 'no handler for path "{path}"'),
    "no method": ("POST", "/twirp/livekit.RoomService", JSON, 'no handler for path "{path}"'),
    "GET": ("GET", CREATE, JSON, 'unsupported method "GET" (only POST is allowed)'),
    "content type": ("POST", CREATE, "text/plain", 'unexpected Content-Type: "text/plain"'),
}


@pytest.mark.parametrize(("method", "path", "content_type", "message"), ROUTES.values(), ids=ROUTES.keys())
async def test_what_can_not_be_routed(
    harness: Harness, method: str, path: str, content_type: str, message: str
) -> None:
    status, answer = await post(harness, path, "{}", content_type, method)

    assert status == 404
    assert answer == {
        "code": "bad_route",
        "msg": message.format(path=path),
        "meta": {"twirp_invalid_route": f"{method} {path}"},
    }


async def test_a_service_nobody_knows_is_no_page(harness: Harness) -> None:
    assert await post(harness, "/twirp/livekit.Nothing/Do", "{}") == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, "{"),
        (JSON, "[]"),
        (JSON, '{"name": 5}'),
        (JSON, '{"agents": ' + "[" * 20_000),
        (JSON, b"\xff\xfe"),
        (JSON, ""),
        (JSON, '{"name": "a"}'.encode("utf-16")),
        (JSON, '{"name": "a", "name": "b"}'),
        (PROTOBUF, b"\xff"),
    ],
    ids=["cut", "no object", "wrong type", "deep", "no text", "empty", "UTF-16", "twice", "protobuf"],
)
async def test_what_can_not_be_decoded(harness: Harness, content_type: str, body: Any) -> None:
    status, answer = await post(harness, CREATE, body, content_type, room_create=True)

    name = "json" if content_type == JSON else "protobuf"
    expected = {"code": "malformed", "msg": f"the {name} request could not be decoded"}
    assert (status, answer) == (400, expected)


async def test_a_body_that_is_too_large(harness: Harness) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b" " * 10_000

    for body in (b" " * 60_000, endless()):
        status, answer = await post(harness, CREATE, body, room_create=True)
        assert (status, answer["code"]) == (429, "resource_exhausted")
        assert answer["msg"] == "the body is larger than 50000 bytes"


async def test_a_body_that_never_comes(harness: Harness) -> None:
    gone = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await gone.wait()

    status, answer = await post(harness, CREATE, stalled(), room_create=True)
    gone.set()

    assert (status, answer["code"]) == (408, "deadline_exceeded")


async def test_an_error_of_ours_is_named_but_not_shown(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.server.rooms, "create", lambda *a, **k: 1 / 0)

    status, answer = await post(harness, CREATE, "{}", room_create=True)

    assert status == 500
    assert answer == {
        "code": "internal",
        "msg": "livekit.RoomService/CreateRoom failed: see the server's log",
    }


async def test_a_bad_token_is_refused_before_routing_in_plain_text(harness: Harness) -> None:
    headers = {"Authorization": "Bearer rubbish", "Content-Type": JSON}
    async with harness.http.post(harness.server.http_url + CREATE, data="{}", headers=headers) as response:
        assert (response.status, await response.text()) == (401, "invalid authorization token")


async def test_double_slash_and_other_origins(harness: Harness) -> None:
    headers = {"Content-Type": JSON, "Origin": "https://app.example"}
    async with harness.http.post(
        harness.server.http_url + "/" + CREATE, data="{}", headers=headers
    ) as response:
        assert (response.status, (await response.json())["code"]) == (401, "unauthenticated")
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"


def test_every_code_has_a_status() -> None:
    assert all(400 <= status < 600 for status in HTTP_STATUS.values())
    with pytest.raises(ValueError, match="'teapot' is no Twirp error code"):
        TwirpError("teapot", "")


def test_json_of_nested_messages() -> None:
    track = models.TrackInfo(sid="TR_1", layers=[models.VideoLayer(width=3)])
    written = to_json(models.ParticipantInfo(tracks=[track], attributes={"a": "b"}))

    assert written["attributes"] == {"a": "b"}
    assert written["permission"] is None
    assert written["tracks"][0]["layers"][0]["width"] == 3
    assert written["tracks"][0]["version"] is None
    assert written["joined_at"] == "0"
