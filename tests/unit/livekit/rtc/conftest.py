from __future__ import annotations

import pytest

_ENGINE_TESTS = ("audio_source", "audio_stream", "video_source", "video_stream")


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> None:
    """Tests on the real engine must free what they take."""
    if request.node.path.stem.removeprefix("test_") in _ENGINE_TESTS:
        request.getfixturevalue("nothing_left")
