"""The loads and how large they are; what each is made of is in src/scenario.rs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A load: its name in the generator, and how many join."""

    name: str
    publishers: int
    others: int

    def scaled(self, scale: float) -> Scenario:
        """With fewer who join after the publishers (at least two)."""
        return Scenario(self.name, self.publishers, max(2, round(self.others * scale)))

    def title(self) -> str:
        return _TITLES[self.name].format(self.publishers, self.others)


_TITLES = {
    "audio": "{} publish sound, {} listen",
    "video": "{} publishes VP8 720p, {} watch",
    "gallery": "{1} people with 9 visible tiles each",
}
SCENARIOS = (Scenario("audio", 10, 50), Scenario("video", 1, 60), Scenario("gallery", 0, 30))
