"""Signalling over TLS with authorities of one's own, and through HTTP proxies."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
from http_proxy import HttpProxy
from room_tools import within
from turn_server import Certificates, make_certificates

import greenroom
from greenroom.client import errors
from greenroom.server.config import TlsConfig
from livekit import rtc

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure(certificates: Certificates) -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server(
        tls=TlsConfig(str(certificates.certificate), str(certificates.key))
    ) as server:
        yield server


@pytest.fixture
async def plain() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server


async def _join(server: greenroom.Server, **options: object) -> None:
    """Connect and leave."""
    room = rtc.Room()
    token = server.token(room="lobby", identity="alice")
    await within(room.connect(server.url, token, rtc.RoomOptions(**options)))  # type: ignore[arg-type]
    assert room.isconnected()
    await room.disconnect()


async def test_an_authority_of_ones_own_is_trusted(
    secure: greenroom.Server, certificates: Certificates
) -> None:
    await _join(secure, ssl_context=ssl.create_default_context(cafile=str(certificates.authority)))


async def test_a_certificate_that_is_not_trusted_is_named(secure: greenroom.Server) -> None:
    with pytest.raises(errors.TlsError, match=r"RoomOptions\.ssl_context"):
        await _join(secure)


async def test_wss_goes_through_the_proxy_by_connect(
    secure: greenroom.Server, certificates: Certificates
) -> None:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    async with HttpProxy(password="secret") as proxy:
        await _join(secure, ssl_context=context, proxy=f"http://user:secret@127.0.0.1:{proxy.port}")
        assert proxy.asked
        assert proxy.asked[0].startswith("CONNECT 127.0.0.1:")


async def test_ws_goes_through_the_proxy_as_a_request(plain: greenroom.Server) -> None:
    async with HttpProxy() as proxy:
        await _join(plain, proxy=proxy.url)
        assert proxy.asked[0].startswith("GET http://127.0.0.1:")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "WSS_PROXY"])
async def test_the_environment_names_the_proxy(
    secure: greenroom.Server,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    async with HttpProxy() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        await _join(secure, ssl_context=context)
        assert len(proxy.asked) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await _join(secure, ssl_context=context)
        monkeypatch.delenv("NO_PROXY")
        await _join(secure, ssl_context=context, proxy="")
        assert len(proxy.asked) == 1, "neither with NO_PROXY nor when told to use none"


async def test_a_proxy_that_refuses_or_is_not_there_is_named(
    secure: greenroom.Server, certificates: Certificates
) -> None:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    async with HttpProxy(password="secret") as proxy:
        with pytest.raises(errors.ServerUnreachableError, match="407") as caught:
            await _join(secure, ssl_context=context, proxy=f"http://user:wrong@127.0.0.1:{proxy.port}")
        assert "wrong" not in caught.value.message
        gone = proxy.url
    with pytest.raises(errors.ServerUnreachableError, match=r"the proxy http://127\.0\.0\.1:"):
        await _join(secure, ssl_context=context, proxy=gone)
