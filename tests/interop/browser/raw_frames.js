// Frames as the server sends them, before anything decodes them.
"use strict";

const raw = { audio: [], video: [] };
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Before `join`: keep all frames that come. */
function captureRawFrames() {
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration, ...rest) {
      super({ ...configuration, encodedInsertableStreams: true }, ...rest);
      this.addEventListener("track", ({ receiver }) => {
        const { readable, writable } = receiver.createEncodedStreams();
        const keep = (frame, controller) => {
          raw[receiver.track.kind].push(hex(frame.data));
          controller.enqueue(frame);
        };
        readable.pipeThrough(new TransformStream({ transform: keep })).pipeTo(writable);
      });
    }

    setConfiguration(configuration) {
      super.setConfiguration({ ...configuration, encodedInsertableStreams: true });
    }
  };
}

/** The next `count` frames of a participant, in hex; fewer at the end of `limitMs`. */
async function rawFrames(identity, kind, count, limitMs = 15000) {
  const { track } = await subscribed(identity, kind);
  // What nobody plays is not even received.
  const element = document.createElement(kind);
  Object.assign(element, { srcObject: new MediaStream([track.mediaStreamTrack]), muted: true });
  kept.push(element);
  element.play().catch(() => {});
  const start = raw[kind].length;
  const deadline = Date.now() + limitMs;
  while (raw[kind].length < start + count && Date.now() < deadline) await sleep(50);
  return raw[kind].slice(start, start + count);
}
