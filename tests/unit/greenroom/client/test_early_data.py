from __future__ import annotations

from greenroom.client.early_data import MAX_HELD_BYTES, EarlyData


async def test_data_waits_for_its_sender_in_order() -> None:
    early, seen = EarlyData(), list[int]()
    for number in range(3):
        assert early.hold("alice", "PA_a", 10, lambda n=number: seen.append(n))
    early.release("bob")
    assert seen == []
    early.release("alice")
    assert seen == [0, 1, 2]
    early.release("alice")
    assert seen == [0, 1, 2]


async def test_data_of_a_participant_that_left_is_not_held() -> None:
    early = EarlyData()
    early.departed("PA_a")
    assert not early.hold("alice", "PA_a", 10, lambda: None)


async def test_a_flood_of_an_unknown_sender_releases_everything_in_order() -> None:
    early, seen = EarlyData(), list[str]()
    assert early.hold("alice", "PA_a", MAX_HELD_BYTES, lambda: seen.append("first"))
    assert not early.hold("mallory", "PA_m", 1, lambda: None)
    assert seen == ["first"]
    assert early.hold("alice", "PA_a", MAX_HELD_BYTES, lambda: None), "the room is free again"
    early.close()


async def test_closing_forgets_what_is_held() -> None:
    early, seen = EarlyData(), list[int]()
    early.hold("alice", "PA_a", 1, lambda: seen.append(1))
    early.close()
    early.release("alice")
    assert seen == []
