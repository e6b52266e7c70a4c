"""The load generator and what runs it: livekit-server and `greenroom serve` under the same load, in turn."""
