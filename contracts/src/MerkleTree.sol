// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The tree maths of RFC 9162, section 2.1, over SHA-256
/// @notice `leafHash = sha256(0x00 || entry)`, `nodeHash = sha256(0x01 || left || right)`, and the empty tree's root is
/// `sha256("")`. An entry is 32 bytes.
/// @dev Hashing is done by the precompile at 0x02 from one 65-byte buffer whose prefix is written once. The buffer lies
/// past the free memory pointer and is given back, so that memory does not grow with the proof.
library MerkleTree {
    /// @dev sha256(""), the root of a tree without leaves.
    bytes32 internal constant EMPTY_ROOT = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    /// @notice The leaf hash of a 32-byte entry.
    function leafHash(bytes32 entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    /// @notice Whether `leaf` stands at `index` of the tree of `size` leaves with root `root` (RFC 9162, 2.1.3.2).
    /// @param leaf the leaf hash, not the entry
    /// @param proof sibling hashes from the leaf upwards; must be exactly as long as the path
    function includes(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        // 2.1.3.2 step 1
        if (index >= size) return false;
        uint256 fn = index;
        uint256 sn;
        unchecked {
            sn = uint256(size) - 1; // size > index >= 0
        }
        bytes32 node = leaf;
        bool fits = true;
        assembly ("memory-safe") {
            function parent(prefixed, left, right) -> node_ {
                mstore(add(prefixed, 0x01), left)
                mstore(add(prefixed, 0x21), right)
                if iszero(staticcall(gas(), 0x02, prefixed, 0x41, 0x00, 0x20)) { revert(0, 0) }
                node_ := mload(0x00)
            }
            let buffer := mload(0x40)
            mstore8(buffer, 0x01)
            let at := proof.offset
            let end := add(at, shl(5, proof.length))
            for {} lt(at, end) { at := add(at, 0x20) } {
                // step 4a
                if iszero(sn) {
                    fits := 0
                    break
                }
                // step 4b
                switch or(and(fn, 1), eq(fn, sn))
                case 0 { node := parent(buffer, node, calldataload(at)) }
                default {
                    node := parent(buffer, calldataload(at), node)
                    // A right-hand border node without a sibling on these levels: it is carried up as it is.
                    for {} iszero(or(and(fn, 1), iszero(fn))) {} {
                        fn := shr(1, fn)
                        sn := shr(1, sn)
                    }
                }
                // step 4c
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            // step 5
            fits := and(fits, and(iszero(sn), eq(node, root)))
        }
        return fits;
    }

    /// @notice Whether the tree (`newSize`, `newRoot`) begins with the tree (`oldSize`, `oldRoot`) (RFC 9162, 2.1.4.2).
    /// @dev Beyond the RFC, which leaves the two ends to the caller: every tree begins with the empty one, and with
    /// itself; both are proved by the empty proof and by nothing else.
    function extends(uint64 oldSize, bytes32 oldRoot, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (newSize < oldSize) return false;
        if (oldSize == newSize) {
            return proof.length == 0 && oldRoot == newRoot && (oldSize != 0 || oldRoot == EMPTY_ROOT);
        }
        if (oldSize == 0) return proof.length == 0 && oldRoot == EMPTY_ROOT;
        // 2.1.4.2 step 1
        if (proof.length == 0) return false;

        bool fits = true;
        assembly ("memory-safe") {
            function parent(prefixed, left, right) -> node_ {
                mstore(add(prefixed, 0x01), left)
                mstore(add(prefixed, 0x21), right)
                if iszero(staticcall(gas(), 0x02, prefixed, 0x41, 0x00, 0x20)) { revert(0, 0) }
                node_ := mload(0x00)
            }
            // step 3
            let fn := sub(oldSize, 1)
            let sn := sub(newSize, 1)
            // step 4
            for {} and(fn, 1) {} {
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            let at := proof.offset
            let end := add(at, shl(5, proof.length))
            // steps 2 and 5: when the old tree is complete (fn is now 0) its root is the first hash and is left out
            let oldNode := oldRoot
            if fn {
                oldNode := calldataload(at)
                at := add(at, 0x20)
            }
            let newNode := oldNode

            let buffer := mload(0x40)
            mstore8(buffer, 0x01)
            // step 6
            for {} lt(at, end) { at := add(at, 0x20) } {
                // step 6a
                if iszero(sn) {
                    fits := 0
                    break
                }
                // step 6b
                switch or(and(fn, 1), eq(fn, sn))
                case 0 { newNode := parent(buffer, newNode, calldataload(at)) }
                default {
                    // As long as both are one hash, so are their parents.
                    switch eq(oldNode, newNode)
                    case 0 {
                        oldNode := parent(buffer, calldataload(at), oldNode)
                        newNode := parent(buffer, calldataload(at), newNode)
                    }
                    default {
                        oldNode := parent(buffer, calldataload(at), oldNode)
                        newNode := oldNode
                    }
                    for {} iszero(or(and(fn, 1), iszero(fn))) {} {
                        fn := shr(1, fn)
                        sn := shr(1, sn)
                    }
                }
                // step 6c
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            // step 7
            fits := and(fits, and(iszero(sn), and(eq(oldNode, oldRoot), eq(newNode, newRoot))))
        }
        return fits;
    }
}
