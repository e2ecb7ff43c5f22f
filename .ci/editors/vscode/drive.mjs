// Drives VS Code itself: code-server of npm, which is VS Code with its workbench in a browser, with the packaged
// extension, in a headless Chromium. Usage: node vscode.mjs BINARY CODE-SERVER VSIX; node 22 or newer
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const [binary, codeServer, extension] = process.argv.slice(2).map((it) => path.resolve(it));
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-vscode-")));
const children = [];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  child.text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (it) => { child.text += it; });
  children.push(child);
  return child;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// A page of the browser, by its debugging protocol.
class Page {
  #next = 0;
  #waiting = new Map();

  static async open(url, port) {
    const page = new Page();
    let target;
    for (let round = 0; round < 100 && !target; round++) {
      const list = await fetch(`http://127.0.0.1:${port}/json`).then((it) => it.json()).catch(() => []);
      target = list.find((it) => it.type === "page");
      if (!target) await sleep(100);
    }
    page.socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve) => page.socket.addEventListener("open", resolve));
    page.socket.addEventListener("message", ({ data }) => {
      const { id, result, error } = JSON.parse(data);
      const waiting = page.#waiting.get(id);
      if (waiting) (error ? waiting.reject(new Error(error.message)) : waiting.resolve(result));
      page.#waiting.delete(id);
    });
    await page.send("Page.navigate", { url });
    return page;
  }

  send(method, params = {}) {
    const id = ++this.#next;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  async run(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // Waits until an expression has a value that counts as true.
  async until(title, expression, patience = 60_000) {
    for (const end = Date.now() + patience; Date.now() < end; await sleep(100)) {
      const value = await this.run(expression).catch(() => undefined);
      if (value) return value;
    }
    if (process.env.PICTURES) await this.picture("failed");
    throw new Error(`waited in vain: ${title}\n${await this.run("document.body.innerText.slice(0, 3000)")}`);
  }

  async press(key, code, keyCode, modifiers = 0) {
    const event = { key, code, windowsVirtualKeyCode: keyCode, modifiers };
    await this.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  enter() { return this.press("Enter", "Enter", 13); }
  escape() { return this.press("Escape", "Escape", 27); }
  text(text) { return this.send("Input.insertText", { text }); }

  async mouse(type, x, y, button = "none") {
    await this.send("Input.dispatchMouseEvent", { type, x, y, button, clickCount: button === "none" ? 0 : 1 });
  }

  async click(x, y) {
    await this.mouse("mouseMoved", x, y);
    await this.mouse("mousePressed", x, y, "left");
    await this.mouse("mouseReleased", x, y, "left");
  }

  // One entry of the command palette, by its title.
  async command(title) {
    await this.press("F1", "F1", 112);
    await this.until("the command palette", "document.querySelector('.quick-input-widget:not([style*=\"display: none\"]) input') === document.activeElement");
    await this.text(title);
    const row = "[...document.querySelectorAll('.quick-input-list .monaco-list-row.focused')].map((it) => it.ariaLabel).join()";
    await this.until(`the command ${title}`, `${row}.includes(${JSON.stringify(title.split(": ").at(-1))})`);
    // The list is put together anew for a while.
    await sleep(400);
    await this.enter();
  }

  async picture(name) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path.join(process.env.PICTURES, `${name}.png`), Buffer.from(data, "base64"));
  }
}

async function step(title, work) {
  const started = performance.now();
  await work();
  console.log(`ok: ${title} (${Math.round(performance.now() - started)} ms)`);
}

// What stands on the screen, with plain blanks.
const TEXT = (selector) => `[...document.querySelectorAll(${JSON.stringify(selector)})].map((it) => it.textContent.replaceAll("\\u00a0", " ")).join("\\n")`;
const STATUS = "[...document.querySelectorAll('.statusbar-item')].filter((it) => it.textContent.includes('Deconflict')).map((it) => it.querySelector('a')?.ariaLabel ?? it.ariaLabel ?? it.textContent).join()";
const SQUIGGLES = "document.querySelectorAll('.squiggly-warning').length";

try {
  const root = path.join(folder, "project");
  cpSync(path.join(here, "../../../fixtures/demo/counter"), root, { recursive: true });
  mkdirSync(path.join(root, "node_modules"));
  symlinkSync(path.join(here, "../node_modules/solc"), path.join(root, "node_modules/solc"));
  const data = path.join(folder, "data");
  mkdirSync(path.join(data, "User"), { recursive: true });
  writeFileSync(path.join(data, "User/settings.json"), JSON.stringify({
    "deconflict.path": binary, "deconflict.inlayHints": true, "security.workspace.trust.enabled": false,
    "workbench.startupEditor": "none", "telemetry.telemetryLevel": "off", "files.autoSave": "off",
  }));
  const environment = { ...process.env, HOME: folder, XDG_CONFIG_HOME: path.join(folder, "config"), XDG_DATA_HOME: path.join(folder, "share"), DECONFLICT_CACHE_DIR: path.join(folder, "cache") };
  const places = ["--user-data-dir", data, "--extensions-dir", path.join(folder, "extensions")];
  await step("the packaged extension is installed", async () => {
    const ran = spawnSync(process.execPath, [codeServer, ...places, "--install-extension", extension], { env: environment, encoding: "utf8" });
    assert.match(ran.stdout + ran.stderr, /successfully installed/);
  });
  const [port, debugging] = [await freePort(), await freePort()];
  const server = start(process.execPath, [codeServer, ...places, "--auth", "none", "--bind-addr", `127.0.0.1:${port}`, "--disable-telemetry", "--disable-update-check", root], { env: environment });
  for (let round = 0; !server.text.includes("HTTP server listening"); round++) {
    assert.ok(round < 300, server.text);
    await sleep(100);
  }
  start("chromium", ["--headless=new", "--no-sandbox", "--disable-gpu", `--remote-debugging-port=${debugging}`, "--window-size=1400,900", `--user-data-dir=${path.join(folder, "chromium")}`, "about:blank"], { env: environment });
  const page = await Page.open(`http://127.0.0.1:${port}/?folder=${root}`, debugging);

  await step("VS Code opens the project, and the extension starts", async () => {
    await page.until("the workbench", "document.querySelector('.monaco-workbench .statusbar-item') !== null");
    await page.until("the status bar", `${STATUS}.includes("Deconflict")`);
  });
  await step("the source has squiggles, lenses and hints", async () => {
    await page.press("p", "KeyP", 80, 2);
    await page.until("quick open", "document.querySelector('.quick-input-widget:not([style*=\"display: none\"]) input') === document.activeElement");
    await page.text("Token.sol");
    await page.until("the file", "[...document.querySelectorAll('.quick-input-list .monaco-list-row.focused')].some((it) => it.ariaLabel.includes('Token.sol'))");
    await page.enter();
    await page.until("squiggles", `${SQUIGGLES} >= 2`);
    await page.until("lenses", `${TEXT(".codelens-decoration")}.includes("reads 3, writes 3 · conflicts with itself")`);
    await page.until("hints", `${TEXT(".view-lines")}.includes("slot 2")`);
    if (process.env.PICTURES) await page.picture("open");
  });
  await step("the status bar counts the findings", async () => {
    await page.until("2 findings", `${STATUS}.includes("2 findings")`);
  });
  const place = async (text) => page.until(text, `(() => {
    for (const span of document.querySelectorAll(".view-line span span")) {
      const at = span.textContent.replaceAll("\\u00a0", " ").indexOf(${JSON.stringify(text)});
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(span.firstChild, at + 2); range.setEnd(span.firstChild, at + 3);
      const box = range.getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    }
  })()`);
  await step("a hover says where a variable is and who conflicts there", async () => {
    const { x, y } = await place("totalVolume +=");
    await page.mouse("mouseMoved", x - 3, y);
    await page.mouse("mouseMoved", x, y);
    await page.until("the hover", `${TEXT(".monaco-hover")}.includes("Storage of Token: slot 2")`);
    await page.until("the finding", `${TEXT(".monaco-hover")}.includes("global-accumulator")`);
    if (process.env.PICTURES) await page.picture("hover");
  });
  await step("a code action writes a suppression, and the finding goes with the save", async () => {
    // Away from the hover, which would take the click.
    await page.mouse("mouseMoved", 700, 700);
    await page.escape();
    await page.until("no hover", "document.querySelectorAll('.monaco-hover:not(.hidden)').length === 0 || [...document.querySelectorAll('.monaco-hover')].every((it) => it.offsetParent === null)");
    const { x, y } = await place("purchases +=");
    await page.click(x, y);
    await page.until("the cursor", `${TEXT(".statusbar-item")}.includes("Ln 14")`);
    await page.press(".", "Period", 190, 2);
    await page.until("the actions", `${TEXT(".action-widget")}.includes("Suppress \`global-counter\`")`);
    if (process.env.PICTURES) await page.picture("actions");
    const rows = await page.run("[...document.querySelectorAll('.action-widget .monaco-list-row.action')].map((it) => { const box = it.getBoundingClientRect(); return { text: it.textContent, x: box.x + 20, y: box.y + box.height / 2 }; })");
    const row = rows.find((it) => it.text.includes("Suppress `global-counter`"));
    await page.click(row.x, row.y);
    await page.until("the comment", `${TEXT(".view-lines")}.includes("deconflict: allow(global-counter)")`);
    await page.press("s", "KeyS", 83, 2);
    await page.until("one finding", `${SQUIGGLES} === 1 && ${STATUS}.includes("1 finding")`);
    assert.match(readFileSync(path.join(root, "src/Token.sol"), "utf8"), /deconflict: allow\(global-counter\)/);
  });
  await step("commands: matrix, output, restart", async () => {
    await page.command("Deconflict: Show Matrix");
    await page.until("the preview", `${TEXT(".tab")}.includes("Preview conflicts.md")`);
    assert.equal(await page.run("document.querySelectorAll('.tab').length"), 2, "the page is shown once");
    if (process.env.PICTURES) await page.picture("matrix");
    // Back from the preview, which has the focus once it is there.
    await sleep(1000);
    const { x, y } = await place("purchases +=");
    await page.click(x, y);
    await page.command("Deconflict: Show Output");
    await page.until("the output", `${TEXT(".part.panel")}.includes("Output") && ${TEXT(".part.panel")}.includes("ms, then")`);
    if (process.env.PICTURES) await page.picture("output");
    const before = running();
    assert.equal(before.length, 1);
    await page.command("Deconflict: Restart Server");
    await page.until("another server", `new Promise((resolve) => setTimeout(resolve, 500, true))`);
    for (let round = 0; round < 100 && (running().length !== 1 || running()[0] === before[0]); round++) await sleep(100);
    assert.equal(running().length, 1);
    assert.notEqual(running()[0], before[0]);
    await page.until("the finding again", `${STATUS}.includes("1 finding")`);
  });
  page.socket.close();
} finally {
  for (const child of children.reverse()) child.kill();
  await sleep(500);
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

// The language servers of this editor, by their process.
function running() {
  const listed = spawnSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" }).stdout;
  return listed.split("\n").filter((it) => it.includes(`${binary} lsp`)).map((it) => Number.parseInt(it, 10));
}
