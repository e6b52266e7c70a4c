// Tracks that the page publishes: devices, a tone, a painted card.
"use strict";

const SWITCHES = {
  camera: "setCameraEnabled",
  microphone: "setMicrophoneEnabled",
  screen_share: "setScreenShareEnabled",
};

/** Publish a device or unmute it, or mute it, as a button in an application does. Returns its SIDs. */
async function enable(source, on = true, capture = undefined, publish = undefined) {
  await room.localParticipant[SWITCHES[source]](on, capture, publish);
  return [...room.localParticipant.trackPublications.values()].map((publication) => publication.trackSid);
}

async function publishTone(hz = 1000) {
  const context = new AudioContext({ sampleRate: 48000 });
  const oscillator = new OscillatorNode(context, { frequency: hz });
  const gain = new GainNode(context, { gain: 10000 / 32768 });
  const destination = context.createMediaStreamDestination();
  oscillator.connect(gain).connect(destination);
  oscillator.start();
  kept.push(context, oscillator);
  const options = { name: "tone", dtx: false, source: Track.Source.Microphone };
  const publication = await room.localParticipant.publishTrack(destination.stream.getAudioTracks()[0], options);
  return publication.trackSid;
}

const QUARTERS = ["rgb(200,40,40)", "rgb(40,200,40)", "rgb(40,40,200)", "rgb(200,200,200)"];

/** A card of coloured quarters, `turned` by that many of them, with a corner that changes. */
async function publishCard({ width = 640, height = 360, fps = 20, turned = 0, ...options } = {}) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let count = 0;
  const paint = () => {
    QUARTERS.forEach((_, index) => {
      context.fillStyle = QUARTERS[(index + turned) % QUARTERS.length];
      context.fillRect(((index % 2) * width) / 2, ((index >> 1) * height) / 2, width / 2, height / 2);
    });
    context.fillStyle = `rgb(${(count += 8) & 255},0,0)`;
    context.fillRect(0, 0, 8, 8);
  };
  paint();
  kept.push(canvas, setInterval(paint, 1000 / fps));
  const publication = await room.localParticipant.publishTrack(canvas.captureStream(fps).getVideoTracks()[0], {
    name: "card", simulcast: false, backupCodec: false, source: Track.Source.Camera, ...options,
  });
  return publication.trackSid;
}

async function unpublish(source) {
  await room.localParticipant.unpublishTrack(room.localParticipant.getTrackPublication(source).track);
}

/** What a shared screen shows, since the screen is the page. It changes a little all the time: a still page has no frames. */
function colourPage(colour) {
  document.body.style.background = colour;
  const dot = Object.assign(document.createElement("div"), { style: "position: fixed; width: 8px; height: 8px" });
  document.body.append(dot);
  let count = 0;
  kept.push(setInterval(() => { dot.style.background = `rgb(${(count += 8) & 255},0,0)`; }, 50));
}
