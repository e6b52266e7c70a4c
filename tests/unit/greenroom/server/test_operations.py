"""Running a server: metrics, health, going out of service, TLS."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit.protocol import rtc as messages
from server_fakes import Harness

from greenroom.server.config import PrometheusConfig, ServerConfig, TlsConfig
from livekit import api

UNTRUSTED = Path(__file__).resolve().parents[3] / "integration" / "untrusted.pem"


async def scrape(harness: Harness, path: str = "/metrics", **auth: str) -> tuple[int, dict[str, float]]:
    """Status, and the value of each series by its name and labels without those of the node."""
    url = f"http://127.0.0.1:{harness.server.metrics_port}{path}"
    credentials = base64.b64encode(f"{auth.get('login')}:{auth.get('password')}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if auth else {}
    async with harness.http.get(url, headers=headers) as response:
        text = await response.text()
        series = {}
        for line in text.splitlines():
            if not line.startswith("#") and " " in line:
                name, value = line.rsplit(" ", 1)
                assert 'node_type="SERVER"' in name or response.status != 200
                series[re.sub(r',?node_(id|type)="\w*"', "", name).replace("{,", "{").replace("{}", "")] = (
                    float(value)
                )
        return response.status, series


async def test_metrics_tell_what_is_there() -> None:
    async with Harness(prometheus=PrometheusConfig(port=0)) as harness:
        anna, bob = await harness.join("anna"), await harness.join("bob")
        for client in (anna, bob):
            client.activate()
        await anna.publish("mic")
        await anna.publish("cam", "video")
        async with api.LiveKitAPI(
            harness.server.url, harness.server.api_key, harness.server.api_secret
        ) as client_:
            await client_.room.list_rooms(api.ListRoomsRequest())
        async with harness.http.get(harness.server.http_url + "/rtc/validate") as response:
            assert response.status == 401

        status, series = await scrape(harness)

        assert status == 200
        assert series["livekit_room_total"] == 1
        assert series["livekit_participant_total"] == 2
        assert series['livekit_track_published_total{kind="AUDIO"}'] == 1
        assert series['livekit_track_subscribed_total{kind="VIDEO"}'] == 1
        assert series['livekit_participant_join_total{state="rtc_active"}'] == 2
        assert series['livekit_packet_total{country="",direction="incoming"}'] == 3
        assert series['livekit_packet_bytes{country="",direction="outgoing"}'] == 5
        assert series['greenroom_packets_dropped_total{why="unknown"}'] == 1
        assert series['greenroom_events_total{kind="refused_401"}'] == 1
        (request,) = [
            value for name, value in series.items() if name.startswith("livekit_node_twirp_request_status")
        ]
        assert request == 1
        await anna.send(leave=messages.LeaveRequest())
        await anna.closed()
        _, series = await scrape(harness, "/anything/else")
        assert series["livekit_participant_total"] == 1


async def test_outcomes_are_counted_and_durations_measured() -> None:
    async with Harness(prometheus=PrometheusConfig(port=0)) as harness:
        anna, bob = await harness.join("anna"), await harness.join("bob")
        anna.activate()
        sid = await anna.publish("cam", "video")
        while not (offer := await bob.expect("offer")).mid_to_track_id:
            await bob.answer(offer)
        await bob.answer(offer, codecs=False)
        assert (await bob.expect("subscription_response")).track_sid == sid
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await harness.join("carol", room_join=False)
        await bob.send(leave=messages.LeaveRequest())
        await bob.closed()
        await anna.send(leave=messages.LeaveRequest())
        await anna.closed()

        _, series = await scrape(harness)

        published = 'direction="publish",kind="STANDARD",sdk="PYTHON",source="CAMERA",type="VIDEO"'
        expected = {
            'livekit_participant_join_total{state="signal_connected"}': 2,
            'livekit_participant_join_total{state="rtc_success"}': 1,
            'livekit_participant_join_total{state="rtc_canceled"}': 1,
            'livekit_participant_join_total{state="signal_validation_failed"}': 1,
            'livekit_track_publish_counter{kind="VIDEO",state="attempt"}': 1,
            'livekit_track_publish_counter{kind="VIDEO",state="success"}': 1,
            'livekit_track_subscribe_counter{error="",state="attempt"}': 1,
            'livekit_track_subscribe_counter{error="SE_CODEC_UNSUPPORTED",state="failure"}': 1,
            'livekit_session_join_latency_ms_count{protocol_version="17"}': 2,
            'livekit_session_start_time_ms_count{protocol_version="17"}': 1,
            'livekit_session_duration_ms_count{protocol_version="17"}': 1,
            f'livekit_pubsubtime_ms_count{{count="1",country="",{published}}}': 1,
        }
        assert {name: series.get(name) for name in expected} == expected


async def test_strangers_can_not_make_up_series() -> None:
    async with Harness(prometheus=PrometheusConfig(port=0)) as harness:
        for name in ("Fly", "Swim", "Dig"):
            url = f"{harness.server.http_url}/twirp/livekit.RoomService/{name}"
            async with harness.http.post(url, data="{}") as response:
                assert response.status == 404
        _, series = await scrape(harness)
        found = [v for n, v in series.items() if n.startswith("livekit_node_twirp_request_status")]
        assert found == [3]


async def test_clients_can_not_make_up_series() -> None:
    unknown: Any = 99
    async with Harness(prometheus=PrometheusConfig(port=0)) as harness:
        for number in range(3):
            anna = await harness.join("anna", f"room {number}", query={"protocol": str(1_000 + number)})
            anna.activate()
            await anna.publish("cam", "video", source=unknown)
        _, series = await scrape(harness)
        joined = {n: v for n, v in series.items() if n.startswith("livekit_session_join_latency_ms_count")}
        assert joined == {'livekit_session_join_latency_ms_count{protocol_version="17"}': 3}
        published = {n: v for n, v in series.items() if n.startswith("livekit_pubsubtime_ms_count")}
        assert [('source="UNKNOWN"' in name, value) for name, value in published.items()] == [(True, 3)]


async def test_metrics_behind_a_password() -> None:
    config = PrometheusConfig(port=0, username="anna", password="secret")
    async with Harness(prometheus=config) as harness:
        assert (await scrape(harness))[0] == 401
        assert (await scrape(harness, login="anna", password="wrong"))[0] == 401
        assert (await scrape(harness, login="anna", password="secret"))[0] == 200


async def test_no_metrics_without_a_port(harness: Harness) -> None:
    assert harness.server.metrics_port is None
    async with harness.http.get(harness.server.http_url + "/metrics") as response:
        assert response.status == 404


# ---- going out of service ----


async def test_draining_refuses_newcomers_and_waits_for_the_rest(harness: Harness) -> None:
    anna = await harness.join("anna")
    draining = asyncio.create_task(harness.server.drain(60))
    await anna.settle()

    async with harness.http.get(harness.server.http_url) as response:
        assert (response.status, await response.text()) == (406, "Not Ready\ndraining")
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await harness.join("bob")
    assert raised.value.status == 503
    resumed = await harness.connect(harness.server.token("room", "anna"), reconnect="1", sid=anna.sid)
    assert (await resumed.receive()).HasField("reconnect")
    server = harness.server
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client:
        assert (await client.room.create_room(api.CreateRoomRequest(name="room"))).name == "room"
        for refused in (
            client.room.create_room(api.CreateRoomRequest(name="new")),
            client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="new", agent_name="a")),
        ):
            with pytest.raises(api.TwirpError, match="going out of service") as unavailable:
                await refused
            assert (unavailable.value.status, unavailable.value.code) == (503, "unavailable")
    assert not draining.done()

    await resumed.send(leave=messages.LeaveRequest())
    assert await draining is True


async def test_draining_an_empty_server_ends_at_once(harness: Harness) -> None:
    await harness.join("agent", kind="agent")
    assert await harness.server.drain(60) is True


async def test_draining_has_a_limit(harness: Harness) -> None:
    await harness.join("anna")
    assert await harness.server.drain(0.01) is False


# ---- TLS ----


async def test_https_and_wss() -> None:
    async with Harness(tls=TlsConfig(str(UNTRUSTED), str(UNTRUSTED))) as harness:
        assert harness.server.url.startswith("wss://")
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        async with harness.http.get(harness.server.http_url, ssl=trust) as response:
            assert await response.text() == "OK"
        url = f"{harness.server.url}/rtc?protocol=17&access_token={harness.server.token('room', 'anna')}"
        async with harness.http.ws_connect(url, ssl=trust) as websocket:
            assert messages.SignalResponse.FromString(await websocket.receive_bytes()).HasField("join")


async def test_files_that_are_no_certificates_are_named() -> None:
    harness = Harness(tls=TlsConfig("/nowhere/cert.pem", "/nowhere/key.pem"))
    with pytest.raises(OSError, match=r"TLS can't use certificate /nowhere/cert.pem"):
        await harness.server.start()
    assert harness.sfu.closed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": 7880, "tcp_port": 7880}, "port and tcp_port are both 7880"),
        ({"port": 7880, "prometheus": PrometheusConfig(port=7880)}, "port and prometheus.port are both 7880"),
        ({"prometheus": PrometheusConfig(port=1, username="a")}, "must be given together"),
        ({"prometheus": PrometheusConfig(port=-1)}, "prometheus.port is -1"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServerConfig(keys={"key": "secret"}, **settings)  # type: ignore[arg-type]
