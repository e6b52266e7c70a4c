"""Failures that clients order of the server."""

from __future__ import annotations

from livekit.protocol import rtc as messages
from server_fakes import Harness

_TCP_CANDIDATE = "candidate:2 1 tcp 1518214911 127.0.0.1 7881 typ host tcptype passive"
_UDP_TRICKLE = '{"candidate": "candidate:1 1 udp 1 10.0.0.1 5 typ host"}'


async def test_a_fall_back_leaves_udp_out_of_the_next_session() -> None:
    harness = Harness()
    harness.sfu.candidates = (*harness.sfu.candidates, _TCP_CANDIDATE)  # type: ignore[assignment]
    protocol = messages.CandidateProtocol
    async with harness:
        anna = await harness.join("anna")
        for choice, protocols in (
            (protocol.TCP, {"tcp"}),
            (protocol.TLS, {"tcp"}),
            (protocol.UDP, {"udp", "tcp"}),
        ):
            await anna.send(simulate=messages.SimulateScenario(switch_candidate_protocol=choice))
            await anna.settle()
            anna = await harness.join("anna")
            offer = await anna.expect("offer")
            lines = [line for line in offer.sdp.splitlines() if line.startswith("a=candidate")]
            assert {line.split()[2] for line in lines} == protocols
            target = messages.SignalTarget.SUBSCRIBER
            await anna.send(trickle=messages.TrickleRequest(target=target, candidateInit=_UDP_TRICKLE))
            await anna.answer(offer)
            await anna.settle()
            assert ("udp" in protocols) == bool(anna.subscriber.candidates)


async def test_without_tcp_there_is_no_fall_back(harness: Harness) -> None:
    anna = await harness.join("anna")
    choice = messages.CandidateProtocol.TCP
    await anna.send(simulate=messages.SimulateScenario(switch_candidate_protocol=choice))
    await anna.settle()
    anna = await harness.join("anna")
    assert "a=candidate" in (await anna.expect("offer")).sdp
