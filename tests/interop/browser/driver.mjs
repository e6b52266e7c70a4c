// Runs pages of livekit-client in one Chromium, each in a context of its own, and calls their functions: one JSON line each
// way, {"id", "page", "call", "args"} and {"id", "result"} or {"id", "error"}. The calls `open`, `close` and `offline` are the
// driver's own, all others functions of the page.
//   node driver.mjs CHROMIUM NODE_MODULES CAMERA.y4m MICROPHONE.wav
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const [chromiumPath, modules, camera, microphone] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, "driver.js"))("playwright-core");
const types = { ".html": "text/html", ".js": "text/javascript" };

/** The file that a request path names: the page, a script beside it, or a build of livekit-client. */
function fileOf(url) {
  if (url === "/") return path.join(import.meta.dirname, "page.html");
  const name = path.basename(url);
  if (name.startsWith("livekit-client.")) return path.join(modules, "livekit-client", "dist", name);
  return path.join(import.meta.dirname, name);
}

const server = createServer(async (request, response) => {
  const file = fileOf(request.url);
  try {
    response.writeHead(200, { "content-type": types[path.extname(file)] }).end(await readFile(file));
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: chromiumPath,
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
    // The camera and the microphone play files; a shared screen is the tab itself.
    "--use-fake-device-for-media-stream=display-media-type=browser",
    `--use-file-for-fake-video-capture=${camera}`, `--use-file-for-fake-audio-capture=${microphone}`,
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
  ],
});
const pages = new Map();

async function open(name) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  page.on("console", (message) => console.error(name, message.type(), message.text().slice(0, 300)));
  page.on("pageerror", (error) => console.error(name, "page error", error.message));
  pages.set(name, page);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
}

async function close(name) {
  const page = pages.get(name);
  pages.delete(name);
  await page.context().close();
}

const own = { open, close, offline: (name, is) => pages.get(name).context().setOffline(is) };

function run({ page, call, args }) {
  if (own[call]) return own[call](page, ...args);
  return pages.get(page).evaluate(([name, values]) => window[name](...values), [call, args]);
}

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ id: 0, result: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  Promise.resolve(order).then(run).then(
    (result) => say({ id: order.id, result: result ?? null }),
    (error) => say({ id: order.id, error: error.message }),
  );
}
await browser.close();
server.close();
process.exit(0);
