"""Statistics."""

from ._build import build

build(
    globals(),
    "stats",
    """
enum DataChannelState: DC_CONNECTING=0 DC_OPEN=1 DC_CLOSING=2 DC_CLOSED=3
enum QualityLimitationReason: LIMITATION_NONE=0 LIMITATION_CPU=1 LIMITATION_BANDWIDTH=2 LIMITATION_OTHER=3
enum IceRole: ICE_UNKNOWN=0 ICE_CONTROLLING=1 ICE_CONTROLLED=2
enum DtlsTransportState: DTLS_TRANSPORT_NEW=0 DTLS_TRANSPORT_CONNECTING=1 DTLS_TRANSPORT_CONNECTED=2 DTLS_TRANSPORT_CLOSED=3 DTLS_TRANSPORT_FAILED=4
enum IceTransportState: ICE_TRANSPORT_NEW=0 ICE_TRANSPORT_CHECKING=1 ICE_TRANSPORT_CONNECTED=2 ICE_TRANSPORT_COMPLETED=3 ICE_TRANSPORT_DISCONNECTED=4 ICE_TRANSPORT_FAILED=5 ICE_TRANSPORT_CLOSED=6
enum DtlsRole: DTLS_CLIENT=0 DTLS_SERVER=1 DTLS_UNKNOWN=2
enum IceCandidatePairState: PAIR_FROZEN=0 PAIR_WAITING=1 PAIR_IN_PROGRESS=2 PAIR_FAILED=3 PAIR_SUCCEEDED=4
enum IceCandidateType: HOST=0 SRFLX=1 PRFLX=2 RELAY=3
enum IceServerTransportProtocol: TRANSPORT_UDP=0 TRANSPORT_TCP=1 TRANSPORT_TLS=2
enum IceTcpCandidateType: CANDIDATE_ACTIVE=0 CANDIDATE_PASSIVE=1 CANDIDATE_SO=2
message RtcStats: codec=3 RtcStats.Codec @stats; inbound_rtp=4 RtcStats.InboundRtp @stats; outbound_rtp=5 RtcStats.OutboundRtp @stats; remote_inbound_rtp=6 RtcStats.RemoteInboundRtp @stats; remote_outbound_rtp=7 RtcStats.RemoteOutboundRtp @stats; media_source=8 RtcStats.MediaSource @stats; media_playout=9 RtcStats.MediaPlayout @stats; peer_connection=10 RtcStats.PeerConnection @stats; data_channel=11 RtcStats.DataChannel @stats; transport=12 RtcStats.Transport @stats; candidate_pair=13 RtcStats.CandidatePair @stats; local_candidate=14 RtcStats.LocalCandidate @stats; remote_candidate=15 RtcStats.RemoteCandidate @stats; certificate=16 RtcStats.Certificate @stats; stream=17 RtcStats.Stream @stats; track=18 RtcStats.Track @stats
message RtcStats.Codec: rtc=1 RtcStatsData; codec=2 CodecStats
message RtcStats.InboundRtp: rtc=1 RtcStatsData; stream=2 RtpStreamStats; received=3 ReceivedRtpStreamStats; inbound=4 InboundRtpStreamStats
message RtcStats.OutboundRtp: rtc=1 RtcStatsData; stream=2 RtpStreamStats; sent=3 SentRtpStreamStats; outbound=4 OutboundRtpStreamStats
message RtcStats.RemoteInboundRtp: rtc=1 RtcStatsData; stream=2 RtpStreamStats; received=3 ReceivedRtpStreamStats; remote_inbound=4 RemoteInboundRtpStreamStats
message RtcStats.RemoteOutboundRtp: rtc=1 RtcStatsData; stream=2 RtpStreamStats; sent=3 SentRtpStreamStats; remote_outbound=4 RemoteOutboundRtpStreamStats
message RtcStats.MediaSource: rtc=1 RtcStatsData; source=2 MediaSourceStats; audio=3 AudioSourceStats; video=4 VideoSourceStats
message RtcStats.MediaPlayout: rtc=1 RtcStatsData; audio_playout=2 AudioPlayoutStats
message RtcStats.PeerConnection: rtc=1 RtcStatsData; pc=2 PeerConnectionStats
message RtcStats.DataChannel: rtc=1 RtcStatsData; dc=2 DataChannelStats
message RtcStats.Transport: rtc=1 RtcStatsData; transport=2 TransportStats
message RtcStats.CandidatePair: rtc=1 RtcStatsData; candidate_pair=2 CandidatePairStats
message RtcStats.LocalCandidate: rtc=1 RtcStatsData; candidate=2 IceCandidateStats
message RtcStats.RemoteCandidate: rtc=1 RtcStatsData; candidate=2 IceCandidateStats
message RtcStats.Certificate: rtc=1 RtcStatsData; certificate=2 CertificateStats
message RtcStats.Stream: rtc=1 RtcStatsData; stream=2 StreamStats
message RtcStats.Track: 
message RtcStatsData: id=1 string; timestamp=2 int64
message CodecStats: payload_type=1 uint32; transport_id=2 string; mime_type=3 string; clock_rate=4 uint32; channels=5 uint32; sdp_fmtp_line=6 string
message RtpStreamStats: ssrc=1 uint32; kind=2 string; transport_id=3 string; codec_id=4 string
message ReceivedRtpStreamStats: packets_received=1 uint64; packets_lost=2 int64; jitter=3 double
message InboundRtpStreamStats: track_identifier=1 string; mid=2 string; remote_id=3 string; frames_decoded=4 uint32; key_frames_decoded=5 uint32; frames_rendered=6 uint32; frames_dropped=7 uint32; frame_width=8 uint32; frame_height=9 uint32; frames_per_second=10 double; qp_sum=11 uint64; total_decode_time=12 double; total_inter_frame_delay=13 double; total_squared_inter_frame_delay=14 double; pause_count=15 uint32; total_pause_duration=16 double; freeze_count=17 uint32; total_freeze_duration=18 double; last_packet_received_timestamp=19 double; header_bytes_received=20 uint64; packets_discarded=21 uint64; fec_bytes_received=22 uint64; fec_packets_received=23 uint64; fec_packets_discarded=24 uint64; bytes_received=25 uint64; nack_count=26 uint32; fir_count=27 uint32; pli_count=28 uint32; total_processing_delay=29 double; estimated_playout_timestamp=30 double; jitter_buffer_delay=31 double; jitter_buffer_target_delay=32 double; jitter_buffer_emitted_count=33 uint64; jitter_buffer_minimum_delay=34 double; total_samples_received=35 uint64; concealed_samples=36 uint64; silent_concealed_samples=37 uint64; concealment_events=38 uint64; inserted_samples_for_deceleration=39 uint64; removed_samples_for_acceleration=40 uint64; audio_level=41 double; total_audio_energy=42 double; total_samples_duration=43 double; frames_received=44 uint64; decoder_implementation=45 string; playout_id=46 string; power_efficient_decoder=47 bool; frames_assembled_from_multiple_packets=48 uint64; total_assembly_time=49 double; retransmitted_packets_received=50 uint64; retransmitted_bytes_received=51 uint64; rtx_ssrc=52 uint32; fec_ssrc=53 uint32
message SentRtpStreamStats: packets_sent=1 uint64; bytes_sent=2 uint64
message OutboundRtpStreamStats: mid=1 string; media_source_id=2 string; remote_id=3 string; rid=4 string; header_bytes_sent=5 uint64; retransmitted_packets_sent=6 uint64; retransmitted_bytes_sent=7 uint64; rtx_ssrc=8 uint32; target_bitrate=9 double; total_encoded_bytes_target=10 uint64; frame_width=11 uint32; frame_height=12 uint32; frames_per_second=13 double; frames_sent=14 uint32; huge_frames_sent=15 uint32; frames_encoded=16 uint32; key_frames_encoded=17 uint32; qp_sum=18 uint64; total_encode_time=19 double; total_packet_send_delay=20 double; quality_limitation_reason=21 QualityLimitationReason; quality_limitation_durations=22 map; quality_limitation_resolution_changes=23 uint32; nack_count=24 uint32; fir_count=25 uint32; pli_count=26 uint32; encoder_implementation=27 string; power_efficient_encoder=28 bool; active=29 bool; scalability_mode=30 string
message RemoteInboundRtpStreamStats: local_id=1 string; round_trip_time=2 double; total_round_trip_time=3 double; fraction_lost=4 double; round_trip_time_measurements=5 uint64
message RemoteOutboundRtpStreamStats: local_id=1 string; remote_timestamp=2 double; reports_sent=3 uint64; round_trip_time=4 double; total_round_trip_time=5 double; round_trip_time_measurements=6 uint64
message MediaSourceStats: track_identifier=1 string; kind=2 string
message AudioSourceStats: audio_level=1 double; total_audio_energy=2 double; total_samples_duration=3 double; echo_return_loss=4 double; echo_return_loss_enhancement=5 double; dropped_samples_duration=6 double; dropped_samples_events=7 uint32; total_capture_delay=8 double; total_samples_captured=9 uint64
message VideoSourceStats: width=1 uint32; height=2 uint32; frames=3 uint32; frames_per_second=4 double
message AudioPlayoutStats: kind=1 string; synthesized_samples_duration=2 double; synthesized_samples_events=3 uint32; total_samples_duration=4 double; total_playout_delay=5 double; total_samples_count=6 uint64
message PeerConnectionStats: data_channels_opened=1 uint32; data_channels_closed=2 uint32
message DataChannelStats: label=1 string; protocol=2 string; data_channel_identifier=3 int32; state=4 DataChannelState; messages_sent=5 uint32; bytes_sent=6 uint64; messages_received=7 uint32; bytes_received=8 uint64
message TransportStats: packets_sent=1 uint64; packets_received=2 uint64; bytes_sent=3 uint64; bytes_received=4 uint64; ice_role=5 IceRole; ice_local_username_fragment=6 string; dtls_state=7 DtlsTransportState; ice_state=8 IceTransportState; selected_candidate_pair_id=9 string; local_certificate_id=10 string; remote_certificate_id=11 string; tls_version=12 string; dtls_cipher=13 string; dtls_role=14 DtlsRole; srtp_cipher=15 string; selected_candidate_pair_changes=16 uint32
message CandidatePairStats: transport_id=1 string; local_candidate_id=2 string; remote_candidate_id=3 string; state=4 IceCandidatePairState; nominated=5 bool; packets_sent=6 uint64; packets_received=7 uint64; bytes_sent=8 uint64; bytes_received=9 uint64; last_packet_sent_timestamp=10 double; last_packet_received_timestamp=11 double; total_round_trip_time=12 double; current_round_trip_time=13 double; available_outgoing_bitrate=14 double; available_incoming_bitrate=15 double; requests_received=16 uint64; requests_sent=17 uint64; responses_received=18 uint64; responses_sent=19 uint64; consent_requests_sent=20 uint64; packets_discarded_on_send=21 uint32; bytes_discarded_on_send=22 uint64
message IceCandidateStats: transport_id=1 string; address=2 string; port=3 int32; protocol=4 string; candidate_type=5 IceCandidateType; priority=6 int32; url=7 string; relay_protocol=8 IceServerTransportProtocol; foundation=9 string; related_address=10 string; related_port=11 int32; username_fragment=12 string; tcp_type=13 IceTcpCandidateType
message CertificateStats: fingerprint=1 string; fingerprint_algorithm=2 string; base64_certificate=3 string; issuer_certificate_id=4 string
message StreamStats: id=1 string; stream_identifier=2 string
""",
)
