// The mirror in LiveKit's SDK for Node: plays back what it hears, answers data, text and calls, and calls back; says what was
// muted, and when it is back after a loss.
//
// usage: node node_peer.mjs URL TOKEN NAME, in a folder where @livekit/rtc-node is installed

import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const rtc = require('@livekit/rtc-node');

const RATE_HZ = 48_000;
const [url, token, name] = process.argv.slice(2);
const room = new rtc.Room();
const text = new TextDecoder();
const bytes = new TextEncoder();

async function mirror(track) {
  const source = new rtc.AudioSource(RATE_HZ, 1);
  const echo = rtc.LocalAudioTrack.createAudioTrack('mirror', source);
  const options = new rtc.TrackPublishOptions({ source: rtc.TrackSource.SOURCE_MICROPHONE });
  await room.localParticipant.publishTrack(echo, options);
  const reader = new rtc.AudioStream(track, RATE_HZ, 1).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    await source.captureFrame(next.value);
  }
}

async function say(topic, words, to) {
  await room.localParticipant.publishData(bytes.encode(words), {
    reliable: true,
    topic,
    destination_identities: [to],
  });
}

const onData = {
  ask: (words, from) => say('answer', `re: ${words}`, from),
  call: async (_, from) => {
    const answer = await room.localParticipant.performRpc({
      destinationIdentity: from,
      method: 'greet',
      payload: name,
    });
    await say('called', answer, from);
  },
  bye: async () => {
    await room.disconnect();
    await rtc.dispose();
    process.exit(0);
  },
};

room.on(rtc.RoomEvent.TrackSubscribed, (track) => void mirror(track));
room.on(rtc.RoomEvent.DataReceived, (payload, participant, _kind, topic) => {
  onData[topic]?.(text.decode(payload), participant.identity);
});
room.on(rtc.RoomEvent.TrackMuted, (publication, participant) => {
  void say('muted', publication.name, participant.identity);
});
room.on(rtc.RoomEvent.Reconnected, () => void say('back', name, 'tester'));
room.registerTextStreamHandler('ask', async (reader, { identity }) => {
  const words = await reader.readAll();
  await room.localParticipant.sendText(`re: ${words}`, {
    topic: 'answer',
    destinationIdentities: [identity],
  });
});

await room.connect(url, token, { autoSubscribe: true, dynacast: false });
room.localParticipant.registerRpcMethod('greet', async ({ payload }) => `${name} greets ${payload}`);
console.log('READY');
