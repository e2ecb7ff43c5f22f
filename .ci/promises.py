#!/usr/bin/env python3
"""Promises that were once broken, each held by inputs of its own, made here or in `promises/`.

In: the path of the binary. Out: a line for each kind, and exit code 1 if one of them is broken. What is right comes from the
specifications (the yellow paper, EIPs, RFC 3986 and 8089, the compilers' outputs), never from the product.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "promises"))

import chain
import predictions
from editor import findings_of
from predictions import OPS, code

ROOT = Path(__file__).resolve().parent.parent
BINARY = str(Path(sys.argv[1]).resolve())
SEPOLIA, MAIN = 11155111, 1
# Well behind the second of the blob-parameter forks of Osaka on all public networks.
AFTER_BPO2 = 1_770_000_000


class Broken(Exception):
    """A promise that does not hold."""


def expect(holds, what):
    if not holds:
        raise Broken(what)


def run(*arguments, status=None, stdin=None, cwd=None):
    """Runs the binary; its exit code has to be `status` where that is given."""
    command = [BINARY, *map(str, arguments)]
    environment = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, input=stdin, cwd=cwd, env=environment, timeout=100)
    text = done.stderr.decode(errors="replace")
    if status is not None:
        shown = " ".join(map(str, arguments))
        expect(done.returncode == status, f"`deconflict {shown}` ends with {done.returncode} and not {status}: {text[-700:]}")
    return done.returncode, done.stdout, text


def file(folder, name, content):
    path = Path(folder) / name
    if isinstance(content, (dict, list)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def audited(made, folder, complete):
    """An audit finds nothing unsound in either state, and at least so many predictions that are complete."""
    path = file(folder, "block.json", made)
    for state in ("exact", "block"):
        _, out, _ = run("audit", "--block", path, "--no-cache", "--state", state, "--json", status=0)
        total = json.loads(out)["total"]
        expect(total["unsound_txs"] == 0, f"{total['unsound_txs']} unsound predictions")
        expect(total["txs"] == len(made["transactions"]), "every transaction is audited")
        expect(total["complete_txs"] >= complete, f"only {total['complete_txs']} of {total['txs']} are complete: announcing all is no answer")
    run("run", "--block", path, "--verify", "--threads", 2, "--repeat", 1, status=0)


def precompiles_without_gas(folder):
    audited(predictions.starved_precompiles(), folder, 8)


def gas_from_gas(folder):
    audited(predictions.gas_operands(), folder, 0)


def dynamic_costs(folder):
    audited(predictions.dynamic_costs(), folder, 10)


def other_halts(folder):
    audited(predictions.other_halts(), folder, 5)


def access_lists(folder):
    made, authority, called = predictions.delegations()
    path = file(folder, "block.json", made)
    _, out, _ = run("hints", "--block", path, "--no-cache", "--format", "eip2930", status=0)
    lists = json.loads(out)
    lists = lists.get("transactions", lists) if isinstance(lists, dict) else lists
    lists = [it.get("access_list", it.get("accessList", it)) if isinstance(it, dict) else it for it in lists]
    text = json.dumps(lists).lower()
    expect(called.lower() in text, "the contract is listed")
    for address in (f"0x{2:040x}", f"0x{4:040x}", f"0x{0x100:040x}", authority, made["header"]["coinbase"]):
        expect(address.lower() not in text, f"{address} is warm from the start and listed all the same")


def environment(folder):
    made, names = predictions.environments()
    path = file(folder, "block.json", made)
    _, out, _ = run("hints", "--block", path, "--no-cache", "--json", status=0)
    hints = json.loads(out)["txs"]
    for name, hint in zip(names, hints):
        listed = json.dumps(hint.get("depends_on_environment", [])).lower().replace("_", "")
        expect(name in listed, f"a slot by {name} rests on the block: {listed}")
    expect(not hints[-1].get("depends_on_environment"), "a constant slot rests on nothing")


def forms(folder):
    """Blob and set-code transactions that the fork of the block forbids."""
    blob = lambda index: "0x01" + f"{index:062x}"
    accounts = {chain.sender(index): (10**20, 0, b"", {}) for index in range(1, 9)}

    def made(spec, counts, to=chain.contract(9), kind=3, **fields):
        sent, next_blob = [], iter(range(1000))
        for index, count in enumerate(counts, 1):
            it = {"from": chain.sender(index), "to": to, "type": kind, "max_fee_per_blob_gas": "0x3b9aca00"}
            it["blob_hashes"] = [blob(next(next_blob)) for _ in range(count)]
            sent.append(it | fields)
        return chain.block_file(MAIN, spec, 1_720_000_000 if spec == "Cancun" else AFTER_BPO2, sent, accounts)

    delegating = {"authorization_list": [{"chain_id": "0x1", "address": chain.contract(9), "nonce": 0, "y_parity": 0, "r": "0x1", "s": "0x1"}]}
    refused = {
        "8 blobs in one transaction": made("Osaka", [8]),
        "7 blobs in one of Osaka": made("Osaka", [3, 7]),
        "22 blobs in a block": made("Osaka", [6, 6, 6, 4]),
        "10 blobs of Prague": made("Prague", [5, 5]),
        "8 blobs of Cancun": made("Cancun", [4, 4]),
        "a creation with blobs": made("Osaka", [1], to=None),
        "a creation that delegates": made("Prague", [0], to=None, kind=4, **delegating),
    }
    taken = {"6 blobs in Osaka": made("Osaka", [6]), "9 of Prague": made("Prague", [9]), "6 of Cancun": made("Cancun", [3, 3])}
    for name, block in refused.items():
        status, _, text = run("run", "--block", file(folder, "refused.json", block), "--repeat", 1)
        expect(status == 2 and "transaction" in text, f"{name}: {status} {text[-300:]}")
    for name, block in taken.items():
        status, _, text = run("run", "--block", file(folder, "taken.json", block), "--repeat", 1, "--verify")
        expect(status == 0, f"{name}: {status} {text[-300:]}")


RICH = {"balance": 10**18}


def fetched(folder, made, accounts, what, status=0):
    with chain.Node(made, accounts) as node:
        height = int(made["block"]["number"], 16)
        path = Path(folder) / "fetched.json"
        path.unlink(missing_ok=True)
        found, _, text = run("fetch", "--rpc-url", node.url, "-o", path, height)
    expect(found == status, f"{what}: {found} and not {status}: {text[-500:]}")
    return (json.loads(path.read_text()) if status == 0 else None), text


def delegated_accounts(folder):
    """Accounts that execution loads on the way to others are part of a snapshot."""
    target, wallet = chain.contract(70), chain.contract(71)
    loads = code("6 SLOAD POP STOP")
    accounts = {
        chain.address_of(1): RICH, target: {"nonce": 1, "code": "0x" + loads.hex()},
        wallet: {"nonce": 1, "code": "0xef0100" + target[2:], "storage": {6: 5}},
    }  # fmt: skip
    # 21000, PUSH1 (3), a cold load (2100), POP (2).
    sent = chain.transaction(1, wallet, SEPOLIA)
    snapshot, _ = fetched(folder, chain.block(SEPOLIA, AFTER_BPO2, sent, 23_105), accounts, "a call of a delegated account")
    state = {address.lower(): account for address, account in snapshot["pre_state"].items()}
    expect(target in state and state[target].get("code_hash"), "the delegate is in the snapshot, with its code")

    # An authority that nothing else touches: 12,500 of the 25,000 are given back because it is there (EIP-7702).
    authority = chain.address_of(5)
    sent = chain.transaction(1, chain.sender(8), SEPOLIA, authorizations=[chain.authorization(5, target, SEPOLIA, 3)])
    there = accounts | {authority: {"balance": 1, "nonce": 3}}
    gas = 21_000 + 25_000
    snapshot, _ = fetched(folder, chain.block(SEPOLIA, AFTER_BPO2, sent, gas - min(12_500, gas // 5)), there, "an authority")
    state = {address.lower(): account for address, account in snapshot["pre_state"].items()}
    expect(state.get(authority, {}).get("nonce") == 3, "the authority is in the snapshot")


def blob_fees(folder):
    """What a blob costs goes by the chain and its forks (EIP-7892), and in the next block by what the head has used."""
    excess = 60_000_000
    # min(1) * e^(excess / fraction) by the integer series of EIP-4844, with the fraction of the second fork (EIP-8135 schedule).
    fee = exponential(excess, 11_684_671)
    sent = chain.transaction(1, chain.sender(8), SEPOLIA, blobs=["0x01" + "5a" * 31])
    made = chain.block(SEPOLIA, AFTER_BPO2, sent, 21_000, excessBlobGas=chain.number(excess), blobGasUsed=chain.number(131_072))
    snapshot, _ = fetched(folder, made, {chain.address_of(1): RICH}, "a blob on Sepolia")
    expect(int(snapshot["header"]["blob_base_fee"], 16) == fee, f"the fee is {snapshot['header']['blob_base_fee']} and not {fee:#x}")

    # The next block: no blobs used, target 14 of 21, reserve price not reached.
    head = chain.block(SEPOLIA, AFTER_BPO2, None, 0, excessBlobGas=chain.number(excess), blobGasUsed="0x0")
    following = exponential(excess - 14 * 131_072, 11_684_671)
    reader = chain.contract(80)
    accounts = {chain.address_of(1): RICH, reader: {"nonce": 1, "code": "0x" + code("BLOBBASEFEE SLOAD POP STOP").hex()}}
    _, raw = chain.transaction(1, reader, SEPOLIA)
    with chain.Node(head, accounts) as node:
        lines = file(folder, "next.txt", "0x" + raw.hex() + "\n")
        _, out, _ = run("hints", "--rpc-url", node.url, "--transactions", lines, "--no-cache", "--format", "jsonl", status=0)
    slots = {int(read["slot"], 16) for read in json.loads(out.splitlines()[0])["reads"]}
    expect(slots == {following}, f"the next block's fee is {following} and not {slots}")


def exponential(numerator, denominator):
    """`fake_exponential` of EIP-4844 with a factor of 1."""
    total, term, step = 0, denominator, 1
    while term > 0:
        total, term, step = total + term, term * numerator // (denominator * step), step + 1
    return total // denominator


def newer_forks(folder):
    """A header with fields that the known forks do not have is refused, or known as what it is."""
    fields = {"blockAccessListHash": "0x" + "12" * 32, "slotNumber": "0x999"}
    made = chain.block(SEPOLIA, 1_795_000_000, chain.transaction(1, chain.sender(8), SEPOLIA), 21_000, **fields)
    accounts = {chain.address_of(1): RICH}
    with chain.Node(made, accounts) as node:
        path = Path(folder) / "newer.json"
        status, _, text = run("fetch", "--rpc-url", node.url, "-o", path, int(made["block"]["number"], 16))
        if status == 0:
            expect(json.loads(path.read_text())["spec"] == "Amsterdam", "a header of Amsterdam is one of Amsterdam")
        else:
            known = any(name in text for name in ("blockAccessListHash", "slotNumber", "Amsterdam", "fork"))
            expect(status == 2 and known, f"the message says why: {text}")
        lines = file(folder, "newer.txt", "0x" + chain.transaction(1, chain.sender(8), SEPOLIA, nonce=1)[1].hex() + "\n")
        again, out, text = run("hints", "--rpc-url", node.url, "--transactions", lines, "--no-cache", "--json")
        osaka = again == 0 and json.loads(out).get("spec", json.loads(out).get("fork")) == "Osaka"
        expect(not osaka, "the block after one of a newer fork is none of Osaka")


# Adds one to slot 1 on every call, and what PUSH32 pushes to slot 2.
COUNTER = "6001545f5260015f51016001555000"


def checked(*arguments, **more):
    _, out, text = run("check", *arguments, "--no-cache", "--no-config", "--json", "-W", "all", status=0, **more)
    return json.loads(out), text


def spellings(text):
    """A text in the encodings that editors and shells write."""
    marked = "\ufeff" + text
    yield "UTF-8 with a mark", marked.encode()
    for name in ("utf-16-le", "utf-16-be"):
        yield f"{name} with a mark", marked.encode(name)
        yield name, text.encode(name)


def encodings(folder):
    plain = "0X600160005401\r\n600055 \t00\r\n"
    known = {it["code"] for it in checked("-", stdin=plain.encode())[0]["diagnostics"]}
    expect(known, "the counter is found")
    artifact = ROOT / "lints/tests/data/foundry-full/out/Bank.sol/Bank.json"
    contracts = checked(artifact)[0]["summary"]["functions"]
    for name, raw in spellings(plain):
        path = file(folder, "code.hex", raw)
        for report in (checked(path)[0], checked("-", stdin=raw)[0]):
            expect({it["code"] for it in report["diagnostics"]} == known, f"code in {name}")
    for name, raw in spellings(artifact.read_text()):
        report, _ = checked(file(folder, "Bank.json", raw))
        expect(report["summary"]["functions"] == contracts, f"an artifact in {name}")
    block = (ROOT / "fixtures/blocks/2-tokens.json").read_text()
    for name, raw in spellings(block):
        run("run", "--block", file(folder, "block.json", raw), "--repeat", 1, "--verify", status=0)
    _, signed = chain.transaction(1, chain.contract(1), MAIN)
    base = file(folder, "base.json", predictions.scene([(100_000, "STOP", None)]))
    for name, raw in spellings("# one\r\n0x" + signed.hex() + "\r\n"):
        lines = file(folder, "raw.txt", raw)
        run("hints", "--block", base, "--transactions", lines, "--no-cache", status=0)
        run("hints", "--block", base, "--transactions", "-", "--no-cache", stdin=raw, status=0)
    code_file = file(folder, "code.hex", plain)
    for name, raw in spellings('[levels]\nall = "allow"\n'):
        settings = file(folder, "deconflict.toml", raw)
        status, out, text = run("check", code_file, "--no-cache", "--config", settings, "--json")
        expect("UTF" not in text and "unexpected" not in text, f"a configuration in {name}: {text}")
    baseline = Path(folder) / "baseline.json"
    run("check", code_file, "--no-cache", "--no-config", f"--write-baseline={baseline}", "-W", "all")
    for name, raw in spellings(baseline.read_text()):
        other = file(folder, "other.json", raw)
        report = json.loads(run("check", code_file, "--no-cache", "--no-config", "-W", "all", "--json", "--baseline", other, status=0)[1])
        expect(not report["diagnostics"], f"a baseline in {name}")
    # What is no text is named.
    for raw in (b"\xff\xfe6\x00\x00\xd80\x00", b"\xff\xfe\x00\x006\x00\x00\x00", b"60016000540160\xa05500"):
        status, _, text = run("check", file(folder, "broken.hex", raw), "--no-cache", "--no-config")
        expect(status == 2 and "UTF" in text, f"{raw}: {status} {text}")


def creations(folder):
    """Creation code is not called clean: what it deploys is looked at."""
    runtime = code("1 0 SLOAD ADD 0 SSTORE STOP")
    word = b"\x7f" + bytes(32)
    immutable = word + code("SLOAD POP STOP")

    def deploys(body, rest=b""):
        for start in (0, 0):
            head = code(f"{len(body)} {start or 0xff} 0 CODECOPY") + rest + code(f"{len(body)} 0 RETURN")
        start = len(head)
        return code(f"{len(body)} {start} 0 CODECOPY") + rest + code(f"{len(body)} 0 RETURN") + body

    direct = {it["code"] for it in checked("-", stdin=runtime.hex().encode())[0]["diagnostics"]}
    expect(direct, "the counter is found")
    literal = bytes([0x5F + len(runtime)]) + runtime + code(f"0 MSTORE {len(runtime)} {32 - len(runtime)} RETURN")
    factory = code("0 0 0 CREATE POP STOP") + deploys(runtime)
    for name, given in {"copied": deploys(runtime), "stored": literal, "with arguments": deploys(runtime) + bytes(64)}.items():
        for arguments, stdin in ((("-",), given.hex().encode()), ((file(folder, "given.bin", given),), None)):
            report, text = checked(*arguments, stdin=stdin)
            expect({it["code"] for it in report["diagnostics"]} == direct, f"{name}: what it deploys is checked")
            expect("creation code" in text, f"{name}: a note says so: {text}")
    report, text = checked("-", stdin=factory.hex().encode())
    expect("creation code" not in text, "a factory is no creation code")
    # CALLER is stored over the operand of PUSH32: no zero is read from it.
    _, out, text = run("inspect", file(folder, "immutable.hex", deploys(immutable, code("CALLER 1 MSTORE")).hex()), "--json", status=0)
    reads = json.loads(out)["contracts"][0]["functions"][0]["reads"]
    expect(len(reads) == 1 and reads[0]["slot"] is None, f"what a constructor fills in is not known: {reads}")
    text = json.dumps({"abi": [], "bytecode": "0x" + deploys(runtime).hex(), "deployedBytecode": "0x" + deploys(runtime).hex()})
    report, text = checked(file(folder, "artifact.json", text))
    expect({it["code"] for it in report["diagnostics"]} == direct, "an artifact whose runtime field has it")
    # EXTCODECOPY of the caller's code: there is nothing in it to look at.
    status, _, text = run("check", "-", stdin=b"333b805f5f333c5ff3")
    expect(status == 2 and "creation code" in text, f"{status} {text}")


def proxies(folder):
    """`--rpc-url` follows a proxy by what its code says."""
    target, proxy, beacon = chain.contract(90), chain.contract(91), chain.contract(92)
    counter = code("1 0 SLOAD ADD 0 SSTORE STOP")

    def to(load):
        head, tail = bytes.fromhex("365f5f375f5f365f") + load, bytes.fromhex("5af43d5f5f3e5f3d91")
        return head + tail + bytes([0x60, len(head) + len(tail) + 4, 0x57, 0xFD, 0x5B, 0xF3])

    word, erc1967 = int(target, 16), int.from_bytes(chain.keccak(b"eip1967.proxy.implementation"), "big") - 1
    ask = bytes.fromhex("635c60da1b5f5260205f6004601c") + code("7 SLOAD") + bytes.fromhex("5afa505f51")
    cases = {
        "ERC-1167": (bytes.fromhex("363d3d373d3d3d363d73" + target[2:] + "5af43d82803e903d91602b57fd5bf3"), {}),
        "ERC-1967": (to(code(f"{erc1967} SLOAD")), {erc1967: word}),
        "ERC-1822": (to(code(f"{int.from_bytes(chain.keccak(b'PROXIABLE'), 'big')} SLOAD")), {int.from_bytes(chain.keccak(b"PROXIABLE"), "big"): word}),
        "slot 0x8": (to(code("8 SLOAD")), {8: word}),
        "beacon": (to(ask), {7: int(beacon, 16)}),
        "EIP-7702": (bytes.fromhex("ef0100" + target[2:]), {}),
    }  # fmt: skip
    head = chain.block(MAIN, AFTER_BPO2, None, 0)
    for name, (made, storage) in cases.items():
        accounts = {
            proxy: {"code": "0x" + made.hex(), "storage": storage}, target: {"code": "0x" + counter.hex()},
            beacon: {"code": "0x00", "storage": {1: word}},
        }  # fmt: skip
        with chain.Node(head, accounts) as node:
            _, out, text = run("inspect", proxy, "--rpc-url", node.url, "--json", status=0)
        document = json.loads(out)
        followed = document.get("followed", [])
        expect([it["to"].lower() for it in followed] == [target], f"{name}: {followed}")
        expect(name in followed[0]["by"] and name in text, f"{name} is named: {followed} {text}")
        expect(document["contracts"][0]["functions"][0]["writes"], f"{name}: the code behind it is shown")


def sockets(folder):
    """A file that is no socket is never taken over."""
    path = file(folder, "notes.txt", "keep this")
    link = Path(folder) / "link"
    link.symlink_to(path)
    for name in (path, link):
        status, _, text = run("serve", "--ipc", name, stdin=b"")
        expect(status == 2, f"{name}: {status} {text}")
        expect(path.read_text() == "keep this" and link.is_symlink(), "the file is as it was")


def addresses(folder):
    """All valid spellings of a file's URI are one document."""
    project = ROOT / "fixtures/demo/start"
    source = project / "src/Token.sol"
    usual = findings_of(BINARY, project, f"file://{source}", source.read_text())
    expect(usual, "the usual spelling has findings")
    escaped = str(source).replace("Token", "%54oken")
    for uri in (f"file:{source}", f"FILE://{source}", f"File://{source}", f"file://localhost{source}", f"file://{escaped}"):
        found = findings_of(BINARY, project, uri, source.read_text())
        expect(found == usual, f"{uri}: {found} findings and not {usual}")


def arrays(folder):
    """A list is one wherever its length stands: the root of its elements is a hash that the compiler has folded."""
    for slot in (3, 255, 256, 1000, 43_690, 2**64 - 1):
        root = int.from_bytes(chain.keccak(slot.to_bytes(32, "big")), "big")
        # length = load; store(slot, length + 1); store(root + length, calldata word 4), behind a selector.
        body = f"{slot} SLOAD DUP1 1 ADD {slot} SSTORE {root} ADD 4 CALLDATALOAD SWAP1 SSTORE STOP"
        head = "0 CALLDATALOAD 224 SHR 0x959ac484 XOR"
        made = code(head) + bytes([0x15, 0x60, len(code(head)) + 9, 0x57]) + bytes([0x5F, 0x5F, 0xFD, 0, 0]) + b"\x5b" + code(body)
        report, _ = checked("-", stdin=made.hex().encode())
        rules = {it["rule"] for it in report["diagnostics"]}
        expect("array-push" in rules and "sequential-id" not in rules, f"slot {slot}: {sorted(rules)}")


def vyper_tables(folder):
    """Selectors in tables, dense and sparse, with `__default__` and without: nothing is missing, and no function does what it does."""
    for path in sorted((ROOT / "lints/tests/data/standard-json").glob("vyper-tables-*.json")):
        _, out, _ = run("inspect", path, "--json", status=0)
        contracts = json.loads(out)["contracts"]
        expect(len(contracts) > 1, f"{path.name} has contracts")
        for contract in contracts:
            place = f"{path.name} {contract['name']}"
            names = [function["name"] for function in contract["functions"]]
            open_ones = [function["name"] for function in contract["functions"] if not function["complete"]]
            expect(not open_ones, f"{place}: {open_ones} are not complete")
            defaults = [name for name in names if name in ("__default__", "__default__()", "fallback()", "fallback", "receive()", "receive")]
            expect(len(defaults) <= 1, f"{place}: {defaults} are one function")
            written = {}
            for function in contract["functions"]:
                if function["name"] in defaults:
                    continue
                for access in function["reads"] + function["writes"]:
                    when = access["when"] or ""
                    expect("calldatasize" not in when, f"{place}: {function['name']} has calldata, and not: {when}")
                written[function["name"]] = {it["expression"] for it in function["writes"]}
            # A view conflicts with itself only if it is given what `__default__` does.
            views = {name for name, slots in written.items() if not slots}
            bad = [it for it in contract["conflicts"] if it["a"] == it["b"] and it["a"] in views and it["verdict"] != "never"]
            expect(not bad, f"{place}: {bad[:1]}")


def sizes(folder):
    """Four bytes of calldata are four bytes, however the code asks for them."""
    for name, check in {"<": "4 CALLDATASIZE LT", ">": "3 CALLDATASIZE GT ISZERO", "shifted": "CALLDATASIZE 2 SHR ISZERO"}.items():
        # Short calldata jumps to a store to slot 1; the selector 0xaabbccdd stores to slot 2.
        head = code(check)
        rest = code("0 CALLDATALOAD 224 SHR 0xaabbccdd XOR")
        short = len(head) + 3 + len(rest) + 3 + len(code("1 2 SSTORE STOP"))
        made = head + bytes([0x60, short, 0x57]) + rest + bytes([0x60, short, 0x57]) + code("1 2 SSTORE STOP")
        made += b"\x5b" + code("1 1 SSTORE STOP")
        _, out, _ = run("inspect", file(folder, "sizes.hex", made.hex()), "--json", status=0)
        functions = {it["name"]: it for it in json.loads(out)["contracts"][0]["functions"]}
        slots = [int(it["slot"], 16) for it in functions["0xaabbccdd"]["writes"]]
        expect(slots == [2], f"calldatasize {name}: the function stores to {slots}")


KINDS = [
    vyper_tables, sizes,
    precompiles_without_gas, gas_from_gas, dynamic_costs, other_halts, access_lists, environment, forms, delegated_accounts, blob_fees,
    newer_forks, encodings, creations, proxies, sockets, addresses, arrays,
]  # fmt: skip


def hold(kind):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            kind(Path(folder))
            problem = None
        except (Broken, subprocess.TimeoutExpired, KeyError, IndexError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
    return kind.__name__, problem, time.monotonic() - start


def main():
    wanted = sys.argv[2:]
    kinds = [kind for kind in KINDS if not wanted or kind.__name__ in wanted]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(hold, kinds))
    for name, problem, seconds in results:
        print(f"{name:24} {'holds' if problem is None else 'BROKEN: ' + problem} ({seconds:.1f} s)")
    broken = sum(problem is not None for _, problem, _ in results)
    print(f"{len(results)} kinds, {broken} broken")
    return 1 if broken or not results else 0


if __name__ == "__main__":
    sys.exit(main())
