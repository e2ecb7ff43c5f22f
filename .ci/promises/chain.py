"""Small chains, made by hand: blocks with headers that have their hashes, signed transactions, and a node that serves them.

In: contracts as bytes, and what transactions do. Out: block files, and answers over JSON-RPC, as a client gives them. Only
the standard library is used, so that nothing here shares a mistake with the product.
"""

import http.server
import json
import threading

MASK = (1 << 64) - 1
ROUNDS = []
_state = 1
for _ in range(24):
    _constant = 0
    for _j in range(7):
        if _state & 1:
            _constant |= 1 << ((1 << _j) - 1)
        _state = (_state << 1) ^ (0x171 if _state & 0x80 else 0)
    ROUNDS.append(_constant)


def _permute(lanes):
    rotate = lambda word, by: ((word << by) | (word >> (64 - by))) & MASK if by else word
    for constant in ROUNDS:
        columns = [lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4] for x in range(5)]
        mixed = [columns[(x - 1) % 5] ^ rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        lanes = [[lanes[x][y] ^ mixed[x] for y in range(5)] for x in range(5)]
        x, y, current = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, lanes[x][y] = lanes[x][y], rotate(current, (step + 1) * (step + 2) // 2 % 64)
        lanes = [[lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        lanes[0][0] ^= constant
    return lanes


def keccak(data):
    """Keccak-256."""
    rate = 136
    padded = bytearray(data) + b"\x01" + b"\x00" * (-(len(data) + 1) % rate)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for index in range(rate // 8):
            lanes[index % 5][index // 5] ^= int.from_bytes(padded[start + 8 * index : start + 8 * index + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lanes[index][0].to_bytes(8, "little") for index in range(4))


def rlp(item):
    """Recursive length prefix; numbers are written without leading zeros."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, (list, tuple)):
        body, short, long = b"".join(rlp(part) for part in item), 0xC0, 0xF7
    else:
        body, short, long = bytes(item), 0x80, 0xB7
        if len(body) == 1 and body[0] < 0x80:
            return body
    if len(body) < 56:
        return bytes([short + len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([long + len(length)]) + length + body


# The curve secp256k1.
P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def _add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(number, point):
    result = None
    while number:
        if number & 1:
            result = _add(result, point)
        point, number = _add(point, point), number >> 1
    return result


def address_of(key):
    """The address of a private key."""
    x, y = _times(key, G)
    return "0x" + keccak(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:].hex()


def sign(key, digest):
    """Parity, r and s."""
    nonce = int.from_bytes(keccak(key.to_bytes(32, "big") + digest), "big") % N
    x, y = _times(nonce, G)
    r, parity = x % N, y & 1
    s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * key) % N
    if s > N // 2:
        s, parity = N - s, parity ^ 1
    return parity, r, s


def data(text):
    """Bytes of a hexadecimal string."""
    return bytes.fromhex(text.removeprefix("0x"))


def number(value, width=0):
    """A number as nodes write it, or as a word."""
    return f"0x{value:0{width}x}"


def authorization(key, target, chain, nonce=0):
    """A signed delegation of EIP-7702, as transactions have it."""
    parity, r, s = sign(key, keccak(b"\x05" + rlp([chain, data(target), nonce])))
    return {"chainId": number(chain), "address": target, "nonce": number(nonce), "yParity": number(parity), "r": number(r), "s": number(s)}


def transaction(key, to, chain, nonce=0, gas=200_000, value=0, fee=1000, input=b"", authorizations=None, blobs=None):
    """A signed transaction as a node has it, and its bytes."""
    kind = 4 if authorizations else 3 if blobs else 2
    fields = [chain, nonce, 1, fee, gas, data(to) if to else b"", value, input, []]
    if blobs:
        fields += [10**9, [data(blob) for blob in blobs]]
    if authorizations:
        parts = lambda it: [int(it["chainId"], 16), data(it["address"])] + [int(it[name], 16) for name in ("nonce", "yParity", "r", "s")]
        fields.append([parts(it) for it in authorizations])
    parity, r, s = sign(key, keccak(bytes([kind]) + rlp(fields)))
    raw = bytes([kind]) + rlp(fields + [parity, r, s])
    answer = {
        "type": number(kind), "hash": "0x" + keccak(raw).hex(), "from": address_of(key), "to": to, "nonce": number(nonce),
        "value": number(value), "gas": number(gas), "input": "0x" + input.hex(), "chainId": number(chain),
        "maxFeePerGas": number(fee), "maxPriorityFeePerGas": "0x1", "gasPrice": number(fee), "accessList": [],
        "v": number(parity), "yParity": number(parity), "r": number(r), "s": number(s),
    }  # fmt: skip
    if blobs:
        answer |= {"maxFeePerBlobGas": number(10**9), "blobVersionedHashes": blobs}
    if authorizations:
        answer["authorizationList"] = authorizations
    return answer, raw


EMPTY_ROOT = "0x" + keccak(b"\x80").hex()
NO_UNCLES = "0x" + keccak(b"\xc0").hex()


def root_of_one(item):
    """The root of a list with one entry: a leaf with the key 0x80."""
    return "0x" + keccak(rlp([b"\x20\x80", item])).hex()


# The fields of a header in the order of its hash, by the names that nodes use; later forks append theirs.
FIELDS = (
    "parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed timestamp "
    "extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash "
    "blockAccessListHash slotNumber"
).split()
NUMBERS = set("difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas slotNumber".split())


def header(**fields):
    """A header of today's forks, with its hash."""
    made = {
        "parentHash": "0x" + "00" * 32, "sha3Uncles": NO_UNCLES, "miner": "0x" + "cb" * 20, "stateRoot": "0x" + "aa" * 32,
        "transactionsRoot": EMPTY_ROOT, "receiptsRoot": EMPTY_ROOT, "logsBloom": "0x" + "00" * 256, "difficulty": "0x0",
        "number": "0x1", "gasLimit": number(60_000_000), "gasUsed": "0x0", "timestamp": "0x0", "extraData": "0x",
        "mixHash": "0x" + "22" * 32, "nonce": "0x" + "00" * 8, "baseFeePerGas": "0x7", "withdrawalsRoot": EMPTY_ROOT,
        "blobGasUsed": "0x0", "excessBlobGas": "0x0", "parentBeaconBlockRoot": "0x" + "33" * 32,
        "requestsHash": "0x" + "44" * 32,
    } | fields  # fmt: skip
    parts = [int(made[name], 16) if name in NUMBERS else data(made[name]) for name in FIELDS if name in made]
    return made | {"hash": "0x" + keccak(rlp(parts)).hex()}


def block(chain, time, signed, gas, height=5_000_000, receipt=None, **fields):
    """A block with one transaction or none, and its parent; `gas` is what the transaction uses."""
    before = header(number=number(height - 1), timestamp=number(time - 12))
    roots = {}
    if signed:
        kind = bytes([int(signed[0]["type"], 16)])
        entry = kind + rlp([1 if receipt is None else receipt, gas, b"\x00" * 256, []])
        roots = {"transactionsRoot": root_of_one(signed[1]), "receiptsRoot": root_of_one(entry), "gasUsed": number(gas)}
    made = header(parentHash=before["hash"], number=number(height), timestamp=number(time), **(roots | fields))
    made |= {"transactions": [signed[0]] if signed else [], "uncles": [], "withdrawals": [], "size": "0x1"}
    return {"chain": chain, "block": made, "parent": before | {"transactions": []}}


class Node:
    """Serves one block, its parent and the accounts before it on loopback; remembers what it was asked."""

    def __init__(self, chain, accounts):
        self.chain, self.asked = chain, []
        self.accounts = {address.lower(): account for address, account in accounts.items()}
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answers = [node.reply(it) for it in asked] if isinstance(asked, list) else node.reply(asked)
                body = json.dumps(answers).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    def reply(self, asked):
        reply = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            return reply | {"result": self.answer(asked["method"], asked.get("params", []))}
        except KeyError:
            return reply | {"error": {"code": -32601, "message": "no such method"}}

    def answer(self, method, params):
        self.asked.append((method, params))
        first = str(params[0]).lower() if params else ""
        account = self.accounts.get(first, {})
        if method == "eth_chainId":
            return number(self.chain["chain"])
        if method == "eth_getBlockByNumber":
            for found in (self.chain["block"], self.chain["parent"]):
                newest = found is self.chain["block"] and first in ("latest", "safe", "finalized")
                if first == found["number"] or newest:
                    return found if params[1] else found | {"transactions": [it["hash"] for it in found["transactions"]]}
            return None
        if method == "eth_getBalance":
            return number(account.get("balance", 0))
        if method == "eth_getTransactionCount":
            return number(account.get("nonce", 0))
        if method == "eth_getCode":
            return account.get("code", "0x")
        if method == "eth_getStorageAt":
            return number(account.get("storage", {}).get(int(params[1], 16), 0), 64)
        if method == "eth_call":
            return account_call(self.accounts, params[0])
        raise KeyError(method)


def account_call(accounts, request):
    """What a beacon answers: the word in its slot 1."""
    account = accounts.get(request["to"].lower(), {})
    return "0x" + number(account.get("storage", {}).get(1, 0), 64)[2:]


def block_file(chain, spec, time, transactions, accounts, **header_fields):
    """A block file: transactions are dictionaries of its fields, accounts are {address: (balance, nonce, code, storage)}."""
    codes, state = {}, {}
    for address, (balance, nonce, code, storage) in accounts.items():
        state[address] = {"balance": hex(balance), "nonce": nonce}
        if storage:
            state[address]["storage"] = {hex(slot): hex(word) for slot, word in storage.items()}
        if code:
            name = "0x" + keccak(code).hex()
            state[address]["code_hash"], codes[name] = name, "0x" + code.hex()
    made = {
        "hash": None, "parent_hash": "0x" + "11" * 32, "coinbase": "0x" + "cb" * 20, "timestamp": time, "gas_limit": 60_000_000,
        "base_fee": 7, "difficulty": "0x0", "prev_randao": "0x" + "22" * 32, "excess_blob_gas": 0, "blob_base_fee": "0x1",
        "parent_beacon_block_root": None,
    } | header_fields  # fmt: skip
    usual = {"type": 2, "hash": None, "nonce": 0, "value": "0x0", "gas_limit": 1_000_000, "input": "0x", "chain_id": chain,
             "max_fee_per_gas": "0x64", "max_priority_fee_per_gas": "0x1"}  # fmt: skip
    return {
        "format": 1, "chain_id": chain, "number": 5_000_000, "spec": spec, "header": made, "expected": {},
        "transactions": [usual | it for it in transactions], "pre_state": state, "codes": codes,
    }  # fmt: skip


def sender(index):
    """An account that pays."""
    return f"0x{0x10000 + index:040x}"


def contract(index):
    """An account that has code."""
    return f"0x{0xC0DE0000 + index:040x}"
