// A participant of livekit-client, as functions that driver.mjs calls by name: joining, and what happens to it. Each function
// returns something JSON can hold.
"use strict";

const { Room, RoomEvent, ExternalE2EEKeyProvider, Track } = LivekitClient;

let room;
let keyProvider;
/** Every event of the room in the order it came: [name, identity or track SID or text of its arguments]. */
const events = [];
const errors = [];
/** What must not be collected. */
const kept = [];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `look` returns, once it is not undefined. */
async function until(look, what, limitMs = 20000) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`${what()} never came; there was ${JSON.stringify(events.slice(-30))}`);
    await sleep(50);
  }
}

/** `encryption`: {passphrase} or {material: hex}, none for a room in the clear; the rest are livekit-client's room options. */
async function join(url, token, { encryption, ...options } = {}) {
  if (encryption) {
    keyProvider = new ExternalE2EEKeyProvider();
    options.encryption = { keyProvider, worker: new Worker("/livekit-client.e2ee.worker.js") };
  }
  room = new Room({ adaptiveStream: false, dynacast: false, ...options });
  if (encryption) await setKey(encryption);
  for (const name of Object.values(RoomEvent)) {
    room.on(name, (...args) => events.push([name, ...args.map(named).filter((arg) => arg !== undefined)]));
  }
  room.on(RoomEvent.EncryptionError, (error) => errors.push(String(error.message ?? error)));
  listenForMessages();
  if (encryption) await room.setE2EEEnabled(true);
  await room.connect(url, token);
  return room.localParticipant.identity;
}

function named(argument) {
  if (typeof argument !== "object" || argument === null) return argument;
  return argument.identity ?? argument.trackSid ?? argument.sid;
}

async function setKey({ passphrase, material }) {
  const bytes = material && Uint8Array.from(material.match(/../g), (digits) => parseInt(digits, 16)).buffer;
  await keyProvider.setKey(passphrase ?? bytes);
}

/** Events so far, of these names when some are given, without those before the `from`th of all. */
function happened(names = [], from = 0) {
  return events.slice(from).filter(([name]) => !names.length || names.includes(name));
}

function eventCount() {
  return events.length;
}

/** The `count`th event of that name since the `from`th of all. */
async function waitFor(name, count = 1, from = 0) {
  return until(() => happened([name], from)[count - 1], () => `${count} x ${name}`);
}

/** The first event of these names since the `from`th of all. */
async function waitForAny(names, from = 0) {
  return until(() => happened(names, from)[0], () => names.join(" or "));
}

/** How many peer connections the room has. */
function peerConnections() {
  const { publisher, subscriber } = room.engine.pcManager;
  return [publisher, subscriber].filter((transport) => transport).length;
}

/** The publication of a remote participant, once its track is subscribed. `source` may be a kind. */
async function subscribed(identity, source) {
  const find = () => {
    const participant = room.remoteParticipants.get(identity);
    const publications = [...(participant?.trackPublications.values() ?? [])];
    return publications.find((known) => known.track && (known.source === source || known.kind === source));
  };
  return until(find, () => `${source} of ${identity}`);
}

async function isMuted(identity, source, muted) {
  const publication = await subscribed(identity, source);
  return until(() => (publication.isMuted === muted ? true : undefined), () => `${source} muted: ${muted}`);
}

async function simulate(scenario) {
  await room.simulateScenario(scenario);
}

/** Whether all that a remote participant publishes is said to be. */
function isEncrypted(identity) {
  return room.remoteParticipants.get(identity).isEncrypted;
}

/** What livekit-client said of encryption that failed. */
function encryptionErrors() {
  return errors;
}

async function leave() {
  await room?.disconnect();
}
