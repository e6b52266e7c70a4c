"""Turns at a channel: order, hurry, and callers that give up."""

from __future__ import annotations

import asyncio

from greenroom.client.turns import Turns


async def run(turns: Turns, log: list[str], name: str, urgent: bool = False) -> None:
    await turns.take(urgent)
    try:
        log.append(name)
        await asyncio.sleep(0)
    finally:
        turns.release()


async def test_turns_are_in_order_and_the_urgent_go_first() -> None:
    turns, log = Turns(), []
    names = ["a", "b", "URGENT1", "c", "URGENT2"]
    await asyncio.wait_for(asyncio.gather(*(run(turns, log, name, name[0] == "U") for name in names)), 5)
    assert log == ["a", "URGENT1", "URGENT2", "b", "c"]


async def test_those_who_give_up_pass_their_turn_on() -> None:
    turns, log = Turns(), []
    await turns.take()
    waiting = [asyncio.ensure_future(run(turns, log, str(number))) for number in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    turns.release()
    waiting[0].cancel()  # it has its turn already and does not know yet
    await asyncio.wait_for(asyncio.wait(waiting), 5)
    assert log == ["2", "3"]
    await asyncio.wait_for(turns.take(), 5)
