"""Treats `deconflict serve` as strangers do, and measures it.

In: the path of the binary; optionally how many seconds of load (3 without). Out: measured times, or an error that says what
went wrong. While malformed requests, huge batches, slow clients and thousands of connections come in, a well-behaved client
must lose nothing. The server is then killed and started again, and has to answer from its store.
"""

import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = ROOT / "fixtures" / "blocks" / "2-tokens.json"
TOKEN = "a-token-of-some-length"
# The transaction that EIP-155 signs as its example.
RAW = (
    "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1"
    "a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Raw:
    """The least that a client can be: one request as bytes, one answer as bytes, on a connection that stays."""

    def __init__(self, path, body):
        body = body.encode()
        head = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))

    def ask(self):
        self.socket.sendall(self.request)
        answer = self.socket.recv(1 << 20)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        parts, got = [body], len(body)
        while got < length:
            parts.append(self.socket.recv(1 << 20))
            got += len(parts[-1])
        return head[9:12] == b"200", b"".join(parts)


class Server:
    def __init__(self, binary, scratch, *arguments):
        self.socket = scratch / "socket"
        self.log = open(scratch / "log", "a+")
        environment = {**os.environ, "DECONFLICT_CACHE_DIR": str(scratch / "cache")}
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--ipc", str(self.socket), "--block", str(BLOCK), *arguments]
        start = self.log.seek(0, 2)
        self.process = subprocess.Popen(command, stderr=self.log, env=environment)
        for _ in range(200):
            self.log.seek(start)
            told = [line for line in self.log.read().splitlines() if "listening" in line]
            if len(told) == 2:
                break
            if self.process.poll() is not None:
                sys.exit(f"the server has ended:\n{self.text()}")
            time.sleep(0.05)
        else:
            sys.exit(f"the server does not listen:\n{self.text()}")
        self.port = int([line for line in told if "127.0.0.1" in line][0].split("127.0.0.1:")[1].split('"')[0].split()[0])

    def text(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def tcp(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def unix(self):
        return Unix(self.socket)


def post(connection, body, headers=None):
    body = body if isinstance(body, (bytes, str)) else json.dumps(body)
    connection.request("POST", "/", body, {"content-type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read()


def request(method, params=None, number=1):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


def transactions():
    return json.loads(BLOCK.read_text())["transactions"]


def check(server):
    """What every answer has to be."""
    connection = server.tcp()
    status, answer = post(connection, request("deconflict_plan", {"transactions": transactions()}))
    document = json.loads(answer)["result"]
    assert status == 200 and document["schema"] == "deconflict/hints/1", answer[:300]
    assert len(document["txs"]) == len(transactions()) and "plan" in document
    assert all(it["complete"] for it in document["txs"]), "the block's state is there"
    status, answer = post(connection, request("deconflict_hints", {"transactions": transactions()[:1]}))
    assert "plan" not in json.loads(answer)["result"]
    keyed_by_time(connection)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    assert "deconflict_hints_total" in text, text
    note = {"jsonrpc": "2.0", "method": "deconflict_health"}
    assert post(connection, note) == post(connection, [note, note]) == (204, b"")
    for number in [-1, 1.5, 1 << 70, "x", None]:
        assert json.loads(post(connection, request("deconflict_health", number=number))[1])["id"] == number
    connection.request("GET", "/health")
    assert json.load(connection.getresponse())["status"] == "ok"


def keyed_by_time(connection):
    """What a hint rests on of its block is said, and what of the block is a guess."""
    single = transactions()[:1]
    state = {single[0]["to"]: {"balance": "0x0", "nonce": 1, "code": "0x6001425500"}}
    params = {"transactions": single, "state": state}
    for environment in ({}, {"timestamp": 1_900_000_000}):
        status, answer = post(connection, request("deconflict_hints", params | {"environment": environment}))
        document = json.loads(answer)["result"]
        assert status == 200 and document["txs"][0]["depends_on_environment"] == ["timestamp"], answer[:300]
        assert document["basis"]["guessed"] == document["basis"]["computed"] == [], document["basis"]


def malformed(server):
    connection = server.tcp()
    bad = [b"", b"{", b"null", b"[]", b"[1,2]", b"\xff\xfe", b'{"jsonrpc":"2.0"}', b"[" * 100_000, b'"' * 1000]
    for body in bad:
        status, answer = post(connection, body)
        assert status in (200, 400, 413) and b"result" not in answer, (body[:20], status, answer[:200])
    wrong = [
        ({}, -32602),
        ({"transactions": ["0x"]}, -32602),
        ({"transactions": ["0xzz"]}, -32602),
        ({"transactions": [{"type": 9}]}, -32602),
        ({"transactions": [], "unknown": 1}, -32602),
        ({"transactions": [], "parent": "0x" + "00" * 32}, -32602),
        ({"transactions": [], "environment": {"spec": "Nowhere"}}, -32602),
        ({"transactions": ["0x"] * 1001}, -32005),
        ({"transactions": [], "environment": {"number": 1}}, -32602),
        ({"transactions": [], "state": {"0x" + "aa" * 20: {"code": "0x" + "00" * 300_000}}}, -32602),
        ({"transactions": transactions()[:1], "environment": {"chain_id": 5}}, -32602),
        ({"transactions": transactions()[:1], "environment": {"spec": "Berlin"}}, -32602),
        ({"transactions": transactions()[:1] * 2}, -32602),
    ]
    for params, code in wrong:
        # What cannot be in one block may be asked about one by one.
        method = "deconflict_plan" if len(params.get("transactions", [])) == 2 else "deconflict_hints"
        _, answer = post(connection, request(method, params))
        assert json.loads(answer)["error"]["code"] == code, (params if len(str(params)) < 200 else "many", answer[:300])
    _, answer = post(connection, request("deconflict_nothing"))
    assert json.loads(answer)["error"]["code"] == -32601
    _, answer = post(connection, [request("deconflict_health", number=i) for i in range(1_001)])
    assert b"error" in answer and len(answer) < 10_000
    try:
        status, _ = post(server.tcp(), b" " * (5 << 20))
        assert status == 413, status
    except (BrokenPipeError, ConnectionResetError):
        # It need not even be read to its end.
        pass


def crowd(server, count):
    """Connections that send nothing, or a byte now and then."""
    held = []
    for _ in range(count):
        try:
            one = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            one.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-le")
            held.append(one)
        except OSError:
            pass
    return held


def lose_nothing(server, work, least=10, pause=0):
    """Runs `work` while a well-behaved client asks over a connection of its own: that many answers at least, none wrong.

    With a pause between its requests, it says how long they took instead of how many there were.
    """
    stop, lost, asked, times = threading.Event(), [], [0], []

    def ask():
        connection = server.unix()
        body = json.dumps(request("deconflict_hints", {"transactions": transactions()[:3]}))
        while not stop.wait(pause):
            start = time.perf_counter()
            status, answer = post(connection, body)
            times.append(1e3 * (time.perf_counter() - start))
            asked[0] += 1
            given = json.loads(answer)["result"]["txs"]
            if status != 200 or len(given) != 3 or not all(it["complete"] for it in given):
                lost.append(answer[:200])

    client = threading.Thread(target=ask)
    client.start()
    try:
        work()
    finally:
        stop.set()
        client.join()
    assert not lost and asked[0] >= least, (lost[:3], asked)
    return sorted(times) if pause else asked[0]


def loop(gas):
    """A transaction to a contract that loads one slot after the other until there is no more gas."""
    there = "0x" + "aa" * 20
    transaction = {"type": 0, "from": "0x" + "11" * 20, "to": there, "nonce": 0, "value": "0x0", "gas_limit": gas, "gas_price": "0x10"}
    code = "0x5f355b805450600101600256"
    return [transaction | {"input": "0x"}], {there: {"code": code, "balance": "0x0", "nonce": 1}}


def hostile(server):
    """Transactions that are made to name as much as they can, from many clients at once."""
    single, state = loop(30_000_000)
    refused = []

    def ask():
        connection = server.tcp()
        for method in ["deconflict_hints", "deconflict_plan"]:
            transactions = [it | {"nonce": number} for number in range(20) for it in single]
            _, answer = post(connection, request(method, {"transactions": transactions, "state": state}))
            document = json.loads(answer)
            error = document.get("error", {}).get("code")
            pending = [it["incomplete"] for it in document.get("result", {}).get("txs", [])]
            refused.append(error == -32005 or "analysis pending" in pending)

    clients = [threading.Thread(target=ask) for _ in range(12)]
    for client in clients:
        client.start()
    most = 0
    while any(client.is_alive() for client in clients):
        most = max(most, server.memory())
        time.sleep(0.05)
    assert len(refused) == 24 and all(refused), refused
    assert most < 4 << 20, f"{most} KiB of memory"
    print(f"at most {most >> 10} MiB while 12 clients ask for more than fits")


def at(times, share):
    return times[int((len(times) - 1) * share)]


def busy(server, seconds):
    """Codes that were never seen and run for long, one after the other from many clients, and one that is seen once."""
    stop = threading.Event()
    counts = {"pending": 0, "all": 0}

    def ask(number):
        connection, draw = server.tcp(), random.Random(number)
        while not stop.is_set():
            single, state = loop(30_000_000)
            there = next(iter(state))
            # Never the same code twice, and much of it to be analysed.
            state[there]["code"] += "00" + "".join(f"5b61{draw.randrange(1 << 16):04x}54600101{5:02x}" for _ in range(2_000))
            _, answer = post(connection, request("deconflict_hints", {"transactions": single, "state": state}))
            counts["all"] += 1
            counts["pending"] += b"analysis pending" in answer

    def honest():
        """A code that nobody has asked about: not answered at once perhaps, but soon."""
        connection, start = server.unix(), time.perf_counter()
        there = "0x" + "bb" * 20
        transaction = {"type": 0, "from": "0x" + "12" * 20, "to": there, "nonce": 0, "value": "0x0", "gas_limit": 100_000, "gas_price": "0x10"}
        params = {"transactions": [transaction | {"input": "0x"}], "state": {there: {"code": f"0x60{os.urandom(1).hex()}5450604254500a", "balance": "0x0", "nonce": 1}}}
        params["state"]["0x" + "12" * 20] = {"balance": "0xffffffffffffff", "nonce": 0, "code": "0x"}
        while True:
            _, answer = post(connection, request("deconflict_hints", params))
            if json.loads(answer)["result"]["txs"][0]["incomplete"] != "analysis pending":
                return 1e3 * (time.perf_counter() - start)

    clients = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for client in clients:
        client.start()
    waited = []
    try:
        times = lose_nothing(server, lambda: (time.sleep(seconds / 2), waited.append(honest()), time.sleep(seconds / 2)), pause=0.01)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert counts["pending"], counts
    assert waited[0] < 5_000, waited
    # The limit leaves room for other programs on the machine.
    assert at(times, 0.5) < 50, times
    print(
        f"beside 12 clients with {counts['all']} costly codes: known ones answered in {at(times, 0.5):.1f} ms (median), "
        f"{at(times, 0.99):.1f} ms (99th percentile); a new one after {waited[0]:.0f} ms"
    )


def load(server, seconds):
    single = json.dumps(request("deconflict_hints", {"transactions": transactions()[:1]}))
    hundred = (transactions() * 6)[:100]
    batch = json.dumps(request("deconflict_hints", {"transactions": hundred}))
    figures = []
    for name, body, per in [("one hint", single, 1), ("a batch of 100, a hint", batch, 100)]:
        client = Raw(server.socket, body)
        for _ in range(200):
            client.ask()
        early = server.memory()
        times, end = [], time.monotonic() + seconds / 2
        while time.monotonic() < end:
            start = time.perf_counter()
            good, answer = client.ask()
            times.append((time.perf_counter() - start) / per * 1e6)
            assert good and answer.startswith(b'{"jsonrpc":"2.0","id":1,"result":{"schema"'), answer[:200]
        times.sort()
        tail = times[int(len(times) * 0.99)]
        grown = server.memory() - early
        figures.append(
            f"{name}: median {statistics.median(times):.1f} µs, 99th percentile {tail:.1f} µs, {len(times)} requests, "
            f"memory {early >> 10} MiB and {grown} KiB more at the end"
        )
        assert grown < 64 << 10, f"memory has grown by {grown} KiB"
    return figures


def main():
    binary = str(Path(sys.argv[1]).resolve())
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    # Room for the crowd, as far as the system allows it.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 22_000 if hard == resource.RLIM_INFINITY else min(22_000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    connections = min(10_000, (wanted - 1_000) // 2)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        server = Server(binary, scratch)
        try:
            check(server)
            print(f"{lose_nothing(server, lambda: malformed(server))} answers beside malformed requests, none lost")
            asked = lose_nothing(server, lambda: hostile(server), 2)
            print(f"{asked} answers beside hostile code, none lost")
            busy(server, 3)
            held = []
            asked = lose_nothing(server, lambda: held.extend(crowd(server, connections)))
            print(f"{asked} answers beside {len(held)} connections that say nothing, none lost; {server.memory() >> 10} MiB")
            for one in held:
                one.close()
            for line in load(server, seconds):
                print(line)
            # Killed, not told to stop; what was analysed has been written by then.
            time.sleep(6)
            server.process.kill()
            server.process.wait()
            server = Server(binary, scratch)
            start = time.perf_counter()
            check(server)
            print(f"started again, it answers from its store; first answers in {1e3 * (time.perf_counter() - start):.0f} ms")
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=40) == 0, "told to stop, it ends well"
            assert not server.socket.exists(), "its socket is gone"
        except BaseException:
            print(server.text())
            raise
        finally:
            server.process.kill()
        guarded(binary, scratch)
        lines(binary, scratch)


def guarded(binary, scratch):
    """Others than this machine need a token."""
    refused = subprocess.run([binary, "serve", "--listen", "0.0.0.0:0"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--token-file" in refused.stderr, refused
    (scratch / "token").write_text(TOKEN)
    server = Server(binary, scratch, "--token-file", str(scratch / "token"))
    try:
        good = [f"Bearer {TOKEN}", f"bearer {TOKEN}"]
        for given, expected in [(None, 401), ("Bearer wrong", 401), (f"Bearer {TOKEN}x", 401), *[(it, 200) for it in good]]:
            headers = {"authorization": given} if given else {}
            status, _ = post(server.tcp(), request("deconflict_health"), headers)
            assert status == expected, (given, status)
        status, _ = post(server.tcp(), request("deconflict_health"), {"authorization": good[0], "host": "evil.example"})
        assert status == 403, status
    finally:
        server.process.terminate()
        server.process.wait(timeout=40)
    # What is no socket is not in the way of one.
    precious = scratch / "precious"
    precious.write_text("whole")
    refused = subprocess.run([binary, "serve", "--ipc", str(precious)], capture_output=True, text=True, timeout=40)
    assert refused.returncode == 2 and "is a file" in refused.stderr and precious.read_text() == "whole", refused


def lines(binary, scratch):
    """One request a line."""
    good = json.dumps(request("deconflict_hints", {"transactions": transactions()[:2]}, 7))
    text = "\n".join([good, "nonsense", "x" * (5 << 20), f"[{good},{good}]", good]) + "\n"
    command = [binary, "serve", "--block", str(BLOCK)]
    environment = {**os.environ, "DECONFLICT_CACHE_DIR": str(scratch / "cache")}
    result = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, timeout=120)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0 and len(answers) == 5, result
    assert [len(answers[i]["result"]["txs"]) for i in (0, 4)] == [2, 2]
    assert answers[1]["error"]["code"] == -32700 and "error" in answers[2] and len(answers[3]) == 2
    print("lines: five requests, five answers in their order")
    # Without a block file and a node all of the block is a guess, but for what a request says of it.
    asked = request("deconflict_hints", {"transactions": transactions()[:1], "environment": {"timestamp": 1_900_000_000}})
    bare = subprocess.run(command[:2], input=json.dumps(asked) + "\n", capture_output=True, text=True, env=environment, timeout=120)
    guessed = json.loads(bare.stdout)["result"]["basis"]["guessed"]
    assert "coinbase" in guessed and "timestamp" not in guessed, guessed
    noise(command, environment)


def is_notification(text):
    """Whether nobody waits for an answer."""
    try:
        # A field that comes twice makes it no request; one of its parameters may.
        document = json.loads(text, object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else None)
    except ValueError:
        return False
    named = isinstance(document, dict) and document.get("jsonrpc") == "2.0" and isinstance(document.get("method"), str)
    return named and "id" not in document and isinstance(document.get("params"), (dict, list, type(None)))


def noise(command, environment):
    """Requests with something changed in them, by a fixed seed: each that waits for an answer has one, whatever it is."""
    draw = random.Random(20266)
    state = {transactions()[0]["to"]: {"balance": "0x1", "nonce": 2, "code": "0x6001545f55", "storage": {"0x1": "0x2"}}}
    surroundings = {"spec": "Cancun", "number": 9, "timestamp": 1700000100, "base_fee": 7, "gas_limit": 30000000}
    good = [
        request("deconflict_hints", {"transactions": transactions()[:2], "state": state}),
        request("deconflict_plan", {"transactions": transactions()[2:4], "environment": surroundings, "lanes": 2}),
        request("deconflict_hints", {"transactions": [RAW, transactions()[0]], "parent": "0x" + "11" * 32}),
        request("deconflict_template", {"code": "0x60015460025500"}),
    ]
    odd = ["null", "-1", "1e999", "[]", "{}", '""', '"0x"', '"0xzz"', "18446744073709551616", '"0x' + "f" * 65 + '"', "true", "[[[]]]"]
    texts = []
    for _ in range(3_000):
        text = json.dumps(draw.choice(good))
        for _ in range(draw.choice([1, 1, 2, 5])):
            at = draw.randrange(1, len(text))
            kind = draw.randrange(4)
            if kind == 0:
                text = text[:at] + chr(draw.randrange(32, 127)) + text[at + 1 :]
            elif kind == 1:
                text = text[:at] + text[at + draw.randrange(1, 20) :]
            elif kind == 2:
                values = [it for it in re.finditer(r'(?<=: )("[^"]*"|\d+)', text)]
                it = draw.choice(values) if values else re.match("", text)
                text = text[: it.start()] + draw.choice(odd) + text[it.end() :]
            else:
                text = text[:at] + text[draw.randrange(len(text)) :][:30] + text[at:]
        texts.append(text)
    result = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, env=environment, timeout=120)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    wanted = [text for text in texts if text.strip() and not is_notification(text)]
    assert result.returncode == 0 and len(answers) == len(wanted), (result.returncode, len(answers), len(wanted), result.stderr[-500:])
    assert "panicked" not in result.stderr, result.stderr[-2000:]
    right = sum("result" in answer for answer in answers if isinstance(answer, dict))
    print(f"lines: {len(answers)} requests with something changed in them, {right} still understood, each answered")


main()
