// Applies every rewrite that the server offers for the fixtures, compiles the result and looks for the finding.
// Usage: node rewrites.mjs BINARY
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "./client.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const fixtures = path.join(here, "../../fixtures/contracts");
const binary = process.argv[2];
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "deconflict-rewrites-")));

// The rules with rewrites, each with a contract that it is shown by; those that are allowed by default are asked for.
const shown = {
  "array-push": ["StampedPush"], "config-beside-hot-field": ["Shop"], "create-nonce-address": ["Accounts"],
  "event-only-read": ["Pot"], "factory-registry": ["PairFactory"], "false-sharing": ["PackedCounters", "Quotes"],
  "flash-balance-before": ["FlashPool"], "global-accumulator": ["Donations", "Inbox"],
  "global-counter": ["InheritedCounter", "ModifierCounter", "Ticketing", "UnicodeSource"],
  "guard-in-packed-slot": ["Slot0"], "last-touched": ["Latest", "Pokes"], "redundant-hot-check": ["Stock"],
  "return-only-read": ["Register"], "storage-reentrancy-guard": ["Bank", "EscrowFlag", "PackedLock"],
  "temp-in-storage": ["CallbackContext", "FlashLender"],
};
const rules = { "config-beside-hot-field": "warn", "redundant-hot-check": "warn", "return-only-read": "warn" };

// The text after some edits of the protocol, which counts in UTF-16 as strings do here.
function edited(text, edits) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  const offset = ({ line, character }) => starts[line] + character;
  const backwards = [...edits].sort((a, b) => offset(b.range.start) - offset(a.range.start));
  return backwards.reduce((text, it) => text.slice(0, offset(it.range.start)) + it.newText + text.slice(offset(it.range.end)), text);
}

try {
  const root = path.join(folder, "project");
  mkdirSync(path.join(root, "node_modules"), { recursive: true });
  symlinkSync(path.join(here, "node_modules/solc"), path.join(root, "node_modules/solc"));
  writeFileSync(path.join(root, "foundry.toml"), '[profile.default]\nsrc = "src"\nlibs = []\noptimizer = true\nevm_version = "prague"\n');
  for (const [rule, names] of Object.entries(shown)) {
    for (const name of names) cpSync(path.join(fixtures, rule, `${name}.sol`), path.join(root, "src", rule, `${name}.sol`));
  }
  // A guard of the package, and a comment that suppresses nothing.
  mkdirSync(path.join(root, "src/more"));
  const library = path.join(root, "node_modules/@openzeppelin/contracts/utils");
  mkdirSync(library, { recursive: true });
  const guard = (name, word) => `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;
abstract contract ${name} {
    uint256 private ${word} _status;
    modifier nonReentrant() {
        require(_status != 2);
        _status = 2;
        _;
        _status = 1;
    }
}
`;
  writeFileSync(path.join(library, "ReentrancyGuard.sol"), guard("ReentrancyGuard", ""));
  writeFileSync(path.join(library, "ReentrancyGuardTransient.sol"), guard("ReentrancyGuardTransient", "transient"));
  writeFileSync(path.join(root, "src/more/Safe.sol"), `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
contract Safe is ReentrancyGuard {
    mapping(address account => uint256) public balanceOf;
    function withdraw(uint256 amount) external nonReentrant {
        balanceOf[msg.sender] -= amount;
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent);
        // deconflict: allow(global-counter)
        balanceOf[msg.sender] += 0;
    }
}
`);
  const client = await Client.start(binary, [root], { settings: { rules } });
  await client.when(() => client.logged.some((it) => / ms, then /.test(it)), () => "the first compilation");
  await client.quiet();

  let count = 0;
  const rewritten = new Set();
  const files = readdirSync(path.join(root, "src"), { recursive: true }).filter((it) => it.endsWith(".sol")).sort();
  for (const name of files) {
    const file = path.join(root, "src", name);
    const uri = pathToFileURL(file).href;
    const original = readFileSync(file, "utf8");
    client.open(file);
    const whole = { start: { line: 0, character: 0 }, end: { line: 9999, character: 0 } };
    const ask = async () => (await client.request("textDocument/codeAction", { textDocument: { uri }, range: whole, context: { diagnostics: [] } }))
      .filter((it) => it.edit && !it.title.startsWith("Suppress"));
    const save = async (text) => {
      const seen = client.logged.length;
      client.save(file, text);
      await client.when(() => client.logged.slice(seen).some((it) => / ms, then |do not compile/.test(it)), () => "a compilation");
      await client.quiet();
    };
    const actions = await ask();
    assert.ok(actions.length > 0, `${name}: no rewrite among ${JSON.stringify(client.diagnostics.get(uri))}`);
    for (const action of actions) {
      const [diagnostic] = action.diagnostics;
      const same = () => (client.diagnostics.get(uri) ?? []).filter((it) => it.code === diagnostic.code && it.data.contract === diagnostic.data.contract);
      const before = same().length;
      const text = edited(original, action.edit.documentChanges[0].edits);
      await save(text);
      const now = client.diagnostics.get(uri) ?? [];
      assert.ok(now.every((it) => it.source === "deconflict"), `${name}: "${action.title}" does not compile:\n${text}`);
      assert.equal(same().length, before - 1, `${name}: "${action.title}" leaves ${diagnostic.code}:\n${text}`);
      console.log(`ok: ${name}: ${diagnostic.code}: ${action.title}`);
      rewritten.add(diagnostic.data.rule);
      count++;
      await save(original);
    }
  }
  const wanted = [...Object.keys(shown), "unused-suppression"].sort();
  assert.deepEqual([...rewritten].sort(), wanted);
  console.log(`${count} rewrites of ${rewritten.size} rules`);
  await client.stop();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
