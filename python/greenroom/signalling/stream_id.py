"""The stream id that LiveKit servers put into a subscriber's `msid`: who publishes, and which track."""

from __future__ import annotations

from .sdp import MediaSection


def carried_track(section: MediaSection, mid_to_track_id: dict[str, str]) -> tuple[str, str] | None:
    """(participant SID, track SID) of what the server sends in this section; None when nothing is sent."""
    msid = section.stream_and_track()
    if msid is None or not section.direction.sends:
        return None
    participant_sid, _, stream = msid.stream_id.partition("|")
    track_sid = mid_to_track_id.get(section.mid) or msid.track_id or stream
    return (participant_sid, track_sid) if track_sid else None
