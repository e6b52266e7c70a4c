"""The embedded LiveKit-compatible room server: `Server` inside a program, `run` for a process of its own."""

from .app import Server, run
from .config import Limits, ServerConfig
from .refusal import Refusal

__all__ = ["Limits", "Refusal", "Server", "ServerConfig", "run"]
