// Writes the vectors of livekit_client.txt with livekit-client's own worker:
//   node make_livekit_client.mjs PATH/livekit-client.e2ee.worker.mjs > livekit_client.txt
// A line: codec, derivation, material, times ratcheted, key index, plain frame, encrypted frame (or data: IV and ciphertext).
import { pathToFileURL } from "node:url";

class RTCEncodedVideoFrame {}
class RTCEncodedAudioFrame {}
Object.assign(globalThis, { self: globalThis, RTCEncodedVideoFrame, RTCEncodedAudioFrame });
const waiting = new Map();
globalThis.onmessage = null;
globalThis.postMessage = (message) => waiting.get(message.kind)?.(message);
await import(pathToFileURL(process.argv[2]));

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const filler = (length) => Uint8Array.from({ length }, (_, n) => (n * 37 + (n >> 3)) & 255);
const send = (kind, data) => globalThis.onmessage({ data: { kind, data } });
const answer = (kind) => new Promise((resolve) => waiting.set(kind, resolve));

const importKey = (material, name) => crypto.subtle.importKey("raw", material, name, false, ["deriveBits", "deriveKey"]);

function frame(codec, type, data, ssrc, timestamp) {
  const made = codec === "audio" ? new RTCEncodedAudioFrame() : Object.assign(new RTCEncodedVideoFrame(), { type });
  const mimeType = codec === "audio" ? "audio/opus" : `video/${codec}`;
  return Object.assign(made, {
    data: data.slice().buffer,
    timestamp,
    getMetadata: () => ({ synchronizationSource: ssrc, mimeType, payloadType: 96 }),
  });
}

let number = 0;
async function sealed(codec, type, plain, ssrc, timestamp) {
  const through = new TransformStream();
  const out = new TransformStream();
  const trackId = `track-${number++}`;
  send("encode", {
    participantIdentity: "alice", trackId, codec: codec === "audio" ? undefined : codec,
    readableStream: through.readable, writableStream: out.writable,
  });
  const read = out.readable.getReader().read();
  await through.writable.getWriter().write(frame(codec, type, plain, ssrc, timestamp));
  return new Uint8Array((await read).value.data);
}

const sps = "67 42c01f 8c8d40 5005ba 10", pps = "68 ce3c80";
const cases = [
  ["audio", "", bytes("78 000102030405060708090a0b0c0d0e0f"), 0x12345678, 960],
  ["audio", "", bytes("08"), 0x00000001, 0],
  ["vp8", "key", bytes("10 0200 9d012a 8002 6801 474747 0102030405"), 0xdeadbeef, 90000],
  ["vp8", "delta", bytes("31 0200 9d012a 8002 6801 474747 0102030405"), 0xdeadbeef, 93000],
  ["vp9", "key", filler(40), 0xcafe, 5],
  ["h264", "key", bytes(`00000001 ${sps} 00000001 ${pps} 00000001 65 b8 ${hex(filler(40))}`), 0x00000001, 0x00000200],
  ["h264", "key", bytes(`000001 ${sps} 000001 ${pps} 000001 65 88 ${hex(filler(20))} 000001 65 44 ${hex(filler(20))}`), 0x01000003, 0x00030000],
  ["h264", "delta", bytes(`00000001 41 9a ${hex(filler(30))}`), 0xabad1dea, 0x10000000],
  ["h265", "key", bytes(`00000001 40 01 0c01 00000001 42 01 0101 00000001 44 01 c0f1 00000001 26 01 af ${hex(filler(30))}`), 0x00000100, 0x00000001],
  ["h265", "delta", bytes(`00000001 02 01 d0 ${hex(filler(30))}`), 0x7, 0x8000],
];
const keys = [
  ["pbkdf2", new TextEncoder().encode("12345678"), 0, 0],
  ["hkdf", bytes("000102030405060708090a0b0c0d0e0f"), 0, 3],
  ["pbkdf2", new TextEncoder().encode("12345678"), 1, 15],
  ["hkdf", bytes("000102030405060708090a0b0c0d0e0f"), 2, 1],
];
for (const [derivation, material, ratchets, index] of keys) {
  send("init", {
    loglevel: "silent",
    keyProviderOptions: { sharedKey: false, ratchetSalt: "LKFrameEncryptionKey", ratchetWindowSize: 8, failureTolerance: 10, keyringSize: 16, keySize: 128 },
  });
  send("enable", { enabled: true, participantIdentity: "alice" });
  const key = await importKey(material, derivation.toUpperCase());
  send("setKey", { participantIdentity: "alice", key, keyIndex: index, updateCurrentKeyIndex: true });
  for (let step = 0; step < ratchets; step++) {
    const ratcheted = answer("ratchetKey");
    send("ratchetRequest", { participantIdentity: "alice", keyIndex: index });
    await ratcheted;
  }
  const write = (codec, plain, encrypted) => console.log([codec, derivation, hex(material), ratchets, index, hex(plain), encrypted].join(" "));
  for (const [codec, type, plain, ssrc, timestamp] of cases) {
    write(codec, plain, hex(await sealed(codec, type, plain, ssrc, timestamp)));
  }
  const answered = answer("encryptDataResponse");
  const plain = new TextEncoder().encode("hello");
  send("encryptDataRequest", { payload: plain, participantIdentity: "alice", uuid: "1" });
  const { data } = await answered;
  write("data", plain, `${hex(data.iv)}${hex(data.payload)}`);
}
process.exit(0);
