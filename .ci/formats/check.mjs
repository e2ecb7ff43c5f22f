/**
 * Holds what `check` writes against readers that are not ours.
 *
 * In: the path of the binary. Out: nothing, or an error that names the format and what its reader said. SARIF is read by
 * Microsoft's multitool and held against the schema that comes with it; JUnit by junit2json; the code quality report is
 * held against what GitLab's documentation asks for.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv/dist/2020.js";
import { parse } from "junit2json";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const [binary] = process.argv.slice(2);
const inputs = ["fixtures/demo/counter", "fixtures/demo/suppressed", "fixtures/artifacts"];
const scratch = mkdtempSync(join(tmpdir(), "formats-"));

function written(format, input) {
  const run = spawnSync(binary, ["check", input, "--quiet", "--deny", "C102", "--format", format], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (run.status > 1) throw new Error(`check ${input} --format ${format}: ${run.stderr}`);
  return run.stdout;
}

function validator(schema) {
  const validate = new Ajv({ strict: false, logger: false, validateFormats: false }).compile(schema);
  return (value, what) => {
    if (!validate(value)) throw new Error(`${what}: ${JSON.stringify(validate.errors.slice(0, 3), null, 1)}`);
  };
}

const tool = join(here, "node_modules", "@microsoft", "sarif-multitool-linux");
const schema = JSON.parse(readFileSync(join(tool, "sarif-2.1.0.json"), "utf8"));
const checkSarif = validator(schema);

const text = { type: "string", minLength: 1 };
const line = { type: "integer", minimum: 1 };
const checkGitlab = validator({
  type: "array",
  items: {
    type: "object",
    required: ["description", "check_name", "fingerprint", "severity", "location"],
    properties: {
      description: text,
      check_name: text,
      fingerprint: text,
      severity: { enum: ["info", "minor", "major", "critical", "blocker"] },
      location: {
        type: "object",
        required: ["path", "lines"],
        properties: {
          path: { type: "string", pattern: "^[^/]" },
          lines: { type: "object", required: ["begin"], properties: { begin: line, end: line } },
        },
      },
    },
  },
});

try {
  const files = [];
  let findings = 0;
  for (const [index, input] of inputs.entries()) {
    const sarif = written("sarif", input);
    checkSarif(JSON.parse(sarif), `SARIF of ${input}`);
    files.push(join(scratch, `${index}.sarif`));
    writeFileSync(files.at(-1), sarif);

    const issues = JSON.parse(written("gitlab", input));
    checkGitlab(issues, `GitLab's report of ${input}`);
    const fingerprints = new Set(issues.map((issue) => issue.fingerprint));
    if (fingerprints.size !== issues.length) throw new Error(`${input}: fingerprints are not unique`);

    const results = JSON.parse(sarif).runs[0].results.filter((it) => !it.suppressions);
    const suites = await parse(written("junit", input));
    const failures = results.filter((it) => it.level === "error").length;
    if (Number(suites.failures) !== failures) throw new Error(`${input}: ${suites.failures} failures, not ${failures}`);
    const cases = suites.testsuite.flatMap((suite) => suite.testcase ?? []);
    if (cases.length !== Math.max(results.length, 1)) throw new Error(`${input}: ${cases.length} tests`);

    const annotations = written("github", input).trimEnd().split("\n").filter(Boolean);
    const command = /^::(error|warning|notice) file=[^,:]+(,(line|endLine|col|endColumn)=\d+)*,title=[^,:]+::.+$/;
    for (const annotation of annotations) {
      if (!command.test(annotation)) throw new Error(`no workflow command: ${annotation}`);
    }
    const counts = [results.length, issues.length, annotations.length, written("concise", input).split("\n").length - 1];
    if (new Set(counts).size !== 1) throw new Error(`${input}: the formats disagree: ${counts}`);
    findings += results.length;
  }
  const multitool = join(here, "node_modules", ".bin", "sarif-multitool-linux");
  const environment = { ...process.env, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1" };
  const said = execFileSync(multitool, ["validate", ...files], { encoding: "utf8", env: environment });
  const errors = said.split("\n").filter((it) => / error /.test(it));
  if (errors.length > 0 || !said.includes(`${files.length} files scanned`)) throw new Error(said);
  console.log(`${findings} findings in ${inputs.length} inputs read back from every format`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
