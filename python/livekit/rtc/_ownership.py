"""Importing this refuses to run beside the distribution `livekit`, whose files have the same names as
ours and would mix with them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _check() -> None:
    """ImportError with the commands that repair the environment, when both distributions are installed
    in it."""
    try:
        other = version("livekit")
    except PackageNotFoundError:
        return
    raise ImportError(
        f"the distribution livekit {other} is installed beside greenroom, and both own the folder "
        f"livekit/rtc; "
        "run: pip uninstall -y livekit && pip install --force-reinstall --no-deps greenroom"
    )


_check()
