// A client of the language server, as VS Code's libraries make one.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { createProtocolConnection, StreamMessageReader, StreamMessageWriter } from "vscode-languageserver-protocol/node";

const PATIENCE = 45_000;

export class Client {
  diagnostics = new Map();
  progress = [];
  shown = [];
  logged = [];
  #listeners = new Set();
  #versions = new Map();
  #refreshes = 0;

  static async start(binary, roots, { settings = null, pulls = false, log = false, environment = {} } = {}) {
    const client = new Client();
    await client.#begin(binary, roots, settings, pulls, log, environment);
    return client;
  }

  async #begin(binary, roots, settings, pulls, log, environment) {
    this.process = spawn(binary, ["lsp"], { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...environment } });
    this.exited = new Promise((resolve) => this.process.once("exit", resolve));
    const { stdout, stdin } = this.process;
    this.connection = createProtocolConnection(new StreamMessageReader(stdout), new StreamMessageWriter(stdin));
    const on = (method, work) => this.connection.onNotification(method, (it) => { work(it); this.#tell(); });
    on("textDocument/publishDiagnostics", (it) => this.diagnostics.set(it.uri, it.diagnostics));
    on("$/progress", (it) => this.progress.push(it.value));
    on("window/showMessage", (it) => this.shown.push(it.message));
    on("window/logMessage", (it) => { this.logged.push(it.message); if (log) console.log(it.message); });
    this.connection.onRequest("workspace/configuration", () => [settings]);
    for (const method of ["client/registerCapability", "window/workDoneProgress/create", "workspace/codeLens/refresh", "workspace/inlayHint/refresh"]) {
      this.connection.onRequest(method, () => null);
    }
    this.connection.onRequest("workspace/diagnostic/refresh", () => { this.#refreshes++; this.#tell(); return null; });
    this.connection.onRequest("window/showDocument", () => ({ success: true }));
    this.connection.listen();
    const capabilities = {
      general: { positionEncodings: ["utf-16"] },
      textDocument: { publishDiagnostics: { relatedInformation: true, codeDescriptionSupport: true } },
      window: { workDoneProgress: true, showDocument: { support: true } },
      workspace: {
        configuration: true,
        workspaceFolders: true,
        didChangeWatchedFiles: { dynamicRegistration: true },
        codeLens: { refreshSupport: true },
        inlayHint: { refreshSupport: true },
        workspaceEdit: { documentChanges: true },
      },
    };
    if (pulls) {
      capabilities.textDocument.diagnostic = {};
      capabilities.workspace.diagnostics = { refreshSupport: true };
    }
    const workspaceFolders = roots.map((root) => ({ uri: pathToFileURL(root).href, name: root }));
    this.initialized = await this.request("initialize", {
      processId: process.pid, rootUri: null, workspaceFolders, capabilities, initializationOptions: settings,
    });
    this.notify("initialized", {});
  }

  request(method, parameters) { return this.connection.sendRequest(method, parameters); }
  notify(method, parameters) { void this.connection.sendNotification(method, parameters); }

  open(file) {
    const text = readFileSync(file, "utf8");
    this.#versions.set(file, 1);
    this.notify("textDocument/didOpen", { textDocument: { uri: pathToFileURL(file).href, languageId: "solidity", version: 1, text } });
  }

  // Types a new text and saves it.
  save(file, text) {
    const version = (this.#versions.get(file) ?? 1) + 1;
    this.#versions.set(file, version);
    const uri = pathToFileURL(file).href;
    this.notify("textDocument/didChange", { textDocument: { uri, version }, contentChanges: [{ text }] });
    writeFileSync(file, text);
    this.notify("textDocument/didSave", { textDocument: { uri } });
  }

  changed(files) {
    this.notify("workspace/didChangeWatchedFiles", { changes: files.map(([file, type]) => ({ uri: pathToFileURL(file).href, type })) });
  }

  folders(added, removed) {
    const folders = (list) => list.map((root) => ({ uri: pathToFileURL(root).href, name: root }));
    this.notify("workspace/didChangeWorkspaceFolders", { event: { added: folders(added), removed: folders(removed) } });
  }

  // Waits until the diagnostics of a file are as wanted.
  async until(uri, wanted) {
    await this.when(() => this.diagnostics.has(uri) && wanted(this.diagnostics.get(uri)), () => `${uri}: ${JSON.stringify(this.diagnostics.get(uri))}`);
    return this.diagnostics.get(uri);
  }

  when(condition, describe = () => "a condition") {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { this.#listeners.delete(listener); reject(new Error(`waited in vain: ${describe()}\n${this.logged.join("\n")}`)); }, PATIENCE);
      const listener = () => {
        if (condition()) { clearTimeout(timer); this.#listeners.delete(listener); resolve(); }
      };
      this.#listeners.add(listener);
    });
  }

  // Waits until everything that has begun has ended.
  async quiet() {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const count = (kind) => this.progress.filter((it) => it.kind === kind).length;
    await this.when(() => count("begin") === count("end"));
  }

  // Waits for word to ask again, until the answer is as wanted.
  async refreshed(wanted = async () => true) {
    for (let seen = 0; ; seen = this.#refreshes) {
      await this.when(() => this.#refreshes > seen, () => "a refresh");
      if (await wanted()) return;
    }
  }

  async stop() {
    await this.request("shutdown", null);
    this.notify("exit", null);
    return this.exited;
  }

  #tell() { for (const listener of [...this.#listeners]) listener(); }
}
