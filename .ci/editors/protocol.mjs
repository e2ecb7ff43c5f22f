// Drives the language server through VS Code's own protocol library. Usage: node protocol.mjs BINARY
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const binary = process.argv[2];
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-protocol-")));

function project(name, from = "demo/counter") {
  const root = path.join(folder, name);
  cpSync(path.join(here, "../../fixtures", from), root, { recursive: true });
  mkdirSync(path.join(root, "node_modules"), { recursive: true });
  symlinkSync(path.join(here, "node_modules/solc"), path.join(root, "node_modules/solc"));
  return root;
}

async function step(title, work) {
  const started = performance.now();
  await work();
  console.log(`ok: ${title} (${Math.round(performance.now() - started)} ms)`);
}

const codes = (found) => found.map((it) => it.code);

try {
  const root = project("one");
  const file = path.join(root, "src/Token.sol");
  const uri = pathToFileURL(file).href;
  const original = readFileSync(file, "utf8");
  const client = await Client.start(binary, [root], { settings: { inlayHints: true } });

  await step("diagnostics are pushed, with all their parts", async () => {
    const found = await client.until(uri, (it) => it.length === 2);
    assert.deepEqual(codes(found), ["C101", "C102"]);
    assert.match(found[0].codeDescription.href, /global-counter\.md$/);
    assert.match(readFileSync(fileURLToPath(found[0].codeDescription.href), "utf8"), /^# global-counter/);
    assert.equal(found[0].relatedInformation[0].location.uri, uri);
    await client.quiet();
    assert.ok(client.progress.some((it) => it.kind === "begin") && client.progress.some((it) => it.kind === "end"));
  });

  client.open(file);
  const document = { textDocument: { uri } };
  const at = (needle) => {
    const before = original.slice(0, original.indexOf(needle)).split("\n");
    return { line: before.length - 1, character: before.at(-1).length };
  };
  const whole = { start: { line: 0, character: 0 }, end: { line: 999, character: 0 } };

  await step("hover, lens, hints, symbols, actions, pulled diagnostics", async () => {
    const hover = await client.request("textDocument/hover", { ...document, position: at("totalVolume +=") });
    assert.match(hover.contents.value, /slot 2/);
    const lenses = await client.request("textDocument/codeLens", document);
    assert.match(lenses[1].command.title, /^reads 3, writes 3 · conflicts with itself/);
    const hints = await client.request("textDocument/inlayHint", { ...document, range: whole });
    assert.deepEqual(hints.map((it) => it.label), ["slot 0", "slot 1", "slot 2"]);
    const symbols = await client.request("textDocument/documentSymbol", document);
    assert.deepEqual(symbols.map((it) => it.name), ["purchases", "totalVolume"]);
    const everywhere = await client.request("workspace/symbol", { query: "volume" });
    assert.equal(everywhere[0].location.uri, uri);
    const pulled = await client.request("textDocument/diagnostic", document);
    assert.equal(pulled.items.length, 2);
    const again = await client.request("textDocument/diagnostic", { ...document, previousResultId: pulled.resultId });
    assert.equal(again.kind, "unchanged");
    const all = await client.request("workspace/diagnostic", { previousResultIds: [] });
    assert.equal(all.items[0].uri, uri);
    const context = { diagnostics: client.diagnostics.get(uri), only: ["quickfix"] };
    const actions = await client.request("textDocument/codeAction", { ...document, range: whole, context });
    assert.deepEqual(new Set(actions.map((it) => it.kind)), new Set(["quickfix"]));
    const matrix = await client.request("workspace/executeCommand", lenses[0].command);
    assert.match(matrix.text, /# Token/);
  });

  await step("an error of the compiler keeps the last good findings", async () => {
    client.save(file, original.replace("purchases += 1;", "purchases += 1"));
    const found = await client.until(uri, (it) => it[0]?.source === "deconflict (stale)");
    assert.deepEqual(codes(found), ["C101", "C102"]);
    client.save(file, original);
    await client.until(uri, (it) => it.length === 2 && it[0].source === "deconflict");
  });

  await step("a finding goes with its cause", async () => {
    client.save(file, original.replace("        purchases += 1;\n", "        // ü 😀\n"));
    const found = await client.until(uri, (it) => it.length === 1 && it[0].source === "deconflict");
    assert.deepEqual(codes(found), ["C102"]);
  });

  await step("positions count what the client counts, also after a compilation", async () => {
    const line = "        /* ü😀 */ totalVolume += amount;";
    client.save(file, original.replace("        totalVolume += amount;", line));
    const found = await client.until(uri, (it) => it.length === 2 && it[1].range.start.character === line.indexOf("totalVolume") && it[1].source === "deconflict");
    await client.quiet();
    assert.equal(client.diagnostics.get(uri)[1].range.end.character, line.indexOf(";"));
    assert.deepEqual(codes(found), ["C101", "C102"]);
  });

  await step("a local variable is not the state variable of its name", async () => {
    const text = original.replace("        totalVolume += amount;", "        uint256 purchases = amount;\n        totalVolume += purchases;");
    client.save(file, text);
    await client.until(uri, (it) => it.length === 2 && it[1].range.start.line === 20 && it[1].source === "deconflict");
    await client.quiet();
    const hover = (needle) => {
      const before = text.slice(0, text.indexOf(needle)).split("\n");
      const position = { line: before.length - 1, character: before.at(-1).length };
      return client.request("textDocument/hover", { ...document, position });
    };
    assert.match((await hover("purchases += 1")).contents.value, /slot 1/);
    assert.equal(await hover("purchases = amount"), null);
    assert.equal(await hover("purchases;\n        emit"), null);
  });

  await step("every other save does not compile, and no message is shown twice", async () => {
    for (let round = 0; round < 6; round++) {
      client.save(file, round % 2 ? original + `// ${round}\n` : original + "contract {");
      const source = round % 2 ? "deconflict" : "deconflict (stale)";
      await client.until(uri, (it) => it.length > 0 && it[0].source === source);
    }
    assert.deepEqual(client.shown, []);
  });

  await step("files are renamed, deleted and made anew", async () => {
    const moved = path.join(root, "src/Moved.sol");
    renameSync(file, moved);
    client.changed([[file, 3], [moved, 1]]);
    await client.until(pathToFileURL(moved).href, (it) => it.length === 2);
    await client.until(uri, (it) => it.length === 0);
    unlinkSync(moved);
    client.changed([[moved, 3]]);
    await client.until(pathToFileURL(moved).href, (it) => it.length === 0);
    writeFileSync(file, original);
    client.changed([[file, 1]]);
    await client.until(uri, (it) => it.length === 2);
  });

  await step("a second root with the same contracts", async () => {
    const other = project("two", "demo/start");
    client.folders([other], []);
    const matrices = async () => (await client.request("workspace/symbol", { query: "" })).map((it) => it.location.uri);
    await client.quiet();
    assert.ok((await matrices()).includes(uri));
    client.folders([], [root]);
    await client.until(uri, (it) => it.length === 0);
    assert.ok(!(await matrices()).includes(uri));
  });

  await step("shutdown and exit", async () => {
    assert.equal(await client.stop(), 0);
  });

  await step("a client that asks is told when to ask again", async () => {
    const root = project("three");
    const file = path.join(root, "src/Token.sol");
    const document = { textDocument: { uri: pathToFileURL(file).href } };
    const client = await Client.start(binary, [root], { pulls: true });
    await client.refreshed();
    client.open(file);
    assert.equal((await client.request("textDocument/diagnostic", document)).items.length, 2);
    client.save(file, original.replace("        purchases += 1;\n", ""));
    await client.refreshed(async () => (await client.request("textDocument/diagnostic", document)).items.length === 1);
    assert.equal(client.diagnostics.size, 0);
    assert.equal(await client.stop(), 0);
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
