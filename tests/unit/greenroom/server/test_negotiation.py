"""When offers go out."""

from __future__ import annotations

from greenroom.server.negotiation import QUIET_S, SHORT_DELAY_S, Negotiation, NegotiationState


def test_first_wish_after_quiet_waits_shortly() -> None:
    negotiation = Negotiation(first_id=7)

    assert negotiation.wish(10.0) == SHORT_DELAY_S
    assert negotiation.wish(10.001) is None  # folded into the scheduled offer
    assert negotiation.offered() == 7
    assert negotiation.answered(7) is False


def test_wishes_in_quick_succession_wait_longer() -> None:
    negotiation = Negotiation(first_id=1)
    negotiation.wish(10.0)
    negotiation.offered()
    negotiation.answered(1)

    assert negotiation.wish(10.05) == QUIET_S
    negotiation.offered()
    negotiation.answered(2)
    assert negotiation.wish(10.05 + QUIET_S + 0.01) == SHORT_DELAY_S


def test_wishes_while_waiting_make_one_more_offer() -> None:
    negotiation = Negotiation(first_id=1)
    negotiation.wish(0.0)
    negotiation.offered()

    assert negotiation.wish(1.0) is None
    assert negotiation.wish(2.0) is None
    assert negotiation.state is NegotiationState.RETRY
    assert negotiation.answered(1) is True
    assert negotiation.wish(3.0) is not None
    assert negotiation.offered() == 2


def test_at_once_overtakes_a_scheduled_offer() -> None:
    negotiation = Negotiation(first_id=1)
    negotiation.wish(0.0)

    assert negotiation.wish(0.0, at_once=True) == 0.0


def test_answers_that_fit_no_offer_are_dropped() -> None:
    negotiation = Negotiation(first_id=5)
    assert negotiation.answered(0) is None
    negotiation.wish(0.0)
    negotiation.offered()

    assert negotiation.answered(4) is None
    assert negotiation.answered(0) is False  # old clients do not say which
    assert negotiation.answered(5) is None
