"""The contract of the Rust module: peer connections, media and forwarding. Checked by stubtest.

Nothing here knows rooms, participants or LiveKit messages. Objects that report something are made with an
`EventPort`; what they report arrives as `(handle, kind, payload)` from `EventPort.drain()`.
Every call is quick (it posts to a worker thread or copies once) and may be made from any thread; a call on a
closed object raises `EngineError` unless its docstring says that it does nothing.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol, final

from typing_extensions import Buffer, Self

__version__: Final[str]

class EngineError(Exception):
    """What failed, the value that was at fault, and what to do."""

# ---- parameters: any object with these attributes, read once (see greenroom.signalling.media_parameters) ----

class _PayloadType(Protocol):
    @property
    def payload_type(self) -> int: ...
    @property
    def codec(self) -> str:
        """Lower case: opus, red, pcmu, pcma, vp8, vp9, h264, h265, av1."""
    @property
    def clock_rate_hz(self) -> int: ...
    @property
    def channels(self) -> int | None: ...
    @property
    def format_parameters(self) -> str:
        """The fmtp text, empty when there is none."""
    @property
    def rtx_payload_type(self) -> int | None: ...
    @property
    def feedback(self) -> Sequence[str]:
        """rtcp-fb values: "nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"."""

class _HeaderExtension(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def uri(self) -> str: ...

class _IceServer(Protocol):
    """One address of a STUN or TURN server (RFC 8489, RFC 8656); its name is looked up already."""

    @property
    def kind(self) -> str:
        """stun, turn."""
    @property
    def transport(self) -> str:
        """udp, tcp, tls; STUN takes udp."""
    @property
    def url(self) -> str:
        """As the user knows it, for messages."""
    @property
    def host(self) -> str:
        """The name that a TLS certificate must be for."""
    @property
    def address(self) -> str:
        """An IP address."""
    @property
    def port(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def trusted_certificates(self) -> Sequence[bytes] | None:
        """For TLS, DER; None: those of this machine."""
    @property
    def verify(self) -> bool:
        """False: TLS takes any certificate."""

class _SendLayer(Protocol):
    @property
    def rid(self) -> str | None:
        """None for a track of one layer."""
    @property
    def ssrc(self) -> int: ...
    @property
    def rtx_ssrc(self) -> int | None: ...
    @property
    def scale_down_by(self) -> float: ...
    @property
    def max_bitrate_bps(self) -> int: ...
    @property
    def max_framerate(self) -> float: ...

class _ReceiveLayer(Protocol):
    @property
    def ssrc(self) -> int: ...
    @property
    def rtx_ssrc(self) -> int | None: ...
    @property
    def rid(self) -> str | None: ...

# ---- event kinds, with their payloads ----
# of Peer and SfuTransport
ICE_STATE: Final[int]
"""str: new, checking, connected, disconnected, failed, closed."""
CONNECTED: Final[int]
"""None: ICE and DTLS are up (again, after an ICE restart)."""
LOCAL_CANDIDATE: Final[int]
"""str: a `candidate:…` line of this Peer's that was found after `gather` had returned; the remote is to be told."""
ADDRESSES_CHANGED: Final[int]
"""str: the addresses of this machine's interfaces that are up, as they are now, with spaces between; of a Peer that has gathered."""
FAILED: Final[int]
"""str: why this connection can't go on; it is closed. Sent once."""
CHANNEL_OPEN: Final[int]
"""(channel: int, label: str): a channel, ours or the remote's, can be written to."""
CHANNEL_MESSAGE: Final[int]
"""(channel: int, data: bytes)"""
CHANNEL_CLOSED: Final[int]
"""channel: int"""
CHANNEL_WRITABLE: Final[int]
"""channel: int. After `send` returned False: there is room again."""
# of AudioSource
CAPTURED: Final[int]
"""ticket: int. The capture that `push` gave this ticket for is complete."""
DRAINED: Final[int]
"""None: the source has played out what it held (sent each time it goes from filled to empty)."""
# of AudioStream and VideoStream
STREAM_READY: Final[int]
"""None: `pop` went from having nothing to having something."""
STREAM_ENDED: Final[int]
"""None: nothing comes after what is queued. Sent once."""
# of Receiver
RECEIVER_STARTED: Final[int]
"""None: the first media packet arrived."""
# of FrameCryptor
ENCRYPTION_STATE: Final[int]
"""int: the state changed, as livekit.rtc.EncryptionState numbers them: 0 new, 1 ok, 2 encryption failed, 3 decryption failed,
4 missing key, 5 key ratcheted, 6 internal error."""
# of UpTrack
UP_TRACK_STARTED: Final[int]
"""None: the first packet of any layer arrived."""
UP_TRACK_LAYERS: Final[int]
"""tuple[bool, ...]: which spatial layers flow now, lowest first."""
# of DownTrack
DOWN_TRACK_STARTED: Final[int]
"""None: the first packet was forwarded."""
DOWN_TRACK_PAUSED: Final[int]
"""int: 1 when the track is held back for lack of bandwidth, 0 when it is not any more."""

# ---- the engine ----

def configure(*, worker_threads: int) -> None:
    """Set the number of worker threads (1..=64; default: one per core). EngineError once the engine runs."""

def shutdown() -> None:
    """Stop every worker thread; objects still alive are closed. The next use starts the engine anew. Harmless twice."""

def take_log() -> list[tuple[int, str]]:
    """Warnings and errors of the engine's threads since the last call: (level of `logging`, message). At most 256 are kept
    in between; then comes how many more there were."""

def certificate_fingerprint() -> str:
    """`sha-256 AB:CD:…` of the certificate that all connections of this process share."""

@final
class EventPort:
    """The way from worker threads to one asyncio loop: a bounded queue behind one file descriptor.

    Add `fileno()` to the loop as a reader and call `drain` when it is readable. There is one wake-up per batch.
    An object whose events overflow its share (default 65,536 events) is failed with FAILED, never silently cut.
    With a `simulator`, the objects made with this port live in its world, on the host with this IP `address`
    (default 127.0.0.1), instead of on worker threads; calls on them are then made from one thread only.
    """
    def __new__(cls, *, simulator: Simulator | None = None, address: str | None = None) -> Self: ...
    def fileno(self) -> int: ...
    def drain(self, limit: int = 1024) -> list[tuple[int, int, Any]]:
        """Up to `limit` events, oldest first; the descriptor stays readable when more are left."""
    def close(self) -> None:
        """Free the descriptor (remove it from the loop first). Later events are dropped. Harmless twice."""

# ---- virtual time ----

@final
class Simulator:
    """A world of its own with its own time and network, for `greenroom.testing`. For use from one thread.

    The same `seed` gives the same network: what becomes of a datagram depends on the seed, its addresses and how
    many went the same way before it. `keep_trace` keeps lines for `take_trace`. Bad values raise EngineError.
    """
    def __new__(cls, *, seed: int, keep_trace: bool = False) -> Self: ...
    def now_ns(self) -> int:
        """Virtual nanoseconds since the beginning."""
    def run(self, limit_ns: int | None = None) -> bool:
        """Do what is due and move the clock on, until an event port of this simulator has something to read or
        `limit_ns` is reached (without: until nothing is left that could happen; False when that is so)."""
    def set_link(
        self,
        address: str,
        *,
        up: bool,
        delay_s: float,
        jitter_s: float,
        loss: float,
        duplicate: float,
        reorder: float,
        blackhole: bool,
        bitrate_bps: int,
        queue_s: float,
    ) -> None:
        """What the host's link does to what it sends (`up`) or receives. Probabilities are 0 to 1. At first: 5 ms. A bit rate of 0 is none."""
    def rebind(self, address: str) -> None:
        """The host's sockets are seen at other ports from now on; what is sent to the former ones is lost."""
    def record(self, text: str) -> None:
        """Add something to the trace."""
    def trace_hash(self) -> tuple[int, int]:
        """Of every event (kinds, addresses and times of datagrams, not their bytes), and how many there were."""
    def take_trace(self) -> list[str]:
        """The lines since the last call, at most 100,000. Empty without `keep_trace`."""
    def counts(self) -> dict[str, int]:
        """`endpoints`, `sockets`, `datagrams` on their way, `tick_callbacks` of audio sources."""
    def close(self) -> None:
        """Drop every endpoint. Nothing happens any more. Harmless twice."""

# ---- the client's peer connection ----

@final
class Peer:
    """One peer connection of a client, publisher or subscriber (RFC 8829 without the SDP: that is the caller's)."""
    def __new__(
        cls,
        port: EventPort,
        *,
        controlling: bool,
        payload_types: Sequence[_PayloadType],
        header_extensions_audio: Sequence[_HeaderExtension],
        header_extensions_video: Sequence[_HeaderExtension],
    ) -> Self: ...
    @property
    def handle(self) -> int: ...
    @property
    def ice_ufrag(self) -> str: ...
    @property
    def ice_pwd(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def gather(
        self,
        *,
        include_loopback: bool,
        transport_policy: str = "all",
        gather_continually: bool = False,
        share_sockets: bool = False,
    ) -> list[str]:
        """Bind a UDP socket per local address; the host candidates (UDP, TCP active) as `candidate:…` lines. EngineError when none could be bound.
        transport_policy: "all"; "nohost": no address of this machine is told; "relay": everything goes through TURN servers.
        gather_continually: addresses that this machine gets later are used (LOCAL_CANDIDATE), sockets of those it loses are closed.
        share_sockets: binding waits for the remote's first candidate over UDP, at most 2 s from `set_remote` on. Where no other peer of
        this worker thread reaches the remote's addresses, sockets are used that peers share. Only candidates for TCP are returned:
        LOCAL_CANDIDATE follows for the others, FAILED when no socket could be bound. Simulated peers bind at once. Not for TURN over UDP, which tells
        allocations apart by their addresses."""
    def add_ice_server(self, server: _IceServer) -> None:
        """Ask this server for an address (reflexive or relayed) from each local one; LOCAL_CANDIDATE follows. What came of it is in `stats`.
        One that is known already gets the new credentials if it had failed. At most 16 are used."""
    def set_remote(
        self,
        *,
        ice_ufrag: str,
        ice_pwd: str,
        fingerprint: str,
        dtls_active: bool,
        ice_lite: bool = False,
        max_message_size: int = 65535,
    ) -> None:
        """Give the remote's transport description; the first call starts ICE, DTLS (as client when `dtls_active`) and SCTP.
        A later one with other credentials is the remote's half of an ICE restart. `max_message_size` 0 means no limit."""
    def add_remote_candidate(self, candidate: str) -> None:
        """`candidate:…` with or without the `a=`. Kinds that can't be used (mDNS names, TCP other than passive) are ignored; EngineError if malformed."""
    def restart_ice(self) -> tuple[str, str]:
        """New local (ufrag, pwd) for the next offer or answer."""
    def open_channel(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> int:
        """Before `set_remote` or after. The channel's number; CHANNEL_OPEN follows."""
    def send(self, channel: int, data: bytes, *, hold: bool = False) -> bool:
        """Queue one binary message. False when a reliable channel's queue is full (256 KiB to 1 MiB by the path's rate): nothing was
        queued, CHANNEL_WRITABLE follows. On a lossy channel (256 KiB) the oldest messages that wait make room for it; they are counted
        in `dropped_messages`. `hold`: the worker need not know yet; call `flush` soon, so that several go together.
        EngineError when empty or larger than the remote's max_message_size (at most 65,536), or the channel is closed or unknown."""
    def flush(self) -> None:
        """Let messages go that were queued with `hold`. Harmless when there are none."""
    def buffered_amount(self, channel: int) -> int:
        """Bytes queued or not yet acknowledged."""
    def bulk_limit(self) -> int:
        """The `buffered_amount` from which on what is not urgent should wait: twice what the path carries in a round trip, 64 to 768 KiB."""
    def dropped_messages(self, channel: int) -> int:
        """Messages of a lossy channel (whole frames, of data tracks) that were given up for newer ones."""
    def push_data_frame(
        self,
        channel: int,
        track: DataTrackSender,
        payload: Buffer,
        *,
        timestamp: int,
        user_timestamp: int | None = None,
        encryption: tuple[int, bytes] | None = None,
    ) -> bool:
        """Send one frame of a data track in as many packets as it needs. When 256 KiB wait, the oldest frames make room for it.
        False when 16 frames wait: nothing of it is sent.
        `timestamp` counts at 90 kHz (uint32); `encryption` is (key index, IV of 12 bytes) when `payload` is ciphertext and tag.
        EngineError when the frame is larger than receivers put together (about 2 MB)."""
    def receive_data_tracks(self, label: str, receivers: dict[int, DataTrackReceiver]) -> None:
        """Messages of channels with this label are packets of data tracks, and give no CHANNEL_MESSAGE: each goes to the receiver of its handle,
        those of other handles are dropped. Call it before such a channel opens; a later call replaces all receivers."""
    def add_audio_sender(
        self,
        mid: str,
        source: AudioSource,
        *,
        ssrc: int,
        payload_type: int,
        bitrate_bps: int,
        stereo: bool = False,
        dtx: bool = True,
        fec: bool = True,
        cryptor: FrameCryptor | None = None,
    ) -> None:
        """Encode and send this source (Opus, 20 ms packets) from the moment the connection is up; encrypted end to end when there is a cryptor."""
    def add_video_sender(
        self,
        mid: str,
        source: VideoSource,
        *,
        codec: str,
        payload_type: int,
        layers: Sequence[_SendLayer],
        is_screencast: bool = False,
        cryptor: FrameCryptor | None = None,
    ) -> None:
        """Encode and send this source, vp8 or h264, encrypted end to end when there is a cryptor. Layers lowest first; more than one is simulcast by rid."""
    def set_sender_muted(self, mid: str, muted: bool) -> None:
        """A muted sender sends nothing; its source goes on being drained in real time. Unmuting video starts with a key frame."""
    def set_layer_active(self, mid: str, rid: str, active: bool) -> None:
        """The only layer of a track without simulcast has the empty rid."""
    def remove_sender(self, mid: str) -> None:
        """Does nothing for an unknown mid."""
    def add_receiver(self, mid: str, *, kind: str, ssrc: int, rtx_ssrc: int | None = None) -> Receiver:
        """Expect a stream; kind is "audio" or "video". A mid that has a receiver already gets the new one in its place (streams of the old one end)."""
    def remove_receiver(self, mid: str) -> None:
        """Ends its streams. Does nothing for an unknown mid."""
    def stats(self) -> dict[str, Any]:
        """transport: {ice_state, dtls_state, bytes_sent, bytes_received, packets_sent, packets_received, packets_discarded,
        round_trip_time_s, available_outgoing_bitrate_bps, local_candidate, remote_candidate, candidate_pairs_tried: [str],
        ice_servers_tried: [str] ("URL: what came of it")};
        senders: [{mid, rid, ssrc, codec, packets_sent, bytes_sent, frames_encoded, frames_dropped, key_frames_encoded, frame_width, frame_height,
        target_bitrate_bps, nack_count, pli_count, fir_count, round_trip_time_s, fraction_lost}];
        receivers: [{mid, ssrc, kind, codec, packets_received, bytes_received, packets_lost, jitter_s, nack_count, pli_count, frames_decoded,
        key_frames_decoded, frames_dropped, frame_width, frame_height, concealed_samples, total_samples, jitter_buffer_delay_s, audio_level}]."""
    def close(self) -> None:
        """Say goodbye (DTLS close_notify), free sockets and senders, end the receivers' streams. No event follows. Harmless twice."""

@final
class Receiver:
    """What arrives on one m-line. Decoding runs only while a stream is attached."""
    @property
    def handle(self) -> int: ...
    @property
    def mid(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def set_cryptor(self, cryptor: FrameCryptor | None) -> None:
        """Decrypt what arrives from now on; None takes it as it is. Streams attached afterwards get nothing from before."""

# ---- end-to-end encryption ----

@final
class KeyProvider:
    """The keys of a room. Material that goes in is derived into AES keys in the background (PBKDF2 takes about 20 ms); frames that
    come before that are skipped. It is wiped when the object goes, and shown nowhere but by `export_key`. `identity` None means the key of everybody."""
    def __new__(
        cls,
        *,
        shared: bool,
        ratchet_salt: bytes,
        ratchet_window_size: int,
        failure_tolerance: int | None,
        key_ring_size: int,
        derivation: str,
    ) -> Self:
        """`shared`: each participant's keys start as those of everybody. `derivation`: "pbkdf2" (100,000 iterations) or "hkdf".
        `failure_tolerance` None: a key is never given up. ValueError for a ring size outside 1..=256 or another derivation."""
    def set_key(self, identity: str | None, key: bytes, key_index: int) -> None:
        """Indices go round at the ring's size."""
    def export_key(self, identity: str | None, key_index: int) -> bytes | None:
        """The material, as set or ratcheted since; None when there is none."""
    def ratchet_key(self, identity: str | None, key_index: int) -> bytes | None:
        """Step forward; the new material, or None. Blocks for two derivations, without the GIL."""
    def finish_derivations(self) -> None:
        """Return when every key that was set is derived. Blocks, without the GIL."""
    def seal_data(self, identity: str, data: bytes) -> tuple[bytes, int, bytes]:
        """(IV, key index, ciphertext and tag), with the key that was set last for `identity`. EngineError when there is none."""
    def open_data(
        self, identity: str, iv: bytes, key_index: int, data: bytes, *, search: bool
    ) -> bytes | None:
        """What `identity` encrypted. EngineError when no key fits; None when one may that is not derived yet: call again with `search`,
        on another thread, since that takes up to a second."""

@final
class FrameCryptor:
    """Encrypts or decrypts the frames of one track of `identity`. Reports ENCRYPTION_STATE."""
    def __new__(cls, port: EventPort, keys: KeyProvider, identity: str, *, server_trailer: bytes) -> Self:
        """`server_trailer`: the end of frames that the server puts in itself; only its known blank frames pass. Empty: there are none."""
    @property
    def handle(self) -> int: ...
    @property
    def enabled(self) -> bool:
        """True at first."""
    def set_enabled(self, enabled: bool) -> None:
        """Switched off, frames pass as they are; those that look encrypted are still not decoded."""
    @property
    def key_index(self) -> int:
        """Of the key to encrypt with; 0 at first."""
    def set_key_index(self, key_index: int) -> None: ...
    @property
    def state(self) -> int: ...

# ---- data tracks ----

@final
class DataTrackSender:
    """Numbers the packets of one published data track."""
    def __new__(cls, handle: int) -> Self:
        """The publisher's number of the track, 1 to 65535."""

@final
class DataTrackReceiver:
    """Puts the frames of one remote data track together, for all its streams."""
    def __new__(cls) -> Self: ...
    def set_max_partial_frames(self, count: int) -> None:
        """Frames whose packets may mingle; 1 at first. A newer frame takes the place of the oldest unfinished one."""
    @property
    def dropped_frames(self) -> int:
        """Frames that were begun and not completed."""
    def reset(self) -> None:
        """The packets that follow are numbered anew."""
    def end(self) -> None:
        """Nothing more comes: its streams end."""

@final
class DataTrackStream:
    """The frames of a receiver for one reader. STREAM_READY and STREAM_ENDED are told as for media streams."""
    def __new__(cls, port: EventPort, receiver: DataTrackReceiver, *, capacity_frames: int) -> Self:
        """A full ring drops its oldest frame and counts it."""
    @property
    def handle(self) -> int: ...
    def pop(self) -> tuple[bytes, int | None, tuple[int, bytes] | None] | None:
        """(payload, user timestamp, (key index, IV) of an encrypted frame), or None when nothing is queued."""
    @property
    def dropped_frames(self) -> int: ...
    def close(self) -> None:
        """Harmless twice. No event follows."""

# ---- audio ----

@final
class AudioSource:
    """PCM into the engine; drained in real time every 10 ms, from creation to `close`, whoever listens."""
    def __new__(cls, port: EventPort, sample_rate_hz: int, num_channels: int, queue_size_ms: int) -> Self:
        """8,000..=192,000 Hz, 1 or 2 channels; queue_size_ms a multiple of 10 (0: only whole 10 ms frames, forwarded at once). ValueError otherwise."""
    @property
    def handle(self) -> int: ...
    def push(self, data: Buffer) -> int:
        """Interleaved native-endian int16. 0: complete now. Otherwise a ticket: CAPTURED comes with it when the queue is back under `queue_size_ms`.
        EngineError when an earlier ticket is open, when the bytes are no whole samples, or (queue_size_ms 0) not 10 ms. Closed: 0."""
    def queued_samples(self) -> int:
        """Per channel."""
    def clear(self) -> None:
        """Drop what is queued; open tickets complete."""
    def close(self) -> None: ...

@final
class AudioStream:
    """Decoded PCM of a receiver, or a local source's, in the format asked for."""
    def __new__(
        cls,
        port: EventPort,
        origin: Receiver | AudioSource,
        *,
        sample_rate_hz: int,
        num_channels: int,
        frame_size_ms: int = 10,
        capacity_frames: int,
    ) -> Self:
        """capacity_frames ≥ 1: a full ring drops its oldest frame and counts it."""
    @property
    def handle(self) -> int: ...
    def pop(self) -> tuple[bytearray, int] | None:
        """(interleaved int16, samples per channel), or None when nothing is queued."""
    @property
    def dropped_frames(self) -> int: ...
    def close(self) -> None: ...

@final
class AudioResampler:
    """Streaming rate and channel conversion."""
    def __new__(
        cls, input_rate_hz: int, output_rate_hz: int, num_channels: int, quality: str = "medium"
    ) -> Self: ...
    def push(self, data: Buffer) -> bytearray: ...
    def flush(self) -> bytearray: ...

# ---- video; buffer types are numbered as livekit.rtc.VideoBufferType:
# RGBA 0, ABGR 1, ARGB 2, BGRA 3, RGB24 4, I420 5, I420A 6, I422 7, I444 8, I010 9, NV12 10 ----

@final
class VideoSource:
    def __new__(cls, width: int, height: int, *, is_screencast: bool = False) -> Self: ...
    @property
    def handle(self) -> int: ...
    def push(
        self,
        data: Buffer,
        width: int,
        height: int,
        buffer_type: int,
        timestamp_us: int,
        rotation_degrees: int,
    ) -> None:
        """Copy and convert once (I420, rotation applied), without the GIL; never blocks: an encoder that is behind takes the latest frame.
        EngineError when the buffer is too small for its type and size. Closed: does nothing."""
    def close(self) -> None: ...

@final
class VideoStream:
    def __new__(
        cls,
        port: EventPort,
        origin: Receiver | VideoSource,
        *,
        buffer_type: int | None = None,
        capacity_frames: int,
    ) -> Self:
        """buffer_type None: as decoded (I420). A full ring drops its oldest frame and counts it."""
    @property
    def handle(self) -> int: ...
    def pop(self) -> tuple[bytearray, int, int, int, int, int] | None:
        """(data, width, height, buffer_type, timestamp_us, rotation_degrees), or None."""
    @property
    def dropped_frames(self) -> int: ...
    def close(self) -> None: ...

def convert_video(
    data: Buffer, width: int, height: int, from_type: int, to_type: int, *, flip_y: bool = False
) -> bytearray:
    """Between any two buffer types (SIMD, no GIL; BT.601 limited range). EngineError when the buffer is too small or a size is 0."""

def video_buffer_size(width: int, height: int, buffer_type: int) -> int: ...

# ---- the server's forwarding unit ----

@final
class Sfu:
    """Sockets and forwarding of one server."""
    def __new__(
        cls,
        port: EventPort,
        *,
        bind_addresses: Sequence[str],
        udp_port: int = 0,
        tcp_port: int | None = ...,
        advertised_addresses: Sequence[str] = ...,
        shards: int = 0,
    ) -> Self:
        """One UDP socket per address, all on one port (0: any free one); ICE-TCP likewise (None: off).
        `shards`: how many forwarding units share them, each on a worker thread (0: one per worker thread; in a simulator always one).
        `advertised_addresses`: put into the candidates instead of the bound ones. EngineError names address and port that can't be bound."""
    @property
    def udp_port(self) -> int: ...
    @property
    def tcp_port(self) -> int | None: ...
    @property
    def candidates(self) -> list[str]:
        """`candidate:…` lines, the same for each transport, without the ufrag."""
    @property
    def shards(self) -> int: ...
    def place_room(self) -> int:
        """The shard for a new room: the least used that runs. All transports of a room must be on one shard."""
    def create_transport(
        self, *, controlling: bool = False, payload_types: Sequence[_PayloadType] = ..., shard: int = 0
    ) -> SfuTransport: ...
    def stats(self) -> dict[str, int]:
        """Counters, of all shards together: datagrams_handed_over from the shard that reads the sockets to others, datagrams_not_handed_over (too many
        waited), packets_received, packets_sent, bytes_received, bytes_sent, packets_dropped_malformed, packets_dropped_unknown, packets_dropped_stun
        (not authentic), packets_dropped_dtls, packets_dropped_unauthenticated, packets_dropped_replayed, transports_failed, tcp_connections_accepted,
        tcp_connections_refused, tcp_connections_aborted (these three of the whole process), nacks_received, nacks_sent, plis_received, plis_sent, messages_displaced (of lossy channels, by newer ones), data_track_packets_sent, data_track_packets_dropped, transports, up_tracks, down_tracks, send_errors."""
    def close(self) -> None: ...

@final
class SfuTransport:
    """One peer connection of a participant, as the server sees it."""
    @property
    def handle(self) -> int: ...
    @property
    def ice_ufrag(self) -> str: ...
    @property
    def ice_pwd(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def set_remote(
        self,
        *,
        ice_ufrag: str,
        ice_pwd: str,
        fingerprint: str,
        dtls_active: bool,
        ice_lite: bool = False,
        max_message_size: int = 65535,
    ) -> None: ...
    def add_remote_candidate(self, candidate: str) -> None: ...
    def restart_ice(self) -> tuple[str, str]: ...
    def open_channel(
        self, label: str, *, ordered: bool = True, max_retransmits: int | None = None
    ) -> int: ...
    def send(self, channel: int, data: bytes) -> bool:
        """Queue one message. False when 512 KiB wait on a reliable channel beside what SCTP has; CHANNEL_WRITABLE follows. On a lossy channel
        the oldest messages that wait make room, counted in `Sfu.stats`. EngineError for an unknown channel or a message that the peer does not take."""
    def buffered_amount(self, channel: int) -> int:
        """Bytes queued or not yet acknowledged."""
    def release(self, messages: int, bytes: int) -> None:
        """The owner is done with so many messages of CHANNEL_MESSAGE, of so many bytes together: they leave room in the receive window (1 MiB;
        each message counts 64 bytes more). Whoever never releases stops the peer. Call it once for many messages."""
    def limit_receive_window(self, bytes: int) -> None:
        """Offer the peer to send this much at most, on all channels together, whatever there is room for (at first the whole window). 0 stops it
        a round trip later: what it was offered before still comes."""
    def set_data_track_channel(self, channel: int) -> None:
        """Messages of this channel are packets of data tracks: they give no CHANNEL_MESSAGE, and those for this transport go out on it."""
    def subscribe_data_track(self, published_handle: int, subscriber: SfuTransport, *, handle: int) -> None:
        """Forward the data track that comes with `published_handle` to `subscriber`, as `handle` (1 to 65535). A subscriber that is behind
        loses whole frames. Calling it again changes the handle."""
    def unsubscribe_data_track(self, published_handle: int, subscriber: SfuTransport) -> None:
        """Does nothing for a subscription that does not exist, or on a closed transport."""
    def add_up_track(
        self,
        mid: str,
        *,
        kind: str,
        payload_types: Sequence[_PayloadType],
        header_extensions: Sequence[_HeaderExtension],
        layers: Sequence[_ReceiveLayer],
        rids: Sequence[str] = ...,
    ) -> UpTrack:
        """Receive what the participant publishes on this m-line. `layers` are those whose SSRC the offer names (ssrc lines, FID groups);
        `rids`, lowest layer first, are bound to SSRCs by the mid and rid header extensions. With neither, the SSRC is bound by mid extension
        or, failing that, by payload type when only one m-line can be meant. Calling it again for a mid updates parameters and keeps the track."""
    def add_down_track(
        self,
        mid: str,
        up_track: UpTrack,
        *,
        ssrc: int,
        rtx_ssrc: int | None,
        payload_types: Sequence[_PayloadType],
        header_extensions: Sequence[_HeaderExtension],
        frame_trailer: bytes = ...,
        playout_delay: tuple[int, int, bool] | None = ...,
    ) -> DownTrack:
        """Forward `up_track` (of any transport of the same Sfu) to this one, with the payload types the subscriber answered.
        `frame_trailer` ends the frames of silence that the server makes itself, in an encrypted track. `playout_delay`: the least
        and the greatest (0 with a least one: 10 s) that the subscriber of video is asked for, in ms, and whether it follows jitter in between."""
    def stats(self) -> dict[str, Any]:
        """{ice_state, round_trip_time_s, bytes_sent, bytes_received, packets_sent, packets_received, selected_pair, available_bitrate_bps}.
        The last is what its video may take; None while nothing is known to be scarce."""
    def set_bandwidth_policy(self, *, congestion_control: bool, allow_pause: bool) -> None:
        """Whether video follows what the peer can receive (at first: yes), and whether tracks may be paused when not even their lowest layers
        fit (at first: no, they are sent all the same)."""
    def set_bandwidth_limit(self, limit_bps: int | None) -> None:
        """What the transport's video may take, in place of an estimate; None: as estimated. For simulations and tests."""
    def close(self) -> None: ...

@final
class UpTrack:
    @property
    def handle(self) -> int: ...
    @property
    def audio_level(self) -> tuple[float, bool]:
        """(linear level 0..1, is speaking) from RFC 6464 levels, smoothed as livekit-server does."""
    def set_muted(self, muted: bool) -> None:
        """The publisher muted: down tracks close what they are sending (silence for audio)."""
    def expect_layers(self, max_spatial: int) -> None:
        """The publisher was told to send the layers up to this one: one that had stopped is back with its first packet."""
    def request_key_frame(self) -> None:
        """PLI to the publisher, throttled per layer. Nothing for audio."""
    def stats(self) -> dict[str, Any]:
        """{codec, layers: [{rid, ssrc, packets, bytes, packets_lost, jitter_s, width, height}]}"""
    def close(self) -> None:
        """Also closes its down tracks."""

@final
class DownTrack:
    @property
    def handle(self) -> int: ...
    def set_enabled(self, enabled: bool) -> None: ...
    def set_max_layer(self, spatial: int, temporal: int) -> None:
        """0..=2 and 0..=3; the best present layer not above is forwarded."""
    def set_priority(self, priority: int) -> None:
        """0..=255, at first 1: who is served first when bandwidth is scarce. A track of priority 255 with one layer only is never paused."""
    def stats(self) -> dict[str, Any]:
        """{packets_sent, bytes_sent, retransmitted, plis, spatial_layer, fraction_lost}"""
    def close(self) -> None:
        """Stops at once; the mid can be used again."""
