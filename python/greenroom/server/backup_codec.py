"""The second codec of a video track, for those who can't receive its first.

A client that publishes VP9 or AV1 names one in its AddTrackRequest and sends it when it is told that somebody watches it
(SubscribedQualityUpdate): with another AddTrackRequest, which names the track, and in a section of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from greenroom.signalling.media_parameters import PayloadType
from greenroom.signalling.server_description import payload_types_for

from .dynacast import Dynacast

if TYPE_CHECKING:
    from .publications import Publication


class BackupCodec:
    """Of one publication. `tell` is called when its publisher is to be told what is watched."""

    def __init__(self, codec: str, tell: Callable[[], None], *, pause_delay_s: float) -> None:
        self.codec = codec
        """Lower case."""
        self.track: Publication | None = None
        """What carries it, once its publisher sends it: under the SID of the publication, and never announced."""
        self.watched: int | None = None
        """The highest quality that is watched, as the publisher was told; None as long as nobody needed it."""
        self._tell = tell
        self.dynacast = Dynacast(self._watched, pause_delay_s=pause_delay_s)

    def _watched(self, quality: int) -> None:
        self.watched = quality
        self._tell()


def choose_codec(
    publication: Publication, taken: Sequence[PayloadType]
) -> tuple[list[PayloadType], BackupCodec | None]:
    """What a subscriber that takes these payload types gets of a track, its best first, and the backup codec when it
    is that. Empty when it can take none of the track's codecs."""
    payload_types = payload_types_for(taken, publication.codec, publication.payload_type)
    backup = publication.backup
    if payload_types or backup is None:
        return payload_types, None
    published = backup.track.payload_type if backup.track is not None else None
    return payload_types_for(taken, backup.codec, published), backup
