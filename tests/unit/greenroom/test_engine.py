"""The engine module itself: constants, configuration, the event port, life across shutdown and fork."""

import os
import select
import subprocess
import sys
import textwrap
from importlib.metadata import version

import pytest

from greenroom import _engine

EVENT_KINDS = [
    "ICE_STATE",
    "CONNECTED",
    "FAILED",
    "CHANNEL_OPEN",
    "CHANNEL_MESSAGE",
    "CHANNEL_CLOSED",
    "CHANNEL_WRITABLE",
    "CAPTURED",
    "DRAINED",
    "STREAM_READY",
    "STREAM_ENDED",
    "RECEIVER_STARTED",
    "UP_TRACK_STARTED",
    "UP_TRACK_LAYERS",
    "DOWN_TRACK_STARTED",
    "DOWN_TRACK_PAUSED",
    "ADDRESSES_CHANGED",
]


def is_readable(port: _engine.EventPort, timeout_s: float = 0) -> bool:
    return bool(select.select([port.fileno()], [], [], timeout_s)[0])


def run_in_new_interpreter(code: str) -> str:
    """Output of code that must not touch the engine of this process."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_module_has_the_version_of_the_package() -> None:
    assert _engine.__version__ == version("greenroom")


def test_event_kinds_are_distinct_numbers() -> None:
    numbers = {getattr(_engine, name) for name in EVENT_KINDS}
    assert len(numbers) == len(EVENT_KINDS)
    assert all(isinstance(number, int) for number in numbers)


def test_the_fingerprint_is_one_per_process() -> None:
    fingerprint = _engine.certificate_fingerprint()
    method, _, digest = fingerprint.partition(" ")
    assert method == "sha-256"
    assert len(digest.split(":")) == 32
    assert _engine.certificate_fingerprint() == fingerprint


@pytest.mark.parametrize("worker_threads", [0, 65, -1])
def test_configure_refuses_counts_out_of_range(worker_threads: int) -> None:
    with pytest.raises(_engine.EngineError, match=f"worker_threads is {worker_threads};"):
        _engine.configure(worker_threads=worker_threads)


def test_an_event_port_is_quiet_until_something_happens() -> None:
    port = _engine.EventPort()
    assert not is_readable(port)
    assert port.drain() == []
    port.close()
    port.close()
    assert port.drain() == []
    with pytest.raises(_engine.EngineError, match="closed"):
        port.fileno()


def test_events_of_a_source_arrive_and_the_descriptor_follows_the_queue() -> None:
    port = _engine.EventPort()
    source = _engine.AudioSource(port, 48_000, 1, 20)
    ticket = source.push(bytes(48 * 2 * 100))
    assert ticket > 0
    events: list[tuple[int, int, object]] = []
    while (source.handle, _engine.DRAINED, None) not in events:
        assert is_readable(port, 10)
        events += port.drain(1)
    assert (source.handle, _engine.CAPTURED, ticket) in events
    assert events.index((source.handle, _engine.CAPTURED, ticket)) < len(events) - 1
    assert not is_readable(port)
    source.close()
    port.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_an_engine_of_its_own() -> None:
    output = run_in_new_interpreter(
        """
        import os, select
        from greenroom import _engine

        def works():
            port = _engine.EventPort()
            source = _engine.AudioSource(port, 48_000, 1, 20)
            source.push(bytes(48 * 2 * 40))
            ready = select.select([port.fileno()], [], [], 20)[0]
            source.close()
            return bool(ready)

        assert works()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                good = works()
                _engine.shutdown()
                os._exit(0 if good else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert works()
        print("good")
        """
    )
    assert output == "good\n"


def test_shutdown_is_harmless_and_the_engine_starts_again() -> None:
    output = run_in_new_interpreter(
        """
        import select
        from greenroom import _engine

        _engine.shutdown()
        for worker_threads in (1, 2):
            _engine.configure(worker_threads=worker_threads)
            port = _engine.EventPort()
            source = _engine.AudioSource(port, 48_000, 1, 20)
            source.push(bytes(48 * 2 * 40))
            assert select.select([port.fileno()], [], [], 20)[0]
            try:
                _engine.configure(worker_threads=3)
            except _engine.EngineError as error:
                print("refused" if "runs already" in str(error) else error)
            _engine.shutdown()
            _engine.shutdown()
            source.close()
        # Left running: the interpreter's end must stop it.
        peer_port = _engine.EventPort()
        source = _engine.AudioSource(peer_port, 48_000, 1, 20)
        """
    )
    assert output == "refused\nrefused\n"
