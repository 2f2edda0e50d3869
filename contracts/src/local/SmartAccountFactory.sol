// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SmartAccount} from "./SmartAccount.sol";

/// @title Deploys {SmartAccount}s where anyone can tell they will be
/// @notice FOR LOCAL CHAINS AND TESTS ONLY: the factory an ERC-6492 signature names.
contract SmartAccountFactory {
    /// @notice Deploys the key's account, or finds it deployed.
    function create(address key, bytes32 salt) external returns (address account) {
        account = addressOf(key, salt);
        if (account.code.length == 0) new SmartAccount{salt: salt}(key);
    }

    /// @notice Where {create} puts the account of a key.
    function addressOf(address key, bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(SmartAccount).creationCode, abi.encode(key)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code)))));
    }
}
