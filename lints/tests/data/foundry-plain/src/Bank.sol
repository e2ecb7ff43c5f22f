// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Guard} from "dep/Guard.sol";

// Überweisung: 日本語 😀
interface IBank {
    function deposit(uint256 amount) external payable;
}

library Sums {
    function add(uint256 a, uint256 b) external pure returns (uint256) {
        return a + b;
    }
}

contract Bank is Guard, IBank {
    enum Kind { Spot, Future }
    struct Position { address owner; uint96 size; uint256[] fills; Kind kind; }

    uint256 private immutable fee;
    uint256 private constant LIMIT = 10;
    uint256 internal total;
    uint128 internal low;
    uint128 internal high;
    mapping(address => uint256) internal balances;
    mapping(address => mapping(uint256 => Position)) internal positions;
    Position[] internal queue;
    uint64[7] internal lanes;
    string internal name;
    Position[2] internal pair;
    bool internal paused;
    Guard internal peer;
    uint256 internal transient scratch;

    constructor(uint256 fee_) {
        fee = fee_;
    }

    function deposit(uint256 amount) external payable override once {
        total += amount;
        balances[msg.sender] += amount - fee; // 日本
        low += 1;
        _bump(2);
    }
}

contract UsesLibrary {
    uint256 internal sum;

    function bump() external {
        sum = Sums.add(sum, 1);
    }
}
