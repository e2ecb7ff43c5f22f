"""What makes an inner frame fail while its caller goes on, and what makes a prediction hold for one block only."""

from chain import address_of, authorization, block_file, contract, sender

OPS = dict(
    STOP=0x00, ADD=0x01, MUL=0x02, SUB=0x03, DIV=0x04, MOD=0x06, EXP=0x0A, LT=0x10, GT=0x11, ISZERO=0x15, AND=0x16, XOR=0x18, SHL=0x1B, SHR=0x1C,
    KECCAK256=0x20, ADDRESS=0x30, BALANCE=0x31, CALLER=0x33, CALLDATALOAD=0x35, CALLDATASIZE=0x36, CODECOPY=0x39, EXTCODESIZE=0x3B,
    EXTCODECOPY=0x3C, EXTCODEHASH=0x3F, BLOCKHASH=0x40, COINBASE=0x41, TIMESTAMP=0x42, NUMBER=0x43, PREVRANDAO=0x44, GASLIMIT=0x45,
    BASEFEE=0x48, BLOBBASEFEE=0x4A, POP=0x50, MLOAD=0x51, MSTORE=0x52, MSTORE8=0x53, SLOAD=0x54, SSTORE=0x55, JUMP=0x56, JUMPI=0x57,
    GAS=0x5A, JUMPDEST=0x5B, TLOAD=0x5C, TSTORE=0x5D, MCOPY=0x5E, DUP1=0x80, DUP2=0x81, SWAP1=0x90, LOG0=0xA0, LOG1=0xA1, LOG4=0xA4,
    CREATE=0xF0, CALL=0xF1, RETURN=0xF3, DELEGATECALL=0xF4, STATICCALL=0xFA, REVERT=0xFD, SELFDESTRUCT=0xFF, INVALID=0xFE,
)  # fmt: skip


def code(text):
    """Assembles: names of instructions, and numbers, which are pushed."""
    made = bytearray()
    for word in text.split():
        if word in OPS:
            made.append(OPS[word])
            continue
        number = int(word, 0)
        width = (number.bit_length() + 7) // 8
        made += bytes([0x5F + width]) + number.to_bytes(width, "big")
    return bytes(made)


# The caller goes on whatever comes out, and touches the slot that says what it was.
GO_ON = " 0x50 ADD SLOAD POP STOP"


def calls(gas, target, size=0, value=None):
    """Calls with so much gas and so many bytes, and loads slot 0x50 or 0x51."""
    if value is None:
        return f"0 0 {size} 0 {target} {gas} STATICCALL" + GO_ON
    return f"0 0 {size} 0 {value} {target} {gas} CALL" + GO_ON


def scene(pairs, **header):
    """One transaction for each (gas limit, code of the caller, code of the callee); the callee's address is `callee(index)`."""
    transactions, accounts = [], {}
    for index, (gas, caller, callee) in enumerate(pairs):
        accounts[sender(index)] = (10**18, 0, b"", {})
        accounts[contract(2 * index)] = (10**6, 1, code(caller), {0x51: 1})
        if callee is not None:
            accounts[contract(2 * index + 1)] = (0, 1, code(callee), {})
        transactions.append({"from": sender(index), "to": contract(2 * index), "gas_limit": gas})
    return block_file(1, "Osaka", 1_770_000_000, transactions, accounts, **header)


def callee(index):
    return hex(0xC0DE0000 + 2 * index + 1)


def starved_precompiles():
    """Precompiles that are given all the gas there is, which is less than they cost."""
    pairs = []
    for target, size in ((0x02, 48_000), (0x03, 9_000), (0x04, 120_000), (0x08, 192 * 7), (0x09, 213), (0x0A, 192), (0x0B, 256), (0x0100, 160)):
        # Memory is there before, so that nothing but the precompile costs; rounds of blake2f are a large number.
        before = f"0 {size} MSTORE 0xffff 3 MSTORE8 0xff 2 MSTORE8 "
        for gas in (40_000, 80_000, 150_000, 400_000):
            for given in ("GAS", "0xffffffff"):
                pairs.append((gas, before + calls(given, target, size), None))
    # A modular exponentiation with an exponent of 32 bytes and operands of 256.
    for gas in (40_000, 100_000, 1_000_000):
        before = f"256 0 MSTORE 32 32 MSTORE 256 64 MSTORE {2**256 - 1} 352 MSTORE 1 607 MSTORE8 3 639 MSTORE8 "
        pairs.append((gas, before + calls("GAS", 5, 640), None))
    return scene(pairs)


def gas_operands():
    """Calls whose gas is computed from what is left."""
    heavy = "0x10 SLOAD POP 0x11 SLOAD POP STOP"
    given = (
        "5000 GAS SUB", "30000 GAS SUB", "100 GAS DIV", "GAS 6 SHR", "GAS 5 SHR", "0x3ff GAS AND", "4000 GAS MOD",
        "64 63 GAS MUL DIV", "GAS GAS XOR", "GAS 3 MUL 400 SWAP1 DIV",
    )  # fmt: skip
    pairs = []
    for text in given:
        for gas in (34_000, 40_000, 60_000, 200_000):
            pairs.append((gas, calls(text, callee(len(pairs))), heavy))
    return scene(pairs)


def dynamic_costs():
    """Callees that are given about what they cost, one gas less and one more included, for every cost that depends on operands."""
    cold = "0xdead01"
    work = {
        "balance": (f"{cold} BALANCE POP STOP", (2603, 2605, 2700)),
        "size of a code": (f"{cold} EXTCODESIZE POP STOP", (2603, 2605)),
        "hash of a code": (f"{cold} EXTCODEHASH POP STOP", (2603, 2605)),
        "copy of a code": (f"64 0 0 {cold} EXTCODECOPY STOP", (2600, 2614, 2618, 2630)),
        "exponent": ("0xffffffffffff 3 EXP POP STOP", (300, 315, 317, 400)),
        "log": ("1 2 3 4 256 0 LOG4 STOP", (3900, 3941, 3960, 4100)),
        "hash": ("2048 0 KECCAK256 POP STOP", (400, 424, 600, 640, 700)),
        "memory": ("1 0x4000 MSTORE STOP", (1500, 2000, 2056, 2060, 2100)),
        "copy in memory": ("4096 0 64 MCOPY STOP", (600, 780, 800, 900)),
        "word of memory": ("0x8000 MLOAD POP STOP", (3000, 5000, 5130, 5200)),
        "destruction": ("0xdead02 SELFDESTRUCT", (5000, 7602, 7603, 7605, 32_605)),
        "creation": ("0 0 0 CREATE POP STOP", (31_000, 32_006, 32_010, 32_100)),
        "init code": ("0x600 0 0 CREATE POP STOP", (32_100, 32_250, 32_300, 33_000)),
        "transient word": ("7 1 TSTORE 1 TLOAD POP STOP", (105, 212, 213, 300)),
        "payment": (f"0 0 0 0 0 {cold} GAS CALL POP STOP", (2600, 2616, 2620, 2700)),
        "code that begins with 0xef": ("0xef600053600160 0xf3 POP POP STOP", (10, 20)),
    }
    pairs = []
    for program, gases in work.values():
        for gas in gases:
            for exact in (gas - 1, gas, gas + 1):
                pairs.append((300_000, calls(exact, callee(len(pairs))), program))
    # The stipend alone, as `send` gives it, to an account that looks at another one.
    for program in (f"{cold} BALANCE POP STOP", "1 2 3 4 64 0 LOG4 STOP", "0 SLOAD POP STOP"):
        pairs.append((300_000, calls(0, callee(len(pairs)), value=1), program))
    return scene(pairs)


def other_halts():
    """Frames that fail for other reasons than gas, while their callers go on."""
    programs = (
        "INVALID", "POP", "3 JUMP", "0 0 REVERT", "1 1 SSTORE STOP", "64 0 0 0x3e MSTORE8 STOP", "1 1 TSTORE STOP", "0 0 LOG0 STOP",
        "0 0 0 CREATE POP STOP", "0xdead03 SELFDESTRUCT",
    )  # fmt: skip
    pairs = []
    for program in programs:
        pairs.append((300_000, calls("GAS", callee(len(pairs))), program))
    # More than the caller has.
    pairs.append((300_000, calls("GAS", callee(len(pairs)), value=10**9), "STOP"))
    return scene(pairs)


def delegations():
    """A transaction that calls precompiles, one that delegates, and one that calls the delegated account."""
    authority = address_of(77)
    delegate = contract(500)
    signed = authorization(77, delegate, 1)
    signed = {"chain_id": "0x1", "address": delegate, "nonce": 0, "y_parity": int(signed["yParity"], 16), "r": signed["r"], "s": signed["s"]}
    hashes = code("0 0 0 0 2 GAS STATICCALL POP 0 0 0 0 4 GAS STATICCALL POP 0 0 0 0 0x0100 GAS STATICCALL POP COINBASE BALANCE POP 9 SLOAD POP STOP")
    accounts = {
        sender(1): (10**18, 0, b"", {}), sender(2): (10**18, 0, b"", {}), authority: (10**18, 0, b"", {}),
        contract(1): (0, 1, hashes, {}), delegate: (0, 1, code("3 SLOAD POP STOP"), {}),
    }  # fmt: skip
    transactions = [
        {"from": sender(1), "to": contract(1)},
        {"from": sender(2), "to": sender(3), "type": 4, "authorization_list": [signed]},
    ]
    return block_file(1, "Osaka", 1_770_000_000, transactions, accounts), authority, contract(1)


def environments():
    """Contracts whose slots are words of the block, by the word."""
    words = {
        "timestamp": "TIMESTAMP", "number": "NUMBER", "prevrandao": "PREVRANDAO", "coinbase": "COINBASE", "basefee": "BASEFEE",
        "gaslimit": "GASLIMIT", "blobbasefee": "BLOBBASEFEE", "blockhash": "1 NUMBER SUB BLOCKHASH",
    }  # fmt: skip
    pairs = [(200_000, f"{text} SLOAD POP STOP", None) for text in words.values()]
    made = scene(pairs + [(200_000, "5 SLOAD POP STOP", None)])
    made["block_hashes"] = {str(made["number"] - 1): "0x" + "99" * 32}
    return made, list(words)
