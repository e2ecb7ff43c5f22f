#!/usr/bin/env node
// Starts the binary of the package for this platform, which npm has installed beside this one.
//
// In: the arguments, handed on as they are. Out: what the binary prints, and its exit code; 2 if there is no binary. Never: a
// download, neither now nor when the package is installed.
"use strict";

const { spawn } = require("node:child_process");
const { platforms } = require("../package.json").deconflict;

/** The name of this platform, as the packages have it: `linux-x64`, `linux-x64-musl`, `win32-x64`. */
function platform() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  const { glibcVersionRuntime } = process.report.getReport().header;
  return glibcVersionRuntime ? name : `${name}-musl`;
}

/** The path of the binary, or nothing but a message. */
function binary() {
  const name = platform();
  if (!platforms.includes(name)) {
    complain(`there is no binary for ${name}; there is one for ${platforms.join(", ")}. With Rust: cargo install deconflict`);
    return null;
  }
  const file = process.platform === "win32" ? "deconflict.exe" : "deconflict";
  try {
    return require.resolve(`@deconflict/${name}/${file}`);
  } catch {
    complain(`the package @deconflict/${name} is not installed: install deconflict again without --omit=optional`);
    return null;
  }
}

function complain(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 2;
}

const path = binary();
if (path) {
  // A terminal sends its interrupt to both; whoever sends a signal to this process alone means the binary. Handled before the
  // binary is there, so that none of them ends this process in between.
  let child = null;
  const signals = ["SIGHUP", "SIGINT", "SIGTERM"];
  for (const signal of signals) {
    process.on(signal, () => (signal === "SIGINT" && process.stdin.isTTY) || child.kill(signal));
  }
  child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
  child.on("error", (error) => complain(`${path} does not start: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code;
      return;
    }
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
