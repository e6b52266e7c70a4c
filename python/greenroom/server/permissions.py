"""The `video` grant of a token, and what it lets a participant do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livekit.protocol import models

SOURCE_NAMES = {
    "camera": models.TrackSource.CAMERA,
    "microphone": models.TrackSource.MICROPHONE,
    "screen_share": models.TrackSource.SCREEN_SHARE,
    "screen_share_audio": models.TrackSource.SCREEN_SHARE_AUDIO,
}
KIND_NAMES = {
    "standard": models.ParticipantInfo.Kind.STANDARD,
    "ingress": models.ParticipantInfo.Kind.INGRESS,
    "egress": models.ParticipantInfo.Kind.EGRESS,
    "sip": models.ParticipantInfo.Kind.SIP,
    "agent": models.ParticipantInfo.Kind.AGENT,
    "connector": models.ParticipantInfo.Kind.CONNECTOR,
    "bridge": models.ParticipantInfo.Kind.BRIDGE,
}
"""Of the token's `kind` claim; anything else counts as standard."""
KIND_DETAIL_NAMES = frozenset(name.lower() for name, _ in models.ParticipantInfo.KindDetail.items())
"""Of the token's `kindDetails` claim; others are left out."""

_DEPENDENT_KINDS = frozenset({models.ParticipantInfo.Kind.AGENT, models.ParticipantInfo.Kind.EGRESS})


@dataclass(frozen=True)
class VideoGrant:
    """The `video` claim. None stands for a key that is absent, where that differs from False."""

    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    ingress_admin: bool = False
    destination_room: str = ""
    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_publish_sources: tuple[str, ...] = ()
    can_update_own_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False

    @classmethod
    def from_claim(cls, claim: Mapping[str, Any]) -> VideoGrant:
        """Read the JSON object. Raises ValueError that names the key whose type is wrong."""
        return cls(
            room=_text(claim, "room"),
            room_join=_flag(claim, "roomJoin") or False,
            room_create=_flag(claim, "roomCreate") or False,
            room_list=_flag(claim, "roomList") or False,
            room_record=_flag(claim, "roomRecord") or False,
            room_admin=_flag(claim, "roomAdmin") or False,
            ingress_admin=_flag(claim, "ingressAdmin") or False,
            destination_room=_text(claim, "destinationRoom"),
            can_publish=_flag(claim, "canPublish"),
            can_subscribe=_flag(claim, "canSubscribe"),
            can_publish_data=_flag(claim, "canPublishData"),
            can_publish_sources=_texts(claim, "canPublishSources"),
            can_update_own_metadata=_flag(claim, "canUpdateOwnMetadata") or False,
            can_subscribe_metrics=_flag(claim, "canSubscribeMetrics") or False,
            can_manage_agent_session=_flag(claim, "canManageAgentSession") or False,
            hidden=_flag(claim, "hidden") or False,
            recorder=_flag(claim, "recorder") or False,
            agent=_flag(claim, "agent") or False,
        )

    def permission(self) -> models.ParticipantPermission:
        """The grant with its defaults filled in, as clients see it."""
        can_publish = self.can_publish is not False
        sources = [SOURCE_NAMES[name] for name in self.can_publish_sources if name in SOURCE_NAMES]
        return models.ParticipantPermission(
            can_subscribe=self.can_subscribe is not False,
            can_publish=can_publish,
            can_publish_data=can_publish if self.can_publish_data is None else self.can_publish_data,
            can_publish_sources=sources,
            can_update_metadata=self.can_update_own_metadata,
            can_subscribe_metrics=self.can_subscribe_metrics,
            can_manage_agent_session=self.can_manage_agent_session,
            hidden=self.hidden,
            recorder=self.recorder,
            agent=self.agent,
        )


def permission_claim(permission: models.ParticipantPermission) -> dict[str, Any]:
    """What a permission reads as in a token's `video` claim."""
    names = {number: name for name, number in SOURCE_NAMES.items()}
    return {
        "canSubscribe": permission.can_subscribe,
        "canPublish": permission.can_publish,
        "canPublishData": permission.can_publish_data,
        "canPublishSources": [names[s] for s in permission.can_publish_sources if s in names],
        "canUpdateOwnMetadata": permission.can_update_metadata,
        "canSubscribeMetrics": permission.can_subscribe_metrics,
        "canManageAgentSession": permission.can_manage_agent_session,
        "hidden": permission.hidden,
        "recorder": permission.recorder,
        "agent": permission.agent,
    }


def may_publish_source(permission: models.ParticipantPermission, source: int) -> bool:
    """Whether a track of this source may be published; an empty list of sources allows all."""
    if not permission.can_publish:
        return False
    return not permission.can_publish_sources or source in permission.can_publish_sources


def kind_of(name: str) -> models.ParticipantInfo.Kind:
    """The participant kind that a token's `kind` claim names."""
    return KIND_NAMES.get(name, models.ParticipantInfo.Kind.STANDARD)


def is_dependent(kind: int, permission: models.ParticipantPermission) -> bool:
    """Agents and recorders are not counted as participants and do not keep a room open."""
    return kind in _DEPENDENT_KINDS or permission.recorder or permission.agent


def _flag(claim: Mapping[str, Any], key: str) -> bool | None:
    value = claim.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"{key} of the video claim must be true or false")


def _text(claim: Mapping[str, Any], key: str) -> str:
    value = claim.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise ValueError(f"{key} of the video claim must be a string")


def _texts(claim: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = claim.get(key)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f"{key} of the video claim must be a list of strings")
