// A participant of livekit-client, as functions that driver.mjs calls by name. Each returns something JSON can hold.
"use strict";

const TONE_HZ = 1000;
const QUARTERS = ["rgb(200,40,40)", "rgb(40,200,40)", "rgb(40,40,200)", "rgb(200,200,200)"];
const WIDTH = 640;
const HEIGHT = 360;

let room;
let keyProvider;
const received = [];
const errors = [];
const kept = [];

/** `encryption`: {passphrase} or {material: hex}, none for a room in the clear. */
async function join(url, token, { encryption, singlePeerConnection } = {}) {
  const options = { adaptiveStream: false, dynacast: false };
  if (singlePeerConnection !== undefined) options.singlePeerConnection = singlePeerConnection;
  if (encryption) {
    keyProvider = new LivekitClient.ExternalE2EEKeyProvider();
    options.encryption = { keyProvider, worker: new Worker("/livekit-client.e2ee.worker.js") };
  }
  room = new LivekitClient.Room(options);
  if (encryption) {
    await setKey(encryption);
    room.on(LivekitClient.RoomEvent.EncryptionError, (error) => errors.push(String(error.message ?? error)));
  }
  room.on(LivekitClient.RoomEvent.DataReceived, (payload, participant, _kind, topic, encryptionType) =>
    received.push([new TextDecoder().decode(payload), participant?.identity ?? "", topic ?? "", encryptionType ?? 0]));
  if (encryption) await room.setE2EEEnabled(true);
  await room.connect(url, token);
  return room.localParticipant.identity;
}

async function setKey({ passphrase, material }) {
  const bytes = material && Uint8Array.from(material.match(/../g), (digits) => parseInt(digits, 16)).buffer;
  await keyProvider.setKey(passphrase ?? bytes);
}

async function publishTone() {
  const context = new AudioContext({ sampleRate: 48000 });
  const oscillator = new OscillatorNode(context, { frequency: TONE_HZ });
  const gain = new GainNode(context, { gain: 10000 / 32768 });
  const destination = context.createMediaStreamDestination();
  oscillator.connect(gain).connect(destination);
  oscillator.start();
  kept.push(context, oscillator);
  const options = { name: "tone", dtx: false, source: LivekitClient.Track.Source.Microphone };
  const publication = await room.localParticipant.publishTrack(destination.stream.getAudioTracks()[0], options);
  return publication.trackSid;
}

async function publishPicture(videoCodec) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d");
  let count = 0;
  const paint = () => {
    QUARTERS.forEach((colour, index) => {
      context.fillStyle = colour;
      context.fillRect(((index % 2) * WIDTH) / 2, ((index >> 1) * HEIGHT) / 2, WIDTH / 2, HEIGHT / 2);
    });
    context.fillStyle = `rgb(${(count += 8) & 255},0,0)`;
    context.fillRect(0, 0, 8, 8);
  };
  kept.push(canvas, setInterval(paint, 50));
  const options = { name: "card", videoCodec, simulcast: false, backupCodec: false, source: LivekitClient.Track.Source.Camera };
  const publication = await room.localParticipant.publishTrack(canvas.captureStream(20).getVideoTracks()[0], options);
  return publication.trackSid;
}

async function remoteTrack(kind) {
  const deadline = Date.now() + 20000;
  while (Date.now() < deadline) {
    for (const participant of room.remoteParticipants.values()) {
      for (const publication of participant.trackPublications.values()) {
        if (publication.kind === kind && publication.track) return publication.track;
      }
    }
    await sleep(50);
  }
  throw new Error(`no ${kind} track came`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Pitch and level (0..1) of what is heard, once something is, or at the end of `limitMs`. */
async function hear(limitMs = 15000) {
  const track = await remoteTrack("audio");
  const stream = new MediaStream([track.mediaStreamTrack]);
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
  await element.play();
  const context = new AudioContext({ sampleRate: 48000 });
  const analyser = new AnalyserNode(context, { fftSize: 16384 });
  context.createMediaStreamSource(stream).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  const deadline = Date.now() + limitMs;
  let heard = { pitch_hz: 0, level: 0 };
  let loud = 0;
  while (Date.now() < deadline && loud < 20) {
    await sleep(50);
    analyser.getFloatTimeDomainData(wave);
    analyser.getFloatFrequencyData(spectrum);
    const level = Math.sqrt(wave.reduce((sum, sample) => sum + sample * sample, 0) / wave.length);
    const pitch = (spectrum.indexOf(Math.max(...spectrum)) * 48000) / analyser.fftSize;
    heard = { pitch_hz: pitch, level };
    loud = level > 0.05 ? loud + 1 : 0;
  }
  element.remove();
  await context.close();
  return heard;
}

/** Size and the mean colours of the quarters of what is seen; null when nothing comes within `limitMs`. */
async function see(limitMs = 15000) {
  const track = await remoteTrack("video");
  const element = Object.assign(document.createElement("video"), { srcObject: new MediaStream([track.mediaStreamTrack]), muted: true });
  kept.push(element);
  element.play().catch(() => {});
  const deadline = Date.now() + limitMs;
  let frames = 0;
  const count = () => { frames += 1; element.requestVideoFrameCallback(count); };
  element.requestVideoFrameCallback(count);
  while (frames < 20 && Date.now() < deadline) await sleep(50);
  if (frames < 20) return null;
  const [width, height] = [element.videoWidth, element.videoHeight];
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.drawImage(element, 0, 0);
  const middle = (index) => {
    const [left, top] = [((index % 2) * width) / 2, ((index >> 1) * height) / 2];
    const { data } = context.getImageData(left + width / 8, top + height / 8, width / 4, height / 4);
    const sums = [0, 0, 0];
    for (let at = 0; at < data.length; at += 4) sums.forEach((_, channel) => (sums[channel] += data[at + channel]));
    return sums.map((sum) => (sum * 4) / data.length);
  };
  return { width, height, quarters_rgb: [0, 1, 2, 3].map(middle) };
}

const raw = { audio: [], video: [] };

/** Before `join`: keep all frames as the server sends them, before anything decodes them. */
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

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The next `count` frames, in hex; fewer at the end of `limitMs`. */
async function rawFrames(kind, count, limitMs = 15000) {
  const track = await remoteTrack(kind);
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

async function sendData(text, topic) {
  await room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true, topic });
}

/** Everything got so far, once there is at least `count`: [text, identity, topic, encryption type]. */
async function data(count, limitMs = 10000) {
  const deadline = Date.now() + limitMs;
  while (received.length < count && Date.now() < deadline) await sleep(20);
  return received;
}

/** What livekit-client said of encryption that failed. */
function encryptionErrors() {
  return errors;
}

async function leave() {
  await room?.disconnect();
}

Object.assign(window, { join, setKey, publishTone, publishPicture, hear, see, captureRawFrames, rawFrames, sendData, data, encryptionErrors, leave });
