// Starts the language server and shows how it is doing. Everything else is the server's.
import * as vscode from "vscode";
import { LanguageClient, State } from "vscode-languageclient/node";
import type { ClientCapabilities, LanguageClientOptions, ServerOptions, StaticFeature } from "vscode-languageclient/node";

interface Status {
  busy: boolean;
  text: string;
  findings: number;
}

/** What a matrix is about. */
interface Wanted {
  uri: string;
  contract?: string;
}

let client: LanguageClient | undefined;
let bar: vscode.StatusBarItem;
let output: vscode.OutputChannel;

/** Tells the server that there is a status bar. */
const statusFeature: StaticFeature = {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.experimental = { ...capabilities.experimental, deconflictStatus: true };
  },
  initialize(): void {},
  getState() {
    return { kind: "static" };
  },
  clear(): void {},
};

function show(icon: string, tooltip: string): void {
  bar.text = `$(${icon}) Deconflict`;
  bar.tooltip = tooltip;
  bar.show();
}

async function start(): Promise<void> {
  const settings = vscode.workspace.getConfiguration("deconflict");
  const command = settings.get<string>("path", "deconflict");
  const server: ServerOptions = { command, args: ["lsp"] };
  const options: LanguageClientOptions = {
    documentSelector: [{ scheme: "file", language: "solidity" }, { scheme: "file", pattern: "**/*.sol" }],
    initializationOptions: settings,
    outputChannel: output,
    middleware: {
      // A click on a lens; anything else is the server's alone.
      executeCommand: (command, parameters, next) => {
        if (command !== "deconflict.server.showMatrix") return next(command, parameters);
        return preview(parameters[0] as Wanted);
      },
    },
  };
  client = new LanguageClient("deconflict", "Deconflict", server, options);
  client.registerFeature(statusFeature);
  client.onNotification("deconflict/status", (status: Status) => {
    const count = `${status.findings} ${status.findings === 1 ? "finding" : "findings"}`;
    if (status.busy) show("sync~spin", status.text);
    else if (status.text === "stale") show("history", `${count}, from the last build that compiled`);
    else show(status.findings > 0 ? "warning" : "check", count);
  });
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Stopped) show("error", "the server is not running: see the output");
  });
  show("sync~spin", "starting");
  try {
    await client.start();
  } catch (error) {
    show("error", `\`${command} lsp\` does not start: ${String(error)}`);
    void vscode.window.showErrorMessage(`\`${command} lsp\` does not start. Set "deconflict.path" to where deconflict is.`);
  }
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  // A server that never started has nothing to stop.
  if (running?.state === State.Running) await running.stop();
}

/** Asks for the page of a file's contracts, or of one of them, and shows it as what it is: a page. */
async function preview(wanted: Wanted): Promise<void> {
  if (client === undefined) return;
  try {
    const command = { command: "deconflict.server.showMatrix", arguments: [{ ...wanted, show: false }] };
    const { uri } = await client.sendRequest<{ uri: string }>("workspace/executeCommand", command);
    await vscode.commands.executeCommand("markdown.showPreviewToSide", vscode.Uri.parse(uri));
  } catch (error) {
    void vscode.window.showInformationMessage(error instanceof Error ? error.message : String(error));
  }
}

async function showMatrix(): Promise<void> {
  const uri = vscode.window.activeTextEditor?.document.uri.toString();
  if (client === undefined || uri === undefined) {
    void vscode.window.showInformationMessage("Open a Solidity file first.");
    return;
  }
  await preview({ uri });
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  output = vscode.window.createOutputChannel("Deconflict");
  bar = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Left);
  bar.command = "deconflict.showOutput";
  context.subscriptions.push(
    output,
    bar,
    vscode.commands.registerCommand("deconflict.restart", async () => {
      await stop();
      await start();
    }),
    vscode.commands.registerCommand("deconflict.showMatrix", showMatrix),
    vscode.commands.registerCommand("deconflict.showOutput", () => output.show()),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("deconflict.path")) {
        await stop();
        await start();
      }
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await stop();
}
