// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

// Ä 日本 😀
contract Counter {
    uint256 public count; // é
    mapping(address => uint256) hits;

    function hit(uint256 by) external {
        /* ö */ hits[msg.sender] += by;
        count++;
    }
}
