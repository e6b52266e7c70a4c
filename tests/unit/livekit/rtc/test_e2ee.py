"""Keys that are never shown, and the manager of a room without encryption."""

from __future__ import annotations

import pytest

from livekit import rtc
from livekit.rtc.e2ee import encryption_options

_SECRET = b"hunter2"


def test_no_representation_shows_a_key() -> None:
    keys = rtc.KeyProviderOptions(shared_key=_SECRET)
    options = rtc.E2EEOptions(key_provider_options=keys)
    room_options = rtc.RoomOptions(encryption=options, e2ee=options)
    for shown in (keys, options, room_options, encryption_options(options, None)):
        assert "hunter2" not in repr(shown)


def test_encryption_goes_before_e2ee_and_decides_about_data() -> None:
    first = rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=b"first"))
    second = rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=b"second"))
    both = encryption_options(first, second)
    assert both is not None
    assert (both.shared_key, both.data) == (b"first", True)
    legacy = encryption_options(None, second)
    assert legacy is not None
    assert (legacy.shared_key, legacy.data) == (b"second", False)
    assert encryption_options(None, None) is None


def test_the_type_none_means_no_encryption() -> None:
    assert encryption_options(rtc.E2EEOptions(encryption_type=rtc.EncryptionType.NONE), None) is None


def test_a_room_that_never_connected_has_a_manager_without_keys() -> None:
    manager = rtc.Room().e2ee_manager
    assert not manager.enabled
    assert manager.key_provider is None
    assert manager.frame_cryptors() == []
    manager.set_enabled(False)
    with pytest.raises(RuntimeError, match="encryption="):
        manager.set_enabled(True)
