"""An editor that opens one document and waits for what is said about it."""

import json
import queue
import subprocess
import threading


def findings_of(binary, project, uri, text, patience=15):
    """How many findings are published for a document that is opened under this URI; none if nothing comes."""
    process = subprocess.Popen([binary, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    heard = queue.Queue()

    def listen():
        while True:
            length = None
            while line := process.stdout.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if length is None:
                return heard.put(None)
            heard.put(json.loads(process.stdout.read(length)))

    def say(**message):
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        process.stdin.flush()

    threading.Thread(target=listen, daemon=True).start()
    root = f"file://{project}"
    folders = [{"uri": root, "name": "project"}]
    options = {"compile": False}
    say(id=1, method="initialize", params={"processId": None, "rootUri": root, "capabilities": {}, "workspaceFolders": folders, "initializationOptions": options})  # fmt: skip
    found = None
    try:
        while (message := heard.get(timeout=patience)) is not None:
            if message.get("id") == 1:
                say(method="initialized", params={})
                document = {"uri": uri, "languageId": "solidity", "version": 1, "text": text}
                say(method="textDocument/didOpen", params={"textDocument": document})
            elif "method" in message and "id" in message:
                items = message.get("params", {}).get("items") or []
                say(id=message["id"], result=[None] * len(items) if "configuration" in message["method"] else None)
            elif message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                found = len(message["params"]["diagnostics"])
                if found:
                    return found
    except queue.Empty:
        pass
    finally:
        process.kill()
        process.wait()
    return found
