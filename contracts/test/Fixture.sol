// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev What every test contract starts from: forge's cheat codes and assertions that say what they saw.
abstract contract Fixture {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 seen, uint256 wanted);
    error NotEqualBytes32(string what, bytes32 seen, bytes32 wanted);
    error NotTrue(string what);

    function eq(uint256 seen, uint256 wanted, string memory what) internal pure {
        if (seen != wanted) revert NotEqual(what, seen, wanted);
    }

    function eq(address seen, address wanted, string memory what) internal pure {
        if (seen != wanted) revert NotEqual(what, uint160(seen), uint160(wanted));
    }

    function eq(bytes32 seen, bytes32 wanted, string memory what) internal pure {
        if (seen != wanted) revert NotEqualBytes32(what, seen, wanted);
    }

    function yes(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function no(bool condition, string memory what) internal pure {
        if (condition) revert NotTrue(string.concat("not: ", what));
    }

    function within(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        uint256 width = high - low;
        return width == type(uint256).max ? x : low + x % (width + 1);
    }
}
