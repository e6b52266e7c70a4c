"""Measurements against the official SDK and livekit-server, as ratios from one run."""
