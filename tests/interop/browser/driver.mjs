// Runs page.html in Chromium and calls its functions: one JSON line each way, {"id", "call", "args"} and {"id", "result"}
// or {"id", "error"}.
//   node driver.mjs CHROMIUM NODE_MODULES
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const [chromiumPath, modules] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, "driver.js"))("playwright-core");
const here = import.meta.dirname;
const client = path.join(modules, "livekit-client", "dist");
const files = {
  "/": [here, "page.html", "text/html"],
  "/page.js": [here, "page.js", "text/javascript"],
  "/livekit-client.umd.js": [client, "livekit-client.umd.js", "text/javascript"],
  "/livekit-client.e2ee.worker.js": [client, "livekit-client.e2ee.worker.js", "text/javascript"],
};
const server = createServer(async (request, response) => {
  const file = files[request.url];
  if (!file) return response.writeHead(404).end();
  const content = await readFile(path.join(file[0], file[1]));
  response.writeHead(200, { "content-type": file[2] }).end(content);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: chromiumPath,
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
  ],
});
const page = await browser.newPage();
page.on("console", (message) => console.error(message.type(), message.text()));
page.on("pageerror", (error) => console.error("page error", error.message));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ id: 0, result: browser.version() });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, args } = JSON.parse(line);
  page.evaluate(([name, values]) => window[name](...values), [call, args]).then(
    (result) => say({ id, result: result ?? null }),
    (error) => say({ id, error: error.message }),
  );
}
await browser.close();
server.close();
process.exit(0);
