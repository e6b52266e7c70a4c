// What the page hears.
"use strict";

/** Pitch and level (0..1) of what is heard of a participant once it has been loud or, with `loud` false, silent for half a second;
 * or at the end of `limitMs`. */
async function hear(identity, { loud = true, limitMs = 15000, source = "audio" } = {}) {
  const { track } = await subscribed(identity, source);
  const stream = new MediaStream([track.mediaStreamTrack]);
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
  await element.play();
  const context = new AudioContext({ sampleRate: 48000 });
  const analyser = new AnalyserNode(context, { fftSize: 16384 });
  context.createMediaStreamSource(stream).connect(analyser);
  const deadline = Date.now() + limitMs;
  let heard = { pitch_hz: 0, level: 0 };
  for (let steady = 0; Date.now() < deadline && steady < 10; ) {
    await sleep(50);
    heard = judge(analyser);
    steady = (loud ? heard.level > 0.05 : heard.level < 0.001) ? steady + 1 : 0;
  }
  element.remove();
  await context.close();
  return heard;
}

function judge(analyser) {
  const wave = new Float32Array(analyser.fftSize);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatTimeDomainData(wave);
  analyser.getFloatFrequencyData(spectrum);
  const level = Math.sqrt(wave.reduce((sum, sample) => sum + sample * sample, 0) / wave.length);
  const pitch_hz = (spectrum.indexOf(Math.max(...spectrum)) * 48000) / analyser.fftSize;
  return { pitch_hz, level };
}
