"""What can go wrong for a user of a room, one type per thing they would handle differently.

Each message says what failed, the value that was at fault, and what to do. The `Publish…Error` family and
`ConnectError` are part of the public API of `livekit.rtc`.
"""

from __future__ import annotations


class ConnectError(Exception):
    """Joining a room failed. `status` and `body` are those of the server's HTTP refusal, when there was
    one."""

    def __init__(self, message: str, *, status: int | None = None, body: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.body = body


class InvalidUrlError(ConnectError):
    """The server URL can't be used."""


class ServerUnreachableError(ConnectError):
    """No connection to the server's address: refused, no such host, no route. `may_pass`: another attempt may help."""

    def __init__(self, message: str, *, may_pass: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class TlsError(ConnectError):
    """The TLS handshake failed, most often for a certificate that is not trusted."""


class TokenError(ConnectError):
    """The server refused the access token."""


class MalformedTokenError(TokenError):
    """The access token is no JWT."""


class ExpiredTokenError(TokenError):
    """The access token's `exp` has passed."""


class TokenNotYetValidError(TokenError):
    """The access token's `nbf` lies in the future."""


class WrongKeyError(TokenError):
    """The access token is signed with a key or secret that the server does not have."""


class PermissionDeniedError(TokenError):
    """The access token is good but does not allow to join."""


class RoomFullError(ConnectError):
    """The room has as many participants as it allows."""


class RoomNotFoundError(ConnectError):
    """The room does not exist and may not be created by joining."""


class ServerRefusedError(ConnectError):
    """The server refused for another reason, or is no LiveKit server."""


class SignalProtocolError(ConnectError):
    """The server's first messages were not those of a join."""


class SignalLostError(SignalProtocolError):
    """The signal connection ended before the session had begun."""


class MediaPathError(ConnectError):
    """Signalling works but no media path was found; `candidate_pairs` lists what was tried, `ice_servers` what
    came of each STUN and TURN server."""

    def __init__(
        self, message: str, *, candidate_pairs: tuple[str, ...] = (), ice_servers: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.candidate_pairs = candidate_pairs
        self.ice_servers = ice_servers


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The deadline for the whole of `connect` passed."""


class SessionEndedError(ConnectionError):
    """What was waited for can't happen any more: the room is disconnected."""


class _RoomError(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PublishTrackError(_RoomError):
    """A track could not be published. `reason` is the server's word for it (`NOT_ALLOWED`…) or ours in
    lower case."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class UnpublishTrackError(_RoomError):
    """A track could not be unpublished."""


class PublishDataError(_RoomError):
    """A data packet could not be sent."""


class PublishDTMFError(_RoomError):
    """A DTMF tone could not be sent."""


class PublishTranscriptionError(_RoomError):
    """A transcription could not be sent."""


class PublishDataTrackError(_RoomError):
    """A data track could not be published."""


class PushFrameError(_RoomError):
    """A frame could not be handed to its data track: unpublished, too large, or too much waits already."""


class SubscribeDataTrackError(_RoomError):
    """A data track could not be subscribed to."""


class RequestError(_RoomError):
    """The server refused a change of own metadata, name or attributes. `reason` is its word for it."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotAllowedError(RequestError):
    """The token does not grant what was asked for."""


class LimitExceededError(RequestError):
    """What was asked for is larger than the server takes."""


class RequestTimeoutError(RequestError, TimeoutError):
    """The server did not answer."""


REQUEST_ERRORS: dict[str, type[RequestError]] = {
    "NOT_ALLOWED": NotAllowedError,
    "LIMIT_EXCEEDED": LimitExceededError,
}
"""By the server's reason; any other is a plain RequestError."""


class StreamError(ConnectionError):
    """A data stream ended badly, or could not be sent. `description` says how."""

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description
