// What the page shows: a video element for each track it looks at, a meter of its frames, and its pixels.
"use strict";

const shown = new Map();

/** Show a track in an element of this size. A second call changes the size; null hides the element. */
async function show(identity, source = "camera", size = [640, 360]) {
  const view = await viewOf(identity, source);
  view.element.style.display = size ? "" : "none";
  if (size) Object.assign(view.element.style, { width: `${size[0]}px`, height: `${size[1]}px` });
}

/** Its element shows the track that there is now: after a restart of a session it is another one. */
async function viewOf(identity, source) {
  const { track } = await subscribed(identity, source);
  const name = `${identity} ${source}`;
  if (!shown.has(name)) shown.set(name, makeView());
  const view = shown.get(name);
  if (view.track !== track) {
    view.track?.detach(view.element);
    view.track = track;
    view.last = undefined;
    track.attach(view.element);
  }
  return view;
}

function makeView() {
  const element = Object.assign(document.createElement("video"), { muted: true });
  const view = { element, track: undefined, frames: 0, longest_gap_ms: 0, last: undefined };
  document.body.append(element);
  const count = (now) => {
    view.frames += 1;
    if (view.last !== undefined) view.longest_gap_ms = Math.max(view.longest_gap_ms, now - view.last);
    view.last = now;
    element.requestVideoFrameCallback(count);
  };
  element.requestVideoFrameCallback(count);
  return view;
}

/** Size and the mean colours of the quarters of what is seen, once `frames` frames have come; null when they don't within
 * `limitMs`. With `size`, frames of another size are not counted. */
async function see(identity, source = "camera", { frames = 20, size = null, limitMs = 20000 } = {}) {
  if (!shown.has(`${identity} ${source}`)) await show(identity, source);
  const view = await viewOf(identity, source);
  const { element } = view;
  const deadline = Date.now() + limitMs;
  const fits = () => !size || (element.videoWidth === size[0] && element.videoHeight === size[1]);
  for (let before = view.frames; view.frames < before + frames; await sleep(50)) {
    if (!fits()) before = view.frames;
    if (Date.now() > deadline) return null;
  }
  return { width: element.videoWidth, height: element.videoHeight, quarters_rgb: quarters(element) };
}

function quarters(element) {
  const [width, height] = [element.videoWidth, element.videoHeight];
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.drawImage(element, 0, 0);
  return [0, 1, 2, 3].map((index) => {
    const [left, top] = [((index % 2) * width) / 2, ((index >> 1) * height) / 2];
    const { data } = context.getImageData(left + width / 8, top + height / 8, width / 4, height / 4);
    const sums = [0, 0, 0];
    for (let at = 0; at < data.length; at += 4) sums.forEach((_, channel) => (sums[channel] += data[at + channel]));
    return sums.map((sum) => (sum * 4) / data.length);
  });
}

/** The longest time without a new frame since the last call, in milliseconds; the time since the last frame counts. */
function longestGap(identity, source = "camera") {
  const view = shown.get(`${identity} ${source}`);
  const gap = Math.max(view.longest_gap_ms, performance.now() - view.last);
  view.longest_gap_ms = 0;
  return gap;
}
