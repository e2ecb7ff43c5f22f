// The server's memory over many edits and saves of a small project, every tenth of which does not compile.
// Usage: node memory.mjs BINARY [SAVES]
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const [binary, saves = "1000"] = process.argv.slice(2);
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-memory-")));
const memory = (id) => (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024).toFixed(1);

try {
  const root = path.join(folder, "project");
  cpSync(path.join(here, "../../fixtures/demo/counter"), root, { recursive: true });
  mkdirSync(path.join(root, "node_modules"));
  symlinkSync(path.join(here, "node_modules/solc"), path.join(root, "node_modules/solc"));
  const file = path.join(root, "src/Token.sol");
  const uri = pathToFileURL(file).href;
  const original = readFileSync(file, "utf8");
  const client = await Client.start(binary, [root], { environment: { DECONFLICT_CACHE_DIR: path.join(folder, "cache") } });
  await client.until(uri, (it) => it.length === 2);
  client.open(file);
  console.log(`at the start: ${memory(client.process.pid)} MB`);
  for (let round = 1; round <= Number(saves); round++) {
    const broken = round % 10 === 0;
    // Each round has other code, so that nothing that was analysed before can be taken again.
    const text = original.replace("purchases += 1;", `purchases += ${round};`) + (broken ? "contract {" : "");
    client.save(file, text);
    const source = broken ? "deconflict (stale)" : "deconflict";
    await client.when(() => client.progress.filter((it) => it.kind === "end").length > round, () => `round ${round}`);
    await client.until(uri, (it) => it.length === 2 && it[0].source === source);
    if (round % (Number(saves) / 5) === 0) console.log(`after ${round} saves: ${memory(client.process.pid)} MB`);
  }
  await client.stop();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
