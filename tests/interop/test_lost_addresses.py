"""A machine that loses the addresses its sessions go from, signalling and all, on livekit-server. That sends nothing to another
address of a client before its own checks of the lost one have failed for long: the resume moves the media."""

from __future__ import annotations

from pathlib import Path

from lost_address_program import run_alone

from .peers import livekit_server_binary


def test_it_goes_on_over_another_address(tmp_path: Path) -> None:
    # Where the program runs there is no network to get it from.
    livekit_server_binary()
    run_alone("signalling", tmp_path / "livekit-server.log")
