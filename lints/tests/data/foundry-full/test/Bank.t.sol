// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Bank} from "../src/Bank.sol";

contract BankTest {
    uint256 internal runs;

    function test_nothing() public {
        runs += 1;
    }
}
