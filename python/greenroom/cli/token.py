"""`greenroom token`: a JWT to join a room with."""

from __future__ import annotations

from typing import Annotated

import typer

_SECONDS_PER_HOUR = 3600
_TEN_YEARS_IN_HOURS = 87_600


def make_token(
    api_key: str,
    api_secret: str,
    *,
    identity: str,
    room: str,
    name: str | None = None,
    valid_for_hours: float = 6.0,
    can_publish: bool = True,
    can_subscribe: bool = True,
    hidden: bool = False,
) -> str:
    """A token for one identity in one room. ValueError when a part that must be there is empty."""
    parts = {"API key": api_key, "API secret": api_secret, "room": room, "identity": identity}
    for what, value in parts.items():
        if not value.strip():
            raise ValueError(f"the {what} is empty: a token can't be made without it")
    from greenroom.server import tokens

    return tokens.mint(
        api_key,
        api_secret,
        room,
        identity,
        life_s=valid_for_hours * _SECONDS_PER_HOUR,
        name=name or identity,
        can_publish=can_publish,
        can_publish_data=can_publish,
        can_subscribe=can_subscribe,
        hidden=hidden,
    )


def token(
    room: Annotated[str, typer.Option(help="Room to join.")] = "demo",
    identity: Annotated[str, typer.Option(help="Identity, unique in the room.")] = "guest",
    name: Annotated[str | None, typer.Option(help="Display name; default: the identity.")] = None,
    api_key: Annotated[str, typer.Option(envvar="LIVEKIT_API_KEY", help="Key of the server.")] = "devkey",
    api_secret: Annotated[str, typer.Option(envvar="LIVEKIT_API_SECRET", help="Its secret.")] = "secret",
    valid_for_hours: Annotated[
        float, typer.Option(min=0.01, max=_TEN_YEARS_IN_HOURS, help="Life of the token.")
    ] = 6.0,
    publish: Annotated[bool, typer.Option(help="Allow publishing tracks and data.")] = True,
    subscribe: Annotated[bool, typer.Option(help="Allow subscribing.")] = True,
    hidden: Annotated[bool, typer.Option("--hidden", help="Join without being seen.")] = False,
) -> None:
    """Print a token that joins a room."""
    from .output import complain

    try:
        made = make_token(
            api_key,
            api_secret,
            identity=identity,
            room=room,
            name=name,
            valid_for_hours=valid_for_hours,
            can_publish=publish,
            can_subscribe=subscribe,
            hidden=hidden,
        )
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(1) from error
    typer.echo(made)
