// Chromium's own statistics of what it sends and receives.
"use strict";

async function reports(owner, type) {
  return [...(await owner.getStats()).values()].filter((report) => report.type === type);
}

/** What came in over `ms` of a track: the changes of Chromium's counters, and the size of its frames at the end. */
async function receives(identity, source, ms = 2000) {
  const { track } = await subscribed(identity, source);
  if (!track.attachedElements.length) document.body.append(track.attach());
  const read = async () => (await reports(track.receiver, "inbound-rtp"))[0] ?? {};
  const codec = async (id) => (await reports(track.receiver, "codec")).find((known) => known.id === id)?.mimeType ?? "";
  const before = await read();
  await sleep(ms);
  const after = await read();
  const grown = (name) => (after[name] ?? 0) - (before[name] ?? 0);
  const seconds = (after.timestamp - before.timestamp) / 1000;
  return {
    codec: await codec(after.codecId),
    width: after.frameWidth ?? 0, height: after.frameHeight ?? 0,
    frames_decoded: grown("framesDecoded"), fps: grown("framesDecoded") / seconds,
    freeze_s: grown("totalFreezesDuration"), key_frames: grown("keyFramesDecoded"),
    packets: grown("packetsReceived"), lost: grown("packetsLost"), nacks: grown("nackCount"),
    repaired: grown("retransmittedPacketsReceived"),
    buffered_s: grown("jitterBufferDelay") / Math.max(grown("jitterBufferEmittedCount"), 1),
    // Energy is level squared over time, of full scale.
    level: Math.sqrt(grown("totalAudioEnergy") / Math.max(grown("totalSamplesDuration"), 1e-9)),
    samples: grown("totalSamplesReceived"), concealed: grown("concealedSamples") - grown("silentConcealedSamples"),
  };
}

/** What goes out over `ms` of a published track: [rid, frames, width, height] of each encoding that sends, smallest first. */
async function sends(source, ms = 1000) {
  const { track } = room.localParticipant.getTrackPublication(source);
  const read = () => reports(track.sender, "outbound-rtp");
  const before = new Map((await read()).map((report) => [report.id, report.framesSent ?? 0]));
  await sleep(ms);
  const layers = (await read()).map((report) => ({ ...report, frames: report.framesSent - (before.get(report.id) ?? 0) }));
  return layers
    .filter((layer) => layer.frames > 0)
    .sort((one, other) => one.frameWidth - other.frameWidth)
    .map((layer) => [layer.rid ?? "", layer.frames, layer.frameWidth, layer.frameHeight]);
}

/** Wait until exactly these rids are sent. */
async function sendsOnly(source, rids, limitMs = 20000) {
  let last;
  const look = async () => {
    last = (await sends(source, 500)).map(([rid]) => rid).sort();
    return last.join() === [...rids].sort().join() ? last : undefined;
  };
  return until(look, () => `only ${rids} of ${source} (${last} is sent)`, limitMs);
}

/** Wait until nothing of a track is decoded for a second. */
async function stopsDecoding(identity, source) {
  const look = async () => ((await receives(identity, source, 1000)).frames_decoded === 0 ? true : undefined);
  return until(look, () => `the end of ${source} of ${identity}`);
}

async function setQuality(identity, source, quality) {
  (await subscribed(identity, source)).setVideoQuality(LivekitClient.VideoQuality[quality]);
}

async function setSubscribed(identity, source, wanted) {
  const participant = room.remoteParticipants.get(identity);
  const publications = [...participant.trackPublications.values()];
  publications.find((publication) => publication.source === source).setSubscribed(wanted);
}

/** The server's addresses that media goes to: one, or one for each peer connection. */
async function usedPath() {
  const { publisher, subscriber } = room.engine.pcManager;
  const addresses = new Set();
  for (const transport of [publisher, subscriber].filter((known) => known)) {
    const all = [...(await transport.getStats()).values()];
    const { selectedCandidatePairId } = all.find((report) => report.type === "transport") ?? {};
    const pair = all.find((report) => report.id === selectedCandidatePairId);
    const remote = all.find((report) => report.id === pair?.remoteCandidateId);
    addresses.add(remote?.address ?? "none");
  }
  return [...addresses];
}
