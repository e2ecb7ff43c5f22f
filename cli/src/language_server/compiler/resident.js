// Keeps a Solidity compiler loaded: one line of standard JSON in, one line of its output out.
const solc = require(process.argv[1]);
let parts = [];
process.stdin.on("data", (chunk) => {
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10)) {
    parts.push(chunk.subarray(0, at));
    chunk = chunk.subarray(at + 1);
    const input = Buffer.concat(parts).toString("utf8");
    parts = [];
    let output;
    try {
      output = JSON.stringify(JSON.parse(solc.compile(input)));
    } catch (error) {
      output = JSON.stringify({ failure: String(error) });
    }
    process.stdout.write(output + "\n");
  }
  if (chunk.length > 0) parts.push(chunk);
});
process.stdin.on("end", () => process.exit(0));
