"""Which remote track arrives on which m-line of one peer connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from greenroom import _engine
from greenroom.signalling.sdp import MediaSection
from greenroom.signalling.stream_id import carried_track

from .peer_link import PeerLink

StartedCallback = Callable[[str, str, _engine.Receiver], None]
"""Called with the SIDs of the participant and the track, and with its receiver."""
StoppedCallback = Callable[[str, _engine.Receiver], None]
"""Called with the track's SID and its receiver."""


@dataclass(frozen=True)
class _Binding:
    """What one m-line carries: a new track or new SSRCs make a new binding."""

    track_sid: str
    ssrc: int
    rtx_ssrc: int | None


class Receivers:
    """`on_started` and `on_stopped` tell what the m-lines carry."""

    def __init__(self, link: PeerLink, *, on_started: StartedCallback, on_stopped: StoppedCallback) -> None:
        self._link = link
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._bound: dict[str, tuple[_Binding, _engine.Receiver]] = {}

    def bind(self, sections: Iterable[MediaSection], mid_to_track_id: dict[str, str]) -> None:
        """Follow the server's newest description: `sections` are all that we receive on."""
        wanted: dict[str, tuple[_Binding, str]] = {}
        senders: dict[str, str] = {}
        for section in sections:
            carried = carried_track(section, mid_to_track_id)
            layers = section.receive_layers()
            if carried is not None and layers:
                binding = _Binding(carried[1], layers[0].ssrc, layers[0].rtx_ssrc)
                wanted[section.mid] = (binding, section.kind.value)
                senders[section.mid] = carried[0]
        self._stop_others(wanted)
        peer = self._link.peer
        for mid, (binding, kind) in wanted.items():
            if mid not in self._bound:
                receiver = peer.add_receiver(mid, kind=kind, ssrc=binding.ssrc, rtx_ssrc=binding.rtx_ssrc)
                self._bound[mid] = (binding, receiver)
                self._on_started(senders[mid], binding.track_sid, receiver)

    def _stop_others(self, wanted: dict[str, tuple[_Binding, str]]) -> None:
        moved = {binding.track_sid for binding, _ in wanted.values()}
        for mid, (bound, receiver) in list(self._bound.items()):
            if mid in wanted and wanted[mid][0] == bound:
                continue
            del self._bound[mid]
            if mid not in wanted:
                self._link.peer.remove_receiver(mid)
            if bound.track_sid not in moved:
                self._on_stopped(bound.track_sid, receiver)

    def close(self) -> None:
        """Forget everything; nobody is told."""
        self._bound.clear()
