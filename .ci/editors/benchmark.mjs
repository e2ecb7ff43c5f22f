// How long the language server takes on OpenZeppelin's contracts and the presets, built once.
// Usage: node benchmark.mjs BINARY [SAVES]; fixtures/real/install.sh has to have run.
import { createRequire } from "node:module";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const real = path.join(here, "../../fixtures/real");
const [binary, saves = "200"] = process.argv.slice(2);
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-benchmark-")));

const toml = `[profile.default]
src = "contracts"
libs = []
optimizer = true
optimizer_runs = 200
evm_version = "prague"
remappings = ["@openzeppelin/contracts/=contracts/"]
`;

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".sol"))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

// Compiles everything and writes it as `forge build` does.
function build(root) {
  const solc = createRequire(import.meta.url)("solc");
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(sources(path.join(root, "contracts")).map((it) => [path.relative(root, it), { content: readFileSync(it, "utf8") }])),
    settings: {
      optimizer: { enabled: true, runs: 200 }, evmVersion: "prague",
      remappings: ["@openzeppelin/contracts/=contracts/"],
      outputSelection: { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode", "evm.methodIdentifiers", "storageLayout", "metadata"], "": ["ast"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((it) => it.severity === "error");
  if (errors.length > 0) throw new Error(errors[0].formattedMessage);
  let contracts = 0;
  for (const [name, found] of Object.entries(output.contracts)) {
    for (const [contract, it] of Object.entries(found)) {
      const target = path.join(root, "out", path.basename(name), `${contract}.json`);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, JSON.stringify({
        abi: it.abi, bytecode: it.evm.bytecode, deployedBytecode: it.evm.deployedBytecode, methodIdentifiers: it.evm.methodIdentifiers,
        rawMetadata: it.metadata, metadata: it.metadata ? JSON.parse(it.metadata) : {}, storageLayout: it.storageLayout,
        ast: output.sources[name].ast, id: output.sources[name].id,
      }));
      contracts += it.evm.deployedBytecode.object.length > 0 ? 1 : 0;
    }
  }
  return contracts;
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const show = (times) => {
  const sorted = [...times].sort((a, b) => a - b);
  return `median ${at(sorted, 0.5).toFixed(1)} ms, 99th percentile ${at(sorted, 0.99).toFixed(1)} ms, most ${sorted.at(-1).toFixed(1)} ms (${sorted.length} times)`;
};
const memory = (id) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024;

try {
  const root = path.join(folder, "project");
  mkdirSync(root, { recursive: true });
  writeFileSync(path.join(root, "foundry.toml"), toml);
  const skip = /\/(mocks|build)(\/|$)/;
  const from = path.join(real, "node_modules/@openzeppelin/contracts");
  cpSync(from, path.join(root, "contracts"), { recursive: true, filter: (it) => !skip.test(it.slice(from.length)) });
  cpSync(path.join(real, "presets/openzeppelin"), path.join(root, "contracts/presets"), { recursive: true, filter: (it) => !it.includes("Upgradeable") });
  const contracts = build(root);
  mkdirSync(path.join(root, "node_modules"));
  symlinkSync(path.join(here, "node_modules/solc"), path.join(root, "node_modules/solc"));
  const all = sources(path.join(root, "contracts"));
  console.log(`${all.length} files, ${contracts} contracts with code`);

  // Without results of an earlier start, and with them.
  const cache = path.join(folder, "cache");
  const environment = { DECONFLICT_CACHE_DIR: cache };
  const starts = async (title, forget) => {
    const [first, all, known] = [[], [], []];
    for (let round = 0; round < 5; round++) {
      if (forget) rmSync(cache, { recursive: true, force: true });
      const started = performance.now();
      const client = await Client.start(binary, [root], { environment });
      await client.when(() => client.diagnostics.size > 0, () => "diagnostics");
      first.push(performance.now() - started);
      let last = performance.now();
      let files = client.diagnostics.size;
      await client.when(() => {
        if (client.diagnostics.size > files) [files, last] = [client.diagnostics.size, performance.now()];
        return client.progress.some((it) => it.kind === "end");
      });
      known.push(last - started);
      all.push(performance.now() - started);
      await client.stop();
    }
    const list = (times) => times.map((it) => it.toFixed(0)).join(", ");
    console.log(`${title}: first diagnostics ${list(first)} ms, the last file's ${list(known)} ms, all analysed ${list(all)} ms`);
  };
  await starts("nothing kept", true);
  await starts("results kept", false);

  const client = await Client.start(binary, [root], { environment });
  await client.when(() => client.diagnostics.size > 0, () => "diagnostics");
  await client.quiet();
  const file = [...client.diagnostics.keys()].map((it) => fileURLToPath(it)).sort()[0];
  const uri = pathToFileURL(file).href;
  const original = readFileSync(file, "utf8");
  client.open(file);
  console.log(`${client.diagnostics.size} files with findings; memory ${memory(client.process.pid).toFixed(0)} MB`);

  const lines = original.split("\n");
  const hovers = [];
  const lenses = [];
  for (let round = 0; round < 500; round++) {
    const line = round % lines.length;
    let started = performance.now();
    await client.request("textDocument/hover", { textDocument: { uri }, position: { line, character: Math.min(12, lines[line].length) } });
    hovers.push(performance.now() - started);
    started = performance.now();
    await client.request("textDocument/codeLens", { textDocument: { uri } });
    lenses.push(performance.now() - started);
  }
  console.log(`hover: ${show(hovers)}`);
  console.log(`lens: ${show(lenses)}`);

  const beyond = [];
  const compiled = [];
  const during = [];
  for (let round = 0; round < Number(saves); round++) {
    const seen = client.logged.length;
    const started = performance.now();
    client.save(file, original.replace(/\n/, `\n// round ${round}\n`));
    const asked = performance.now();
    await client.request("textDocument/codeLens", { textDocument: { uri } });
    during.push(performance.now() - asked);
    await client.when(() => client.logged.slice(seen).some((it) => / ms, then /.test(it)), () => "the end of a compilation");
    const took = performance.now() - started;
    const own = Number(/: (\d+) ms, then/.exec(client.logged.slice(seen).find((it) => / ms, then /.test(it)))[1]);
    compiled.push(own);
    beyond.push(took - own);
    if ((round + 1) % Math.ceil(Number(saves) / 5) === 0) {
      await client.quiet();
      console.log(`after ${round + 1} saves: memory ${memory(client.process.pid).toFixed(0)} MB`);
    }
  }
  console.log(`a save, compiler alone: ${show(compiled)}`);
  console.log(`a save, everything else: ${show(beyond)}`);
  console.log(`lens while a save is under way: ${show(during)}`);
  await client.stop();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
