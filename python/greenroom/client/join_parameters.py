"""What a client says of itself when it opens a signal connection: in the query, or in a JoinRequest."""

from __future__ import annotations

import platform

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.signalling.messages import CAPABILITIES, CLIENT_PROTOCOL, PROTOCOL_VERSION
from greenroom.signalling.wrapped_join import wrap

from .options import SessionOptions

SINGLE_PATH = "/rtc/v1"
"""Of servers that can use one peer connection for both directions; others answer 404."""


def join_query(options: SessionOptions, *, resumed_sid: str = "") -> dict[str, str]:
    """For two peer connections. `resumed_sid`: of the participant whose session goes on."""
    resuming = {"reconnect": "1", "sid": resumed_sid} if resumed_sid else {}
    return {
        "sdk": "python",
        "protocol": str(PROTOCOL_VERSION),
        "client_protocol": str(CLIENT_PROTOCOL),
        "capabilities": CAPABILITIES,
        "version": options.sdk_version,
        "os": platform.system().lower(),
        "os_version": platform.release(),
        "auto_subscribe": "1" if options.auto_subscribe else "0",
        "adaptive_stream": "0",
        **resuming,
    }


def single_join_query(
    options: SessionOptions, *, offer: proto.SessionDescription | None = None, resumed_sid: str = ""
) -> dict[str, str]:
    """For one peer connection for both directions."""
    request = proto.JoinRequest(
        client_info=models.ClientInfo(
            sdk=models.ClientInfo.SDK.PYTHON,
            version=options.sdk_version,
            protocol=PROTOCOL_VERSION,
            client_protocol=CLIENT_PROTOCOL,
            os=platform.system().lower(),
            os_version=platform.release(),
            capabilities=CAPABILITIES.split(","),
        ),
        connection_settings=proto.ConnectionSettings(auto_subscribe=options.auto_subscribe),
        publisher_offer=offer,
        reconnect=bool(resumed_sid),
        participant_sid=resumed_sid,
    )
    return {"join_request": wrap(request)}
