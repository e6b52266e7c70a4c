// The mirror in LiveKit's SDK for Node: plays back what it hears and sees, answers data, texts, files and calls, and calls
// back; says what was muted and when it is back after a loss; simulates failures when it is told to.
//
// usage: node node_peer.mjs URL TOKEN NAME, in a folder where @livekit/rtc-node is installed

import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const rtc = require('@livekit/rtc-node');

const RATE_HZ = 48_000;
const LONGEST = 300;
const [url, token, name] = process.argv.slice(2);
const room = new rtc.Room();
const text = new TextDecoder();
const bytes = new TextEncoder();

/** Our sources, one a kind. Each plays the last track of its kind that was subscribed: after a restart that is another one. */
const sources = new Map();

async function publish(local, source) {
  const options = new rtc.TrackPublishOptions({ source, simulcast: false });
  await room.localParticipant.publishTrack(local, options);
}

/** One frame after the other, whichever track it is of: the SDK refuses a frame while it takes another. */
let captured = Promise.resolve();
function play(frame) {
  captured = captured.then(() => sources.get('sound').captureFrame(frame));
  return captured;
}

let heard;
async function mirrorSound(track) {
  heard = track;
  if (!sources.has('sound')) {
    sources.set('sound', new rtc.AudioSource(RATE_HZ, 1));
    const echo = rtc.LocalAudioTrack.createAudioTrack('mirror', sources.get('sound'));
    await publish(echo, rtc.TrackSource.SOURCE_MICROPHONE);
  }
  const reader = new rtc.AudioStream(track, RATE_HZ, 1).getReader();
  for (let next = await reader.read(); !next.done && heard === track; next = await reader.read()) {
    await play(next.value);
  }
}

async function mirrorPicture(track) {
  const reader = new rtc.VideoStream(track).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const { frame } = next.value;
    if (!sources.has('picture')) {
      sources.set('picture', new rtc.VideoSource(frame.width, frame.height));
      const echo = rtc.LocalVideoTrack.createVideoTrack('mirror', sources.get('picture'));
      await publish(echo, rtc.TrackSource.SOURCE_CAMERA);
    }
    sources.get('picture').captureFrame(frame);
  }
}

const SCENARIOS = {
  signal: rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
  'full-reconnect': rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT,
  'node-failure': rtc.SimulateScenarioKind.SIMULATE_NODE_FAILURE,
};

async function say(topic, words, to, reliable = true) {
  await room.localParticipant.publishData(bytes.encode(words), {
    reliable,
    topic,
    destination_identities: [to],
  });
}

const onData = {
  ask: (words, from) => say('answer', `re: ${words}`, from),
  lossy: (words, from) => say('lossy', `re: ${words}`, from, false),
  call: async (_, from) => {
    const answer = await room.localParticipant.performRpc({
      destinationIdentity: from,
      method: 'greet',
      payload: name,
    });
    await say('called', answer, from);
  },
  simulate: (scenario) => room.simulateScenario(SCENARIOS[scenario]),
  bye: async () => {
    await room.disconnect();
    await rtc.dispose();
    process.exit(0);
  },
};

room.on(rtc.RoomEvent.TrackSubscribed, (track) => {
  void (track.kind === rtc.TrackKind.KIND_AUDIO ? mirrorSound(track) : mirrorPicture(track));
});
room.on(rtc.RoomEvent.DataReceived, (payload, participant, _kind, topic) => {
  onData[topic]?.(text.decode(payload), participant.identity);
});
room.on(rtc.RoomEvent.TrackMuted, (publication, participant) => {
  void say('muted', publication.name, participant.identity);
});
room.on(rtc.RoomEvent.TrackUnmuted, (publication, participant) => {
  void say('unmuted', publication.name, participant.identity);
});
room.on(rtc.RoomEvent.Reconnected, () => void say('back', name, 'tester'));
room.registerTextStreamHandler('ask', async (reader, { identity }) => {
  const { attributes } = reader.info;
  const words = await reader.readAll();
  const options = { topic: 'answer', attributes, destinationIdentities: [identity] };
  const writer = await room.localParticipant.streamText(options);
  for (const part of ['re: ', words]) await writer.write(part);
  await writer.close();
});
room.registerByteStreamHandler('ask', async (reader, { identity }) => {
  const { name, mimeType, totalSize, attributes } = reader.info;
  const parts = await reader.readAll();
  const writer = await room.localParticipant.streamBytes({
    topic: 'answer',
    name: `re: ${name}`,
    mimeType,
    totalSize,
    attributes: { ...attributes, seen: `${name} ${mimeType} ${totalSize}` },
    destinationIdentities: [identity],
  });
  for (const part of parts) await writer.write(part);
  await writer.close();
});

/** On standard error: what the SDK's Rust core has to say, which the SDK itself throws away. */
function tell({ message }) {
  if (message.case !== 'logs') return;
  const now = new Date().toISOString().slice(11, 23);
  for (const { target, message: said } of message.value.records) {
    if (target.startsWith('livekit')) console.error(now, target, said.slice(0, LONGEST));
  }
}

const connecting = room.connect(url, token, { autoSubscribe: true, dynacast: false });
globalThis._ffiClientInstance?.on('ffi_event', tell);
await connecting;
room.localParticipant.registerRpcMethod('greet', async ({ payload }) => `${name} greets ${payload}`);
console.log('READY');
