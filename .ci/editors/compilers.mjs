// The ways to compile, each with a program that stands for the real one where that is not to be had: `solc` is a program
// with solc's command line that runs the compiler of npm. Usage: node compilers.mjs BINARY
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const binary = process.argv[2];
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-compilers-")));

function program(file) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!${process.execPath}
const solc = require(${JSON.stringify(path.join(here, "node_modules/solc"))});
const version = solc.version().replace("Emscripten.clang", "Linux.g++");
if (process.argv.includes("--version")) console.log("solc, the solidity compiler commandline interface\\nVersion: " + version);
else if (process.argv.includes("--standard-json")) process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
else process.exit(1);
`);
  chmodSync(file, 0o755);
  return file;
}

function project(name, toml = "") {
  const root = path.join(folder, name);
  cpSync(path.join(here, "../../fixtures/demo/counter"), root, { recursive: true });
  if (toml) writeFileSync(path.join(root, "foundry.toml"), `[profile.default]\n${toml}`);
  return root;
}

// What a folder holds, as a text.
const listing = (root) => readdirSync(root, { recursive: true }).filter((it) => !it.includes("node_modules")).sort().join("\n");

// Changes a source, waits for the finding to go, and returns what the server says it has compiled with.
async function compiledBy(root, environment, { settings = null, rounds = 1 } = {}) {
  const file = path.join(root, "src/Token.sol");
  const uri = pathToFileURL(file).href;
  const before = { files: listing(root), artifact: readFileSync(path.join(root, "out/Token.sol/Token.json"), "utf8") };
  const original = readFileSync(file, "utf8");
  const client = await Client.start(binary, [root], { settings, environment: { HOME: folder, ...environment } });
  await client.until(uri, (it) => it.length === 2);
  client.open(file);
  for (let round = 0; round < rounds; round++) {
    client.save(file, original.replace("        purchases += 1;\n", `        // ${round}\n`));
    await client.until(uri, (it) => it.length === 1 && it[0].source === "deconflict");
    client.save(file, `${original}contract {`);
    await client.until(uri, (it) => it.length > 0 && it[0].source === "deconflict (stale)");
    client.save(file, original);
    await client.until(uri, (it) => it.length === 2 && it[0].source === "deconflict");
  }
  assert.deepEqual(client.shown, []);
  assert.equal(await client.stop(), 0);
  const after = { files: listing(root), artifact: readFileSync(path.join(root, "out/Token.sol/Token.json"), "utf8") };
  assert.deepEqual(after, before, "nothing is written into the project");
  return client.logged.map((it) => /^(.*): \d+ ms, then/.exec(it)?.[1]).find((it) => it);
}

async function step(title, work) {
  const started = performance.now();
  await work();
  console.log(`ok: ${title} (${Math.round(performance.now() - started)} ms)`);
}

try {
  const nodes = path.dirname(process.execPath);
  const elsewhere = program(path.join(folder, "bin/solc"));
  // The best is left for last: each way has those that come after it at hand as well.
  const package_ = (root) => {
    mkdirSync(path.join(root, "node_modules"), { recursive: true });
    symlinkSync(path.join(here, "node_modules/solc"), path.join(root, "node_modules/solc"));
  };
  await step("the package of the project, kept loaded", async () => {
    const root = project("package");
    package_(root);
    const bare = path.join(folder, "bare");
    mkdirSync(bare);
    symlinkSync(process.execPath, path.join(bare, "node"));
    assert.equal(await compiledBy(root, { PATH: bare }, { rounds: 2 }), path.join(root, "node_modules/solc"));
  });
  await step("a solc on the PATH", async () => {
    const root = project("path");
    package_(root);
    assert.equal(await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}` }), elsewhere);
  });
  const forge = path.join(here, "node_modules/.bin/forge");
  if (existsSync(forge)) {
    await step("forge, with a folder of the server's own", async () => {
      const root = project("forge", 'src = "src"\nout = "out"\nlibs = []\n');
      const own = program(path.join(folder, "own/solc"));
      mkdirSync(path.join(root, "node_modules/.bin"), { recursive: true });
      symlinkSync(forge, path.join(root, "node_modules/.bin/forge"));
      const by = await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}:/usr/bin:/bin`, FOUNDRY_SOLC: own });
      assert.equal(by, path.join(root, "node_modules/.bin/forge"));
    });
  }
  await step("the solc that foundry.toml names", async () => {
    const root = project("configured", 'src = "src"\nsolc = "tools/solc"\n');
    package_(root);
    const own = program(path.join(root, "tools/solc"));
    assert.equal(await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}` }), own);
  });
  await step("the version that foundry.toml names, where Foundry keeps it", async () => {
    const root = project("version", 'src = "src"\nsolc = "0.8.30"\n');
    const own = program(path.join(folder, ".svm/0.8.30/solc-0.8.30"));
    assert.equal(await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}` }), own);
  });
  await step("the solc of the settings before all others", async () => {
    const root = project("settings", 'src = "src"\nsolc = "0.8.30"\n');
    const own = program(path.join(folder, "mine/solc"));
    assert.equal(await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}` }, { settings: { solc: own } }), own);
  });
  await step("a compiler that does not fit is passed over", async () => {
    const root = project("passed", 'src = "src"\nsolc = "broken"\n');
    writeFileSync(path.join(root, "broken"), "#!/bin/sh\nexit 1\n");
    chmodSync(path.join(root, "broken"), 0o755);
    assert.equal(await compiledBy(root, { PATH: `${path.dirname(elsewhere)}:${nodes}:/bin` }), elsewhere);
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
