"""The embedded LiveKit-compatible room server: `Server` inside a program, `run` for a process of its own."""

from .app import Server, run
from .config import Limits, PlayoutDelayConfig, PrometheusConfig, ServerConfig, TlsConfig, WebhookConfig
from .ice_servers import IceServer
from .refusal import Refusal

__all__ = [
    "IceServer",
    "Limits",
    "PlayoutDelayConfig",
    "PrometheusConfig",
    "Refusal",
    "Server",
    "ServerConfig",
    "TlsConfig",
    "WebhookConfig",
    "run",
]
