// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Eine Prüfung mit Umlaut.
abstract contract Guard {
    uint256 internal locked;

    modifier once() {
        require(locked == 0, unicode"gesperrt – é");
        locked = 1;
        _;
        locked = 0;
    }

    function _bump(uint256 by) internal virtual {
        locked += by;
    }
}
