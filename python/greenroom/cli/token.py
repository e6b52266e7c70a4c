"""`greenroom token`: a JWT to join a room with."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer
from livekit import api


def make_token(
    api_key: str,
    api_secret: str,
    *,
    identity: str,
    room: str,
    name: str | None = None,
    valid_for: datetime.timedelta = datetime.timedelta(hours=6),
    can_publish: bool = True,
    can_subscribe: bool = True,
    hidden: bool = False,
) -> str:
    """A token for one identity in one room."""
    grants = api.VideoGrants(
        room_join=True, room=room, can_publish=can_publish, can_subscribe=can_subscribe, hidden=hidden
    )
    token = api.AccessToken(api_key, api_secret).with_identity(identity).with_name(name or identity)
    return token.with_ttl(valid_for).with_grants(grants).to_jwt()


def token(
    room: Annotated[str, typer.Option(help="Room to join.")] = "demo",
    identity: Annotated[str, typer.Option(help="Identity, unique in the room.")] = "guest",
    name: Annotated[str | None, typer.Option(help="Display name; default: the identity.")] = None,
    api_key: Annotated[str, typer.Option(envvar="LIVEKIT_API_KEY")] = "devkey",
    api_secret: Annotated[str, typer.Option(envvar="LIVEKIT_API_SECRET")] = "secret",
    valid_for_hours: Annotated[float, typer.Option(min=0.01, help="Life of the token.")] = 6.0,
    publish: Annotated[bool, typer.Option(help="Allow publishing.")] = True,
    subscribe: Annotated[bool, typer.Option(help="Allow subscribing.")] = True,
    hidden: Annotated[bool, typer.Option(help="Join without being seen.")] = False,
) -> None:
    """Print a token that joins a room."""
    print(
        make_token(
            api_key,
            api_secret,
            identity=identity,
            room=room,
            name=name,
            valid_for=datetime.timedelta(hours=valid_for_hours),
            can_publish=publish,
            can_subscribe=subscribe,
            hidden=hidden,
        )
    )
