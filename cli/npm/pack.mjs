// Packs the npm packages: one for a platform, with its binary, and the one that people install, which picks among those.
//
// In: `pack.mjs OUT PLATFORM BINARY LICENCES` for the package of a platform, `pack.mjs OUT wrapper` for the other; the version
// comes from Cargo.toml. Out: an archive in the folder OUT, and its name. Never: two places that say which platforms exist.

import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(here, "../..");

/** All platforms with a binary, and the target triple that each is built for. */
export const platforms = {
  "darwin-arm64": "aarch64-apple-darwin",
  "darwin-x64": "x86_64-apple-darwin",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-x64-musl": "x86_64-unknown-linux-musl",
  "win32-x64": "x86_64-pc-windows-msvc",
};

const shared = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const version = readFileSync(join(root, "Cargo.toml"), "utf8").match(/^version = "(.*)"$/m)[1];

/** Fills `folder` with the package of a platform. */
function fill(folder, name, binary, licences) {
  const [os, cpu, musl] = name.split("-");
  const file = os === "win32" ? "deconflict.exe" : "deconflict";
  copyFileSync(binary, join(folder, file));
  // npm keeps this bit, and makes only what `bin` names executable by itself.
  chmodSync(join(folder, file), 0o755);
  copyFileSync(licences, join(folder, "THIRD-PARTY-LICENCES.txt"));
  const description = `The binary of deconflict for ${name}`;
  writeFileSync(join(folder, "README.md"), `# @deconflict/${name}\n\n${description}: install \`deconflict\`.\n`);
  const { license, repository } = shared;
  const libc = os === "linux" ? { libc: [musl ?? "glibc"] } : {};
  const package_ = { name: `@deconflict/${name}`, version, description, license, repository, os: [os], cpu: [cpu], ...libc };
  return { ...package_, files: [file, "LICENSE-*", "THIRD-PARTY-LICENCES.txt"], preferUnplugged: true };
}

/** Fills `folder` with the package that people install. */
function wrap(folder) {
  cpSync(join(here, "bin"), join(folder, "bin"), { recursive: true });
  copyFileSync(join(here, "README.md"), join(folder, "README.md"));
  const names = Object.keys(platforms);
  const optionalDependencies = Object.fromEntries(names.map((name) => [`@deconflict/${name}`, version]));
  return { ...shared, version, optionalDependencies, deconflict: { platforms: names } };
}

function main([out, name, binary, licences]) {
  const known = name === "wrapper" || (name in platforms && licences);
  if (!out || !known) {
    console.error(`usage: pack.mjs OUT wrapper | OUT PLATFORM BINARY LICENCES\nplatforms: ${Object.keys(platforms).join(" ")}`);
    process.exit(2);
  }
  mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "deconflict-npm-"));
  try {
    const manifest = name === "wrapper" ? wrap(folder) : fill(folder, name, binary, licences);
    for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(join(root, licence), join(folder, licence));
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    // Through the shell, for Windows has npm as a script.
    const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", resolve(out)], {
      cwd: folder,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    const listed = JSON.parse(packed);
    const [{ filename }] = Array.isArray(listed) ? listed : Object.values(listed);
    console.log(join(out, basename(filename)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

main(process.argv.slice(2));
