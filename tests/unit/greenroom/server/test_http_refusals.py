"""Status and body of every request that is turned away, byte for byte what livekit-server says."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
import pytest
from server_fakes import Harness

pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key is")
KEY, SECRET = "devkey", "a-secret-of-more-than-32-characters!"
GRANT = {"roomJoin": True, "room": "room"}


def sign(*, secret: str = SECRET, algorithm: str = "HS256", video: Any = GRANT, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": KEY, "sub": "anna", "nbf": now, "exp": now + 86_400, "video": video, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm=algorithm)


NOW = int(time.time())
BAD_SIGNATURE = sign(secret="other")
EXPIRED = sign(exp=NOW - 120)
FUTURE = sign(nbf=NOW + 3600)
WRONG_ALGORITHM = sign(algorithm="HS512")

REFUSALS = {
    "no token": (None, {}, 401, "no permissions to access the room"),
    "not a JWT": ("rubbish", {}, 401, "invalid authorization token"),
    "unknown issuer": (sign(iss="who"), {}, 401, "invalid API key: who"),
    "bad signature": (
        BAD_SIGNATURE,
        {},
        401,
        f"invalid token: {BAD_SIGNATURE}, error: token signature is invalid: signature is invalid",
    ),
    "expired": (
        EXPIRED,
        {},
        401,
        f"invalid token: {EXPIRED}, error: token has invalid claims: token is expired",
    ),
    "not yet valid": (
        FUTURE,
        {},
        401,
        f"invalid token: {FUTURE}, error: token has invalid claims: token is not valid yet",
    ),
    "wrong algorithm": (
        WRONG_ALGORITHM,
        {},
        401,
        f"invalid token: {WRONG_ALGORITHM}, "
        "error: token signature is invalid: signing method HS512 is invalid",
    ),
    "no video grant": (sign(video=None), {}, 401, "no permissions to access the room"),
    "no roomJoin": (sign(video={"room": "room"}), {}, 401, "permissions denied"),
    "no room": (sign(video={"roomJoin": True}), {}, 400, "no room name"),
    "no identity": (sign(sub=None), {}, 400, "identity cannot be empty"),
    "long identity": (
        sign(sub="a" * 257),
        {},
        400,
        "participant identity length exceeds limits: max length 256",
    ),
    "long room": (
        sign(video={"roomJoin": True, "room": "r" * 257}),
        {},
        400,
        "room name length exceeds limits: max length 256",
    ),
    "attributes without the grant": (
        sign(),
        {"attributes": base64.urlsafe_b64encode(b'{"a":"b"}').decode()},
        401,
        "no permissions to access the room",
    ),
    "publish without the grant": (
        sign(video={**GRANT, "canPublish": False}),
        {"publish": "x"},
        401,
        "no permissions to access the room",
    ),
}


@pytest.fixture
async def harness() -> Any:
    async with Harness(keys={KEY: SECRET}) as harness:
        yield harness


async def get(
    harness: Harness, path: str, token: str | None, query: dict[str, str], *, in_query: bool, upgrade: bool
) -> tuple[int, str, aiohttp.ClientResponse]:
    headers = {} if token is None or in_query else {"Authorization": f"Bearer {token}"}
    parameters = {**query, "access_token": token} if token is not None and in_query else query
    if upgrade:
        headers |= {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
    url = harness.server.http_url + path
    async with harness.http.get(url, headers=headers, params=parameters) as response:
        return response.status, await response.text(), response


@pytest.mark.parametrize("in_query", [False, True], ids=["header", "query"])
@pytest.mark.parametrize(
    ("path", "upgrade"), [("/rtc/validate", False), ("/rtc", True)], ids=["validate", "upgrade"]
)
@pytest.mark.parametrize(("token", "query", "status", "body"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusal(
    harness: Harness,
    path: str,
    upgrade: bool,
    in_query: bool,
    token: str | None,
    query: dict[str, str],
    status: int,
    body: str,
) -> None:
    got_status, got_body, response = await get(
        harness, path, token, query, in_query=in_query, upgrade=upgrade
    )

    assert (got_status, got_body) == (status, body)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert not harness.sfu.transports


@pytest.mark.parametrize("path", ["/", "/rtc", "/rtc/validate", "/nowhere"])
async def test_header_that_is_no_bearer_token(harness: Harness, path: str) -> None:
    async with harness.http.get(
        harness.server.http_url + path, headers={"Authorization": "Basic x"}
    ) as response:
        assert response.status == 401
        assert await response.text() == "invalid authorization header. Must start with Bearer "


async def test_valid_token_validates(harness: Harness) -> None:
    status, body, response = await get(harness, "/rtc/validate", sign(), {}, in_query=False, upgrade=False)

    assert (status, body) == (200, "success")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "claims",
    [
        lambda now: {"exp": now - 30},
        lambda now: {"nbf": now + 30},
        lambda now: {"exp": None},
        lambda now: {"sub": None, "jti": "anna"},
        lambda now: {"iat": now + 9999},
    ],
    ids=[
        "expired within leeway",
        "not yet valid within leeway",
        "no expiry",
        "identity in jti",
        "iat in the future",
    ],
)
async def test_tokens_that_are_accepted(harness: Harness, claims: Callable[[int], dict[str, Any]]) -> None:
    token = sign(**claims(int(time.time())))
    status, body, _ = await get(harness, "/rtc/validate", token, {}, in_query=True, upgrade=False)

    assert (status, body) == (200, "success")


@pytest.mark.parametrize(
    "changes",
    [
        {"video": [1]},
        {"video": {**GRANT, "roomJoin": "yes"}},
        {"video": {**GRANT, "room": 5}},
        {"video": {**GRANT, "canPublishSources": "camera"}},
        {"attributes": {"a": 1}},
        {"metadata": {}},
        {"sub": 5},
        {"roomConfig": {"maxParticipants": "many"}},
        {"exp": "soon"},
    ],
    ids=str,
)
async def test_claims_of_the_wrong_type_are_refused(harness: Harness, changes: dict[str, Any]) -> None:
    now = int(time.time())
    claims = {"iss": KEY, "sub": "anna", "nbf": now, "exp": now + 86_400, "video": GRANT, **changes}
    # Signed by hand: the library that makes tokens refuses some of these itself.
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")

    status, body, _ = await get(harness, "/rtc/validate", token, {}, in_query=False, upgrade=False)

    assert status == 401
    assert body.startswith(("invalid token: ", "invalid authorization token"))


async def test_header_wins_over_query(harness: Harness) -> None:
    url = harness.server.http_url + "/rtc/validate"
    headers = {"Authorization": f"Bearer {sign()}"}
    async with harness.http.get(url, headers=headers, params={"access_token": "rubbish"}) as response:
        assert response.status == 200


async def test_undecodable_attributes_fail_validation_only(harness: Harness) -> None:
    token = sign(video={**GRANT, "canUpdateOwnMetadata": True})
    query = {"attributes": "%%%"}

    status, body, _ = await get(harness, "/rtc/validate", token, query, in_query=False, upgrade=False)
    assert (status, body) == (400, "cannot decode attributes")

    client = await harness.connect(token, **query)
    assert (await client.receive()).join.participant.identity == "anna"


@pytest.mark.parametrize("path", ["/rtc/v2", "/rtc/v1/nowhere", "/nowhere", "/health"])
async def test_paths_that_are_not_served(harness: Harness, path: str) -> None:
    status, body, _ = await get(harness, path, sign(), {"join_request": "x"}, in_query=False, upgrade=True)

    assert (status, body) == (404, "404 page not found\n")


async def test_health(harness: Harness) -> None:
    assert (await get(harness, "/", None, {}, in_query=False, upgrade=False))[:2] == (200, "OK")


async def test_rtc_without_upgrade_is_404_with_empty_body(harness: Harness) -> None:
    assert (await get(harness, "/rtc", sign(), {}, in_query=False, upgrade=False))[:2] == (404, "")


async def test_leading_slashes_collapse(harness: Harness) -> None:
    assert (await get(harness, "//rtc/validate", sign(), {}, in_query=False, upgrade=False))[:2] == (
        200,
        "success",
    )


async def test_room_that_may_not_be_made() -> None:
    async with Harness(keys={KEY: SECRET}, auto_create_rooms=False) as harness:
        refused = await get(harness, "/rtc/validate", sign(), {}, in_query=False, upgrade=False)
        assert refused[:2] == (404, "requested room does not exist")

        token = sign(video={**GRANT, "roomCreate": True})
        assert (await get(harness, "/rtc/validate", token, {}, in_query=False, upgrade=False))[0] == 200


async def test_preflight_is_answered(harness: Harness) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization"}
    async with harness.http.options(harness.server.http_url + "/rtc/validate", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Headers"] == "authorization"
        assert response.headers["Access-Control-Max-Age"] == "86400"


async def test_any_origin_is_allowed(harness: Harness) -> None:
    async with harness.http.get(
        harness.server.http_url, headers={"Origin": "https://app.example"}
    ) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert response.headers["Vary"] == "Origin"
