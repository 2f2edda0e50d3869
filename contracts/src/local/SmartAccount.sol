// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A smart account with one key
/// @notice FOR LOCAL CHAINS AND TESTS ONLY: what an agent's contract wallet looks like from outside. Its key may act
/// through it and signs for it (ERC-1271). As an EIP-7702 delegate it speaks for an EOA by another key than the EOA's.
contract SmartAccount is IERC1271, ERC721Holder {
    /// @notice Whose signature counts. Part of the code, so that a delegation carries it along.
    address public immutable key;

    error NotTheKey(address caller);

    constructor(address key_) {
        key = key_;
    }

    /// @notice Calls anything, as the account. The key only.
    function execute(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        if (msg.sender != key) revert NotTheKey(msg.sender);
        // solhint-disable-next-line avoid-low-level-calls
        (bool success, bytes memory result) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    /// @notice ERC-1271: whether the key signed.
    /// @dev Takes any hash, so a signature for one account is one for every account of that key: not for real money.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return signer == key ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
