// Data packets, remote calls, data streams and transcriptions.
"use strict";

const text = new TextDecoder();
const bytes = new TextEncoder();
/** What came, by kind. packets: [text, identity, topic, encryption type]; texts: [text, identity, topic, attributes]; files:
 * [SHA-256, size, identity, name, type, announced size]; transcriptions: [segments, identity, track SID]; chats: [text,
 * identity, ID, whether it was edited]; metrics: [strings of a batch, identity]. */
const received = { packets: [], texts: [], files: [], transcriptions: [], chats: [], metrics: [] };

function listenForMessages() {
  room.on(RoomEvent.DataReceived, (payload, participant, _kind, topic, encryptionType) =>
    received.packets.push([text.decode(payload), participant?.identity ?? "", topic ?? "", encryptionType ?? 0]));
  room.on(RoomEvent.TranscriptionReceived, (segments, participant, publication) => {
    const said = segments.map(({ id, text, final, language }) => ({ id, text, final, language }));
    received.transcriptions.push([said, participant?.identity ?? "", publication?.trackSid ?? ""]);
  });
  room.on(RoomEvent.ChatMessage, ({ id, message, editTimestamp }, participant) =>
    received.chats.push([message, participant?.identity ?? "", id, editTimestamp !== undefined]));
  room.on(RoomEvent.MetricsReceived, (batch, participant) =>
    received.metrics.push([batch.strData, participant?.identity ?? ""]));
  for (const topic of ["words", "lk.transcription"]) {
    room.registerTextStreamHandler(topic, async (reader, { identity }) => {
      const { attributes } = reader.info;
      received.texts.push([await reader.readAll(), identity, topic, attributes ?? {}]);
    });
  }
  room.registerByteStreamHandler("file", async (reader, { identity }) => {
    const { name, mimeType, size } = reader.info;
    const content = new Uint8Array(await new Blob(await reader.readAll()).arrayBuffer());
    received.files.push([await digest(content), content.length, identity, name, mimeType, Number(size ?? -1)]);
  });
  room.registerRpcMethod("greet", async ({ callerIdentity, payload }) => {
    if (payload === "fail") throw new LivekitClient.RpcError(2000, "as you wish", "details");
    return `${room.localParticipant.identity} greets ${callerIdentity}: ${payload}`;
  });
}

async function digest(content) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sendData(words, topic, reliable = true, to = []) {
  await room.localParticipant.publishData(bytes.encode(words), { reliable, topic, destinationIdentities: to });
}

/** A chat message, and the same edited. Returns its ID. */
async function chat(words, edited) {
  const message = await room.localParticipant.sendChatMessage(words);
  await room.localParticipant.editChatMessage(edited, message);
  return message.id;
}

/** Everything of that kind got so far, once there is at least `count`. */
async function got(kind, count, limitMs = 15000) {
  return until(() => (received[kind].length >= count ? received[kind] : undefined), () => `${count} ${kind}`, limitMs);
}

/** [answer], or [code, message, data] of the error. */
async function callPeer(identity, method, payload) {
  try {
    return [await room.localParticipant.performRpc({ destinationIdentity: identity, method, payload })];
  } catch (error) {
    return [error.code, error.message, error.data];
  }
}

async function sendText(words, topic = "words", attributes = {}) {
  return (await room.localParticipant.sendText(words, { topic, attributes })).id;
}

/** A text with files of these names attached, each with its name as content. Returns how far it said it was, at last. */
async function sendTextWithFiles(words, names) {
  const attachments = names.map((name) => new File([name], name, { type: "text/plain" }));
  let progress = 0;
  const onProgress = (part) => (progress = part);
  await room.localParticipant.sendText(words, { topic: "words", attachments, onProgress });
  return progress;
}

/** A stream of text written in parts. */
async function streamText(parts) {
  const writer = await room.localParticipant.streamText({ topic: "words" });
  for (const part of parts) await writer.write(part);
  await writer.close();
}

/** A file of `size` bytes, each its index modulo 251. Returns its digest. */
async function sendFile(name, size) {
  const content = Uint8Array.from({ length: size }, (_, index) => index % 251);
  await room.localParticipant.sendFile(new File([content], name, { type: "text/plain" }), { topic: "file" });
  return digest(content);
}
