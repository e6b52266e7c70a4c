from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from ._enum import EnumType as _EnumType

DESCRIPTOR: FileDescriptor

class DataChannelState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    DC_CONNECTING: Final = 0
    DC_OPEN: Final = 1
    DC_CLOSING: Final = 2
    DC_CLOSED: Final = 3
DC_CONNECTING: Final = 0
DC_OPEN: Final = 1
DC_CLOSING: Final = 2
DC_CLOSED: Final = 3

class QualityLimitationReason(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    LIMITATION_NONE: Final = 0
    LIMITATION_CPU: Final = 1
    LIMITATION_BANDWIDTH: Final = 2
    LIMITATION_OTHER: Final = 3
LIMITATION_NONE: Final = 0
LIMITATION_CPU: Final = 1
LIMITATION_BANDWIDTH: Final = 2
LIMITATION_OTHER: Final = 3

class IceRole(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    ICE_UNKNOWN: Final = 0
    ICE_CONTROLLING: Final = 1
    ICE_CONTROLLED: Final = 2
ICE_UNKNOWN: Final = 0
ICE_CONTROLLING: Final = 1
ICE_CONTROLLED: Final = 2

class DtlsTransportState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    DTLS_TRANSPORT_NEW: Final = 0
    DTLS_TRANSPORT_CONNECTING: Final = 1
    DTLS_TRANSPORT_CONNECTED: Final = 2
    DTLS_TRANSPORT_CLOSED: Final = 3
    DTLS_TRANSPORT_FAILED: Final = 4
DTLS_TRANSPORT_NEW: Final = 0
DTLS_TRANSPORT_CONNECTING: Final = 1
DTLS_TRANSPORT_CONNECTED: Final = 2
DTLS_TRANSPORT_CLOSED: Final = 3
DTLS_TRANSPORT_FAILED: Final = 4

class IceTransportState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    ICE_TRANSPORT_NEW: Final = 0
    ICE_TRANSPORT_CHECKING: Final = 1
    ICE_TRANSPORT_CONNECTED: Final = 2
    ICE_TRANSPORT_COMPLETED: Final = 3
    ICE_TRANSPORT_DISCONNECTED: Final = 4
    ICE_TRANSPORT_FAILED: Final = 5
    ICE_TRANSPORT_CLOSED: Final = 6
ICE_TRANSPORT_NEW: Final = 0
ICE_TRANSPORT_CHECKING: Final = 1
ICE_TRANSPORT_CONNECTED: Final = 2
ICE_TRANSPORT_COMPLETED: Final = 3
ICE_TRANSPORT_DISCONNECTED: Final = 4
ICE_TRANSPORT_FAILED: Final = 5
ICE_TRANSPORT_CLOSED: Final = 6

class DtlsRole(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    DTLS_CLIENT: Final = 0
    DTLS_SERVER: Final = 1
    DTLS_UNKNOWN: Final = 2
DTLS_CLIENT: Final = 0
DTLS_SERVER: Final = 1
DTLS_UNKNOWN: Final = 2

class IceCandidatePairState(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    PAIR_FROZEN: Final = 0
    PAIR_WAITING: Final = 1
    PAIR_IN_PROGRESS: Final = 2
    PAIR_FAILED: Final = 3
    PAIR_SUCCEEDED: Final = 4
PAIR_FROZEN: Final = 0
PAIR_WAITING: Final = 1
PAIR_IN_PROGRESS: Final = 2
PAIR_FAILED: Final = 3
PAIR_SUCCEEDED: Final = 4

class IceCandidateType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    HOST: Final = 0
    SRFLX: Final = 1
    PRFLX: Final = 2
    RELAY: Final = 3
HOST: Final = 0
SRFLX: Final = 1
PRFLX: Final = 2
RELAY: Final = 3

class IceServerTransportProtocol(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    TRANSPORT_UDP: Final = 0
    TRANSPORT_TCP: Final = 1
    TRANSPORT_TLS: Final = 2
TRANSPORT_UDP: Final = 0
TRANSPORT_TCP: Final = 1
TRANSPORT_TLS: Final = 2

class IceTcpCandidateType(int, metaclass=_EnumType):
    ValueType: TypeAlias = int
    CANDIDATE_ACTIVE: Final = 0
    CANDIDATE_PASSIVE: Final = 1
    CANDIDATE_SO: Final = 2
CANDIDATE_ACTIVE: Final = 0
CANDIDATE_PASSIVE: Final = 1
CANDIDATE_SO: Final = 2

class RtcStats(Message):
    class Codec(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def codec(self) -> CodecStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, codec: CodecStats | None = None) -> None: ...

    class InboundRtp(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def stream(self) -> RtpStreamStats: ...
        @property
        def received(self) -> ReceivedRtpStreamStats: ...
        @property
        def inbound(self) -> InboundRtpStreamStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, stream: RtpStreamStats | None = None, received: ReceivedRtpStreamStats | None = None, inbound: InboundRtpStreamStats | None = None) -> None: ...

    class OutboundRtp(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def stream(self) -> RtpStreamStats: ...
        @property
        def sent(self) -> SentRtpStreamStats: ...
        @property
        def outbound(self) -> OutboundRtpStreamStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, stream: RtpStreamStats | None = None, sent: SentRtpStreamStats | None = None, outbound: OutboundRtpStreamStats | None = None) -> None: ...

    class RemoteInboundRtp(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def stream(self) -> RtpStreamStats: ...
        @property
        def received(self) -> ReceivedRtpStreamStats: ...
        @property
        def remote_inbound(self) -> RemoteInboundRtpStreamStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, stream: RtpStreamStats | None = None, received: ReceivedRtpStreamStats | None = None, remote_inbound: RemoteInboundRtpStreamStats | None = None) -> None: ...

    class RemoteOutboundRtp(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def stream(self) -> RtpStreamStats: ...
        @property
        def sent(self) -> SentRtpStreamStats: ...
        @property
        def remote_outbound(self) -> RemoteOutboundRtpStreamStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, stream: RtpStreamStats | None = None, sent: SentRtpStreamStats | None = None, remote_outbound: RemoteOutboundRtpStreamStats | None = None) -> None: ...

    class MediaSource(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def source(self) -> MediaSourceStats: ...
        @property
        def audio(self) -> AudioSourceStats: ...
        @property
        def video(self) -> VideoSourceStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, source: MediaSourceStats | None = None, audio: AudioSourceStats | None = None, video: VideoSourceStats | None = None) -> None: ...

    class MediaPlayout(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def audio_playout(self) -> AudioPlayoutStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, audio_playout: AudioPlayoutStats | None = None) -> None: ...

    class PeerConnection(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def pc(self) -> PeerConnectionStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, pc: PeerConnectionStats | None = None) -> None: ...

    class DataChannel(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def dc(self) -> DataChannelStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, dc: DataChannelStats | None = None) -> None: ...

    class Transport(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def transport(self) -> TransportStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, transport: TransportStats | None = None) -> None: ...

    class CandidatePair(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def candidate_pair(self) -> CandidatePairStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, candidate_pair: CandidatePairStats | None = None) -> None: ...

    class LocalCandidate(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def candidate(self) -> IceCandidateStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, candidate: IceCandidateStats | None = None) -> None: ...

    class RemoteCandidate(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def candidate(self) -> IceCandidateStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, candidate: IceCandidateStats | None = None) -> None: ...

    class Certificate(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def certificate(self) -> CertificateStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, certificate: CertificateStats | None = None) -> None: ...

    class Stream(Message):
        @property
        def rtc(self) -> RtcStatsData: ...
        @property
        def stream(self) -> StreamStats: ...
        def __init__(self, *, rtc: RtcStatsData | None = None, stream: StreamStats | None = None) -> None: ...

    class Track(Message):
        def __init__(self) -> None: ...

    @property
    def codec(self) -> RtcStats.Codec: ...
    @property
    def inbound_rtp(self) -> RtcStats.InboundRtp: ...
    @property
    def outbound_rtp(self) -> RtcStats.OutboundRtp: ...
    @property
    def remote_inbound_rtp(self) -> RtcStats.RemoteInboundRtp: ...
    @property
    def remote_outbound_rtp(self) -> RtcStats.RemoteOutboundRtp: ...
    @property
    def media_source(self) -> RtcStats.MediaSource: ...
    @property
    def media_playout(self) -> RtcStats.MediaPlayout: ...
    @property
    def peer_connection(self) -> RtcStats.PeerConnection: ...
    @property
    def data_channel(self) -> RtcStats.DataChannel: ...
    @property
    def transport(self) -> RtcStats.Transport: ...
    @property
    def candidate_pair(self) -> RtcStats.CandidatePair: ...
    @property
    def local_candidate(self) -> RtcStats.LocalCandidate: ...
    @property
    def remote_candidate(self) -> RtcStats.RemoteCandidate: ...
    @property
    def certificate(self) -> RtcStats.Certificate: ...
    @property
    def stream(self) -> RtcStats.Stream: ...
    @property
    def track(self) -> RtcStats.Track: ...
    def __init__(self, *, codec: RtcStats.Codec | None = None, inbound_rtp: RtcStats.InboundRtp | None = None, outbound_rtp: RtcStats.OutboundRtp | None = None, remote_inbound_rtp: RtcStats.RemoteInboundRtp | None = None, remote_outbound_rtp: RtcStats.RemoteOutboundRtp | None = None, media_source: RtcStats.MediaSource | None = None, media_playout: RtcStats.MediaPlayout | None = None, peer_connection: RtcStats.PeerConnection | None = None, data_channel: RtcStats.DataChannel | None = None, transport: RtcStats.Transport | None = None, candidate_pair: RtcStats.CandidatePair | None = None, local_candidate: RtcStats.LocalCandidate | None = None, remote_candidate: RtcStats.RemoteCandidate | None = None, certificate: RtcStats.Certificate | None = None, stream: RtcStats.Stream | None = None, track: RtcStats.Track | None = None) -> None: ...

class RtcStatsData(Message):
    id: str
    timestamp: int
    def __init__(self, *, id: str | None = None, timestamp: int | None = None) -> None: ...

class CodecStats(Message):
    payload_type: int
    transport_id: str
    mime_type: str
    clock_rate: int
    channels: int
    sdp_fmtp_line: str
    def __init__(self, *, payload_type: int | None = None, transport_id: str | None = None, mime_type: str | None = None, clock_rate: int | None = None, channels: int | None = None, sdp_fmtp_line: str | None = None) -> None: ...

class RtpStreamStats(Message):
    ssrc: int
    kind: str
    transport_id: str
    codec_id: str
    def __init__(self, *, ssrc: int | None = None, kind: str | None = None, transport_id: str | None = None, codec_id: str | None = None) -> None: ...

class ReceivedRtpStreamStats(Message):
    packets_received: int
    packets_lost: int
    jitter: float
    def __init__(self, *, packets_received: int | None = None, packets_lost: int | None = None, jitter: float | None = None) -> None: ...

class InboundRtpStreamStats(Message):
    track_identifier: str
    mid: str
    remote_id: str
    frames_decoded: int
    key_frames_decoded: int
    frames_rendered: int
    frames_dropped: int
    frame_width: int
    frame_height: int
    frames_per_second: float
    qp_sum: int
    total_decode_time: float
    total_inter_frame_delay: float
    total_squared_inter_frame_delay: float
    pause_count: int
    total_pause_duration: float
    freeze_count: int
    total_freeze_duration: float
    last_packet_received_timestamp: float
    header_bytes_received: int
    packets_discarded: int
    fec_bytes_received: int
    fec_packets_received: int
    fec_packets_discarded: int
    bytes_received: int
    nack_count: int
    fir_count: int
    pli_count: int
    total_processing_delay: float
    estimated_playout_timestamp: float
    jitter_buffer_delay: float
    jitter_buffer_target_delay: float
    jitter_buffer_emitted_count: int
    jitter_buffer_minimum_delay: float
    total_samples_received: int
    concealed_samples: int
    silent_concealed_samples: int
    concealment_events: int
    inserted_samples_for_deceleration: int
    removed_samples_for_acceleration: int
    audio_level: float
    total_audio_energy: float
    total_samples_duration: float
    frames_received: int
    decoder_implementation: str
    playout_id: str
    power_efficient_decoder: bool
    frames_assembled_from_multiple_packets: int
    total_assembly_time: float
    retransmitted_packets_received: int
    retransmitted_bytes_received: int
    rtx_ssrc: int
    fec_ssrc: int
    def __init__(self, *, track_identifier: str | None = None, mid: str | None = None, remote_id: str | None = None, frames_decoded: int | None = None, key_frames_decoded: int | None = None, frames_rendered: int | None = None, frames_dropped: int | None = None, frame_width: int | None = None, frame_height: int | None = None, frames_per_second: float | None = None, qp_sum: int | None = None, total_decode_time: float | None = None, total_inter_frame_delay: float | None = None, total_squared_inter_frame_delay: float | None = None, pause_count: int | None = None, total_pause_duration: float | None = None, freeze_count: int | None = None, total_freeze_duration: float | None = None, last_packet_received_timestamp: float | None = None, header_bytes_received: int | None = None, packets_discarded: int | None = None, fec_bytes_received: int | None = None, fec_packets_received: int | None = None, fec_packets_discarded: int | None = None, bytes_received: int | None = None, nack_count: int | None = None, fir_count: int | None = None, pli_count: int | None = None, total_processing_delay: float | None = None, estimated_playout_timestamp: float | None = None, jitter_buffer_delay: float | None = None, jitter_buffer_target_delay: float | None = None, jitter_buffer_emitted_count: int | None = None, jitter_buffer_minimum_delay: float | None = None, total_samples_received: int | None = None, concealed_samples: int | None = None, silent_concealed_samples: int | None = None, concealment_events: int | None = None, inserted_samples_for_deceleration: int | None = None, removed_samples_for_acceleration: int | None = None, audio_level: float | None = None, total_audio_energy: float | None = None, total_samples_duration: float | None = None, frames_received: int | None = None, decoder_implementation: str | None = None, playout_id: str | None = None, power_efficient_decoder: bool | None = None, frames_assembled_from_multiple_packets: int | None = None, total_assembly_time: float | None = None, retransmitted_packets_received: int | None = None, retransmitted_bytes_received: int | None = None, rtx_ssrc: int | None = None, fec_ssrc: int | None = None) -> None: ...

class SentRtpStreamStats(Message):
    packets_sent: int
    bytes_sent: int
    def __init__(self, *, packets_sent: int | None = None, bytes_sent: int | None = None) -> None: ...

class OutboundRtpStreamStats(Message):
    mid: str
    media_source_id: str
    remote_id: str
    rid: str
    header_bytes_sent: int
    retransmitted_packets_sent: int
    retransmitted_bytes_sent: int
    rtx_ssrc: int
    target_bitrate: float
    total_encoded_bytes_target: int
    frame_width: int
    frame_height: int
    frames_per_second: float
    frames_sent: int
    huge_frames_sent: int
    frames_encoded: int
    key_frames_encoded: int
    qp_sum: int
    total_encode_time: float
    total_packet_send_delay: float
    quality_limitation_reason: QualityLimitationReason.ValueType
    @property
    def quality_limitation_durations(self) -> MutableMapping[str, str]: ...
    quality_limitation_resolution_changes: int
    nack_count: int
    fir_count: int
    pli_count: int
    encoder_implementation: str
    power_efficient_encoder: bool
    active: bool
    scalability_mode: str
    def __init__(self, *, mid: str | None = None, media_source_id: str | None = None, remote_id: str | None = None, rid: str | None = None, header_bytes_sent: int | None = None, retransmitted_packets_sent: int | None = None, retransmitted_bytes_sent: int | None = None, rtx_ssrc: int | None = None, target_bitrate: float | None = None, total_encoded_bytes_target: int | None = None, frame_width: int | None = None, frame_height: int | None = None, frames_per_second: float | None = None, frames_sent: int | None = None, huge_frames_sent: int | None = None, frames_encoded: int | None = None, key_frames_encoded: int | None = None, qp_sum: int | None = None, total_encode_time: float | None = None, total_packet_send_delay: float | None = None, quality_limitation_reason: QualityLimitationReason.ValueType | None = None, quality_limitation_durations: Mapping[str, str] | None = None, quality_limitation_resolution_changes: int | None = None, nack_count: int | None = None, fir_count: int | None = None, pli_count: int | None = None, encoder_implementation: str | None = None, power_efficient_encoder: bool | None = None, active: bool | None = None, scalability_mode: str | None = None) -> None: ...

class RemoteInboundRtpStreamStats(Message):
    local_id: str
    round_trip_time: float
    total_round_trip_time: float
    fraction_lost: float
    round_trip_time_measurements: int
    def __init__(self, *, local_id: str | None = None, round_trip_time: float | None = None, total_round_trip_time: float | None = None, fraction_lost: float | None = None, round_trip_time_measurements: int | None = None) -> None: ...

class RemoteOutboundRtpStreamStats(Message):
    local_id: str
    remote_timestamp: float
    reports_sent: int
    round_trip_time: float
    total_round_trip_time: float
    round_trip_time_measurements: int
    def __init__(self, *, local_id: str | None = None, remote_timestamp: float | None = None, reports_sent: int | None = None, round_trip_time: float | None = None, total_round_trip_time: float | None = None, round_trip_time_measurements: int | None = None) -> None: ...

class MediaSourceStats(Message):
    track_identifier: str
    kind: str
    def __init__(self, *, track_identifier: str | None = None, kind: str | None = None) -> None: ...

class AudioSourceStats(Message):
    audio_level: float
    total_audio_energy: float
    total_samples_duration: float
    echo_return_loss: float
    echo_return_loss_enhancement: float
    dropped_samples_duration: float
    dropped_samples_events: int
    total_capture_delay: float
    total_samples_captured: int
    def __init__(self, *, audio_level: float | None = None, total_audio_energy: float | None = None, total_samples_duration: float | None = None, echo_return_loss: float | None = None, echo_return_loss_enhancement: float | None = None, dropped_samples_duration: float | None = None, dropped_samples_events: int | None = None, total_capture_delay: float | None = None, total_samples_captured: int | None = None) -> None: ...

class VideoSourceStats(Message):
    width: int
    height: int
    frames: int
    frames_per_second: float
    def __init__(self, *, width: int | None = None, height: int | None = None, frames: int | None = None, frames_per_second: float | None = None) -> None: ...

class AudioPlayoutStats(Message):
    kind: str
    synthesized_samples_duration: float
    synthesized_samples_events: int
    total_samples_duration: float
    total_playout_delay: float
    total_samples_count: int
    def __init__(self, *, kind: str | None = None, synthesized_samples_duration: float | None = None, synthesized_samples_events: int | None = None, total_samples_duration: float | None = None, total_playout_delay: float | None = None, total_samples_count: int | None = None) -> None: ...

class PeerConnectionStats(Message):
    data_channels_opened: int
    data_channels_closed: int
    def __init__(self, *, data_channels_opened: int | None = None, data_channels_closed: int | None = None) -> None: ...

class DataChannelStats(Message):
    label: str
    protocol: str
    data_channel_identifier: int
    state: DataChannelState.ValueType
    messages_sent: int
    bytes_sent: int
    messages_received: int
    bytes_received: int
    def __init__(self, *, label: str | None = None, protocol: str | None = None, data_channel_identifier: int | None = None, state: DataChannelState.ValueType | None = None, messages_sent: int | None = None, bytes_sent: int | None = None, messages_received: int | None = None, bytes_received: int | None = None) -> None: ...

class TransportStats(Message):
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    ice_role: IceRole.ValueType
    ice_local_username_fragment: str
    dtls_state: DtlsTransportState.ValueType
    ice_state: IceTransportState.ValueType
    selected_candidate_pair_id: str
    local_certificate_id: str
    remote_certificate_id: str
    tls_version: str
    dtls_cipher: str
    dtls_role: DtlsRole.ValueType
    srtp_cipher: str
    selected_candidate_pair_changes: int
    def __init__(self, *, packets_sent: int | None = None, packets_received: int | None = None, bytes_sent: int | None = None, bytes_received: int | None = None, ice_role: IceRole.ValueType | None = None, ice_local_username_fragment: str | None = None, dtls_state: DtlsTransportState.ValueType | None = None, ice_state: IceTransportState.ValueType | None = None, selected_candidate_pair_id: str | None = None, local_certificate_id: str | None = None, remote_certificate_id: str | None = None, tls_version: str | None = None, dtls_cipher: str | None = None, dtls_role: DtlsRole.ValueType | None = None, srtp_cipher: str | None = None, selected_candidate_pair_changes: int | None = None) -> None: ...

class CandidatePairStats(Message):
    transport_id: str
    local_candidate_id: str
    remote_candidate_id: str
    state: IceCandidatePairState.ValueType
    nominated: bool
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    last_packet_sent_timestamp: float
    last_packet_received_timestamp: float
    total_round_trip_time: float
    current_round_trip_time: float
    available_outgoing_bitrate: float
    available_incoming_bitrate: float
    requests_received: int
    requests_sent: int
    responses_received: int
    responses_sent: int
    consent_requests_sent: int
    packets_discarded_on_send: int
    bytes_discarded_on_send: int
    def __init__(self, *, transport_id: str | None = None, local_candidate_id: str | None = None, remote_candidate_id: str | None = None, state: IceCandidatePairState.ValueType | None = None, nominated: bool | None = None, packets_sent: int | None = None, packets_received: int | None = None, bytes_sent: int | None = None, bytes_received: int | None = None, last_packet_sent_timestamp: float | None = None, last_packet_received_timestamp: float | None = None, total_round_trip_time: float | None = None, current_round_trip_time: float | None = None, available_outgoing_bitrate: float | None = None, available_incoming_bitrate: float | None = None, requests_received: int | None = None, requests_sent: int | None = None, responses_received: int | None = None, responses_sent: int | None = None, consent_requests_sent: int | None = None, packets_discarded_on_send: int | None = None, bytes_discarded_on_send: int | None = None) -> None: ...

class IceCandidateStats(Message):
    transport_id: str
    address: str
    port: int
    protocol: str
    candidate_type: IceCandidateType.ValueType
    priority: int
    url: str
    relay_protocol: IceServerTransportProtocol.ValueType
    foundation: str
    related_address: str
    related_port: int
    username_fragment: str
    tcp_type: IceTcpCandidateType.ValueType
    def __init__(self, *, transport_id: str | None = None, address: str | None = None, port: int | None = None, protocol: str | None = None, candidate_type: IceCandidateType.ValueType | None = None, priority: int | None = None, url: str | None = None, relay_protocol: IceServerTransportProtocol.ValueType | None = None, foundation: str | None = None, related_address: str | None = None, related_port: int | None = None, username_fragment: str | None = None, tcp_type: IceTcpCandidateType.ValueType | None = None) -> None: ...

class CertificateStats(Message):
    fingerprint: str
    fingerprint_algorithm: str
    base64_certificate: str
    issuer_certificate_id: str
    def __init__(self, *, fingerprint: str | None = None, fingerprint_algorithm: str | None = None, base64_certificate: str | None = None, issuer_certificate_id: str | None = None) -> None: ...

class StreamStats(Message):
    id: str
    stream_identifier: str
    def __init__(self, *, id: str | None = None, stream_identifier: str | None = None) -> None: ...
