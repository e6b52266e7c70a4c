//! A peer's statistics as dictionaries.

use greenroom_peer::{PeerStatistics, ReceiverStatistics, SenderStatistics, TransportStatistics};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// A dictionary of these fields of a struct.
macro_rules! fields {
    ($py:expr, $value:expr, [$($name:ident),* $(,)?]) => {{
        let dictionary = PyDict::new($py);
        $(dictionary.set_item(stringify!($name), &$value.$name)?;)*
        Ok(dictionary)
    }};
}

/// `Peer.stats()`
pub fn to_python<'py>(py: Python<'py>, statistics: &PeerStatistics) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("transport", transport(py, &statistics.transport)?)?;
    let senders = PyList::empty(py);
    for one in &statistics.senders {
        senders.append(sender(py, one)?)?;
    }
    all.set_item("senders", senders)?;
    let receivers = PyList::empty(py);
    for one in &statistics.receivers {
        receivers.append(receiver(py, one)?)?;
    }
    all.set_item("receivers", receivers)?;
    Ok(all)
}

fn transport<'py>(py: Python<'py>, value: &TransportStatistics) -> PyResult<Bound<'py, PyDict>> {
    fields!(
        py,
        value,
        [
            ice_state,
            dtls_state,
            bytes_sent,
            bytes_received,
            packets_sent,
            packets_received,
            packets_discarded,
            round_trip_time_s,
            available_outgoing_bitrate_bps,
            local_candidate,
            remote_candidate,
            candidate_pairs_tried,
            ice_servers_tried,
        ]
    )
}

fn sender<'py>(py: Python<'py>, value: &SenderStatistics) -> PyResult<Bound<'py, PyDict>> {
    fields!(
        py,
        value,
        [
            mid,
            rid,
            ssrc,
            codec,
            packets_sent,
            bytes_sent,
            frames_encoded,
            frames_dropped,
            key_frames_encoded,
            frame_width,
            frame_height,
            target_bitrate_bps,
            nack_count,
            pli_count,
            fir_count,
            round_trip_time_s,
            fraction_lost,
        ]
    )
}

fn receiver<'py>(py: Python<'py>, value: &ReceiverStatistics) -> PyResult<Bound<'py, PyDict>> {
    fields!(
        py,
        value,
        [
            mid,
            ssrc,
            kind,
            codec,
            packets_received,
            bytes_received,
            packets_lost,
            jitter_s,
            nack_count,
            pli_count,
            frames_decoded,
            key_frames_decoded,
            frames_dropped,
            frame_width,
            frame_height,
            concealed_samples,
            total_samples,
            jitter_buffer_delay_s,
            audio_level,
        ]
    )
}
