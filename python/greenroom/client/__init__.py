"""The client of a room: one `Session` per join, the state it keeps, and the negotiation under it."""
