"""A participant that changes its own name, metadata and attributes."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from livekit.protocol import rtc as messages
from server_fakes import Harness

from greenroom.server import Limits

Reason = messages.RequestResponse.Reason


async def test_change_is_told_then_confirmed(harness: Harness) -> None:
    anna = await harness.join("anna", can_update_own_metadata=True, attributes={"keep": "1", "drop": "2"})
    bob = await harness.join("bob")
    update = messages.UpdateParticipantMetadata(
        name="Anna", metadata="m", attributes={"drop": "", "new": "3"}, request_id=7
    )

    await anna.send(update_metadata=update)

    response = await anna.expect("request_response")
    assert (response.request_id, response.reason) == (7, Reason.OK)
    kinds = anna.kinds()
    assert kinds[-3:] == ["update", "refresh_token", "request_response"]
    info = await bob.update_of("anna")
    while info.name != "Anna":
        info = await bob.update_of("anna")
    assert (info.metadata, dict(info.attributes)) == ("m", {"keep": "1", "new": "3"})
    claims = jwt.decode(anna.seen[-2].refresh_token, options={"verify_signature": False})
    assert (claims["name"], claims["attributes"]) == ("Anna", {"keep": "1", "new": "3"})


async def test_empty_means_unchanged(harness: Harness) -> None:
    anna = await harness.join("anna", can_update_own_metadata=True, name="Anna", metadata="m")

    await anna.send(update_metadata=messages.UpdateParticipantMetadata(request_id=1))
    await anna.expect("request_response")

    info = [m.update.participants[0] for m in anna.seen if m.HasField("update")][-1]
    assert (info.name, info.metadata) == ("Anna", "m")


REFUSED = {
    "no grant": ({}, {"name": "x"}, Reason.NOT_ALLOWED, "does not have permission to update own metadata"),
    "metadata": (
        {"can_update_own_metadata": True},
        {"metadata": "x" * 101},
        Reason.LIMIT_EXCEEDED,
        "exceeds metadata size limit",
    ),
    "name": (
        {"can_update_own_metadata": True},
        {"name": "x" * 257},
        Reason.LIMIT_EXCEEDED,
        "exceeds name length limit",
    ),
    "attributes": (
        {"can_update_own_metadata": True},
        {"attributes": {"a": "x" * 100}},
        Reason.LIMIT_EXCEEDED,
        "exceeds attributes size limit",
    ),
}


@pytest.mark.parametrize(("grants", "fields", "reason", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused_changes(
    grants: dict[str, Any], fields: dict[str, Any], reason: int, message: str
) -> None:
    async with Harness(limits=Limits(metadata_bytes=100, attributes_bytes=100)) as harness:
        anna = await harness.join("anna", **grants)

        await anna.send(update_metadata=messages.UpdateParticipantMetadata(request_id=3, **fields))

        response = await anna.expect("request_response")
        assert (response.request_id, response.reason, response.message) == (3, reason, message)
        assert response.HasField("update_metadata")


async def test_old_clients_get_no_confirmation(harness: Harness) -> None:
    anna = await harness.join("anna", can_update_own_metadata=True, query={"protocol": "14"})

    await anna.send(update_metadata=messages.UpdateParticipantMetadata(name="Anna", request_id=1))
    await anna.settle()

    assert "request_response" not in anna.kinds()
