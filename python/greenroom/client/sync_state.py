"""SyncState: what a resuming client tells the server of its side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import rtc as proto

from .peer_link import DATA_TRACK, PeerLink
from .publisher import LOSSY, RELIABLE

if TYPE_CHECKING:
    from .session import Session

_LABELS = (RELIABLE, LOSSY, DATA_TRACK)


def sync_state(session: Session) -> proto.SyncState:
    """Everything a server needs, also one that has to rebuild the session from it."""
    default = session.options.auto_subscribe
    remote = [p for who in session.state.remotes.values() for p in who.publications.values()]
    offer, answer = session.connections.described()
    message = proto.SyncState(
        offer=offer,
        answer=answer,
        subscription=proto.UpdateSubscription(
            subscribe=not default, track_sids=[p.sid for p in remote if p.wanted != default]
        ),
        publish_tracks=[
            proto.TrackPublishedResponse(cid=p.cid, track=p.info)
            for p in session.state.local.publications.values()
            if p.mid
        ],
        track_sids_disabled=[p.sid for p in remote if p.wanted and not p.settings.enabled],
        datachannel_receive_states=[
            proto.DataChannelReceiveState(publisher_sid=sid, last_seq=last[0])
            for sid, last in session.receiver.last_sequences.items()
        ],
    )
    session.data_tracks.sync(message)
    for link in session.connections.links:
        is_publisher = link is session.publisher.link
        target = proto.SignalTarget.PUBLISHER if is_publisher else proto.SignalTarget.SUBSCRIBER
        message.data_channels.extend(_channels(link, target))
    return message


def _channels(link: PeerLink, target: proto.SignalTarget) -> list[proto.DataChannelInfo]:
    """Those that are open. Stream numbers are as RFC 8832 section 6 gives them: the side that opens them counts
    in twos, from 0 when it is the DTLS client, else from 1."""
    we_open = target == proto.SignalTarget.PUBLISHER
    first = 0 if link.is_dtls_client == we_open else 1
    return [
        proto.DataChannelInfo(label=label, id=first + 2 * index, target=target)
        for index, label in enumerate(_LABELS)
        if link.is_label_open(label)
    ]
