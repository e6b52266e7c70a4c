from __future__ import annotations

from typing import Any

import pytest

from greenroom.client.stranded import is_stranded

SERVER = ("127.0.0.1", 7880)
NOWHERE = ("255.255.255.255", 7880)
"""The kernel lets nobody connect there."""


@pytest.mark.parametrize(
    ("ours", "theirs", "present", "expected"),
    [
        (("192.0.2.1", 5), SERVER, {"127.0.0.1", "192.0.2.2"}, True),
        (("192.0.2.1", 5), SERVER, {"192.0.2.1"}, False),
        (("192.0.2.1", 5), NOWHERE, {"192.0.2.2"}, False),
        (("2001:db8::1", 5, 0, 0), SERVER, {"2001:db8::2"}, True),
        (("2001:db8::1", 5, 0, 0), SERVER, {"2001:db8::1"}, False),
        (("fe80::1%eth0", 5, 0, 2), SERVER, set(), False),
        ("", "/run/server.sock", set(), False),
        (None, None, set(), False),
    ],
)
def test_a_connection_is_stranded_when_its_address_is_gone_and_another_leads_there(
    ours: Any, theirs: Any, present: set[str], expected: bool
) -> None:
    assert is_stranded(ours, theirs, present) is expected
