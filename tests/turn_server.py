"""A real TURN server (coturn) on loopback, for tests of relayed media."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interop.ports import RELAY_PORTS, free_port

USERNAME, PASSWORD = "user", "secret"
_START_S = 10.0


@dataclass(frozen=True)
class TurnServer:
    port: int
    tls_port: int
    authority: Path
    """Who signed its certificate."""
    log: Path

    def url(self, transport: str) -> str:
        """For udp, tcp or tls."""
        if transport == "tls":
            return f"turns:127.0.0.1:{self.tls_port}"
        return f"turn:127.0.0.1:{self.port}?transport={transport}"

    @property
    def stun_url(self) -> str:
        return f"stun:127.0.0.1:{self.port}"

    def is_relayed(self, address: str | None) -> bool:
        """Whether an `IP:PORT` is on this server."""
        host, _, port = (address or ":0").rpartition(":")
        return host == "127.0.0.1" and int(port) in RELAY_PORTS

    def trusting_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority and of a server at 127.0.0.1 and localhost."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        *("req", "-x509", *new_key, "-keyout", "authority-key.pem", "-out", "authority.pem"),
        *("-days", "30", "-subj", "/CN=Test authority"),
    )
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost")
    (folder / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
    )
    openssl(
        *("x509", "-req", "-in", "request.pem", "-CA", "authority.pem", "-CAkey", "authority-key.pem"),
        *("-CAcreateserial", "-out", "certificate.pem", "-days", "30", "-extfile", "extensions"),
    )
    return Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")


@contextlib.contextmanager
def turn_server(folder: Path, *options: str) -> Iterator[TurnServer]:
    """Run `turnserver` until the block ends; `options` are further ones of its command line."""
    files = make_certificates(folder)
    server = TurnServer(free_port(), free_port(), files.authority, folder / "turnserver.log")
    command = [
        *("turnserver", "-n", "--no-cli", "--log-file", "stdout", "--pidfile", str(folder / "pid")),
        *("--userdb", str(folder / "turndb"), "--lt-cred-mech", "--realm", "greenroom.test"),
        *("--user", f"{USERNAME}:{PASSWORD}", "--allow-loopback-peers"),
        *("--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"),
        *("--listening-port", str(server.port), "--tls-listening-port", str(server.tls_port)),
        *("--min-port", str(RELAY_PORTS[0]), "--max-port", str(RELAY_PORTS[-1])),
        *("--cert", str(files.certificate), "--pkey", str(files.key)),
        *options,
    ]
    with server.log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _wait_until_listening(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_listening(server: TurnServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    for port in (server.port, server.tls_port):
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"turnserver does not listen; its output:\n{server.log.read_text()[-3000:]}"
                )
            time.sleep(0.02)
