// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The tree maths of RFC 9162, section 2.1, over SHA-256
/// @notice `leafHash = sha256(0x00 || entry)`, `nodeHash = sha256(0x01 || left || right)`, and the empty tree's root is
/// `sha256("")`. An entry is 32 bytes.
/// @dev Nodes are hashed by the precompile at 0x02 from 0x1f to 0x5f: the prefix, written once, the left and the right hash.
/// The right one, and the answer, lie on the free memory pointer, which is put back before the assembly ends. Whether the
/// call succeeds is not asked: it can only run out of gas, at less than 100, and then so does whoever called.
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
        bool fits;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(0x1f, 0x01)
            let at := proof.offset
            let end := add(at, shl(5, proof.length))
            // steps 4 and 4a: a proof that goes on when sn is 0 is not used up, and does not fit
            for {} mul(lt(at, end), sn) { at := add(at, 0x20) } {
                // step 4b
                switch or(and(fn, 1), eq(fn, sn))
                case 0 {
                    mstore(0x20, node)
                    mstore(0x40, calldataload(at))
                }
                default {
                    mstore(0x20, calldataload(at))
                    mstore(0x40, node)
                    // A right-hand border node without a sibling on these levels: it is carried up as it is.
                    for {} iszero(or(and(fn, 1), iszero(fn))) {} {
                        fn := shr(1, fn)
                        sn := shr(1, sn)
                    }
                }
                pop(staticcall(gas(), 0x02, 0x1f, 0x41, 0x40, 0x20))
                node := mload(0x40)
                // step 4c
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            mstore(0x40, free)
            // step 5
            fits := and(and(iszero(sn), eq(at, end)), eq(node, root))
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

        return _extends(uint256(oldSize) - 1, oldRoot, uint256(newSize) - 1, newRoot, proof);
    }

    /// @dev RFC 9162, 2.1.4.2 from step 2 on. The RFC's one loop (step 6) is cut in two where fn and sn become equal: before,
    /// only the last bit of fn decides on which side a hash stands; after, it is always the left one, and levels at which fn
    /// is even have none. Sizes alone say how many hashes are used, so whether that is what there is can be asked at the
    /// end; until then a read beyond the proof reads other calldata and does no harm.
    /// @param fn last index of the old tree
    /// @param sn last index of the new tree, larger
    function _extends(uint256 fn, bytes32 oldRoot, uint256 sn, bytes32 newRoot, bytes32[] calldata proof)
        private
        view
        returns (bool fits)
    {
        assembly ("memory-safe") {
            let at := proof.offset
            let end := add(at, shl(5, proof.length))
            // step 4
            for {} and(fn, 1) {} {
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            // steps 2 and 5: when the old tree is complete (fn is now 0) its root is the first hash and is left out
            let oldNode := oldRoot
            if fn {
                oldNode := calldataload(at)
                at := add(at, 0x20)
            }
            let free := mload(0x40)
            mstore8(0x1f, 0x01)
            mstore(0x40, oldNode) // the new tree's node stays where the precompile leaves it

            function joinLeft(at_, oldNode_) -> parent {
                mstore(0x20, calldataload(at_))
                let newNode_ := mload(0x40)
                pop(staticcall(gas(), 0x02, 0x1f, 0x41, 0x40, 0x20))
                parent := mload(0x40)
                // As long as both are one hash, so are their parents.
                if xor(oldNode_, newNode_) {
                    newNode_ := parent
                    mstore(0x40, oldNode_)
                    pop(staticcall(gas(), 0x02, 0x1f, 0x41, 0x40, 0x20))
                    parent := mload(0x40)
                    mstore(0x40, newNode_)
                }
            }
            for {} xor(fn, sn) {} {
                switch and(fn, 1)
                case 0 {
                    mstore(0x20, mload(0x40))
                    mstore(0x40, calldataload(at))
                    pop(staticcall(gas(), 0x02, 0x1f, 0x41, 0x40, 0x20))
                }
                default { oldNode := joinLeft(at, oldNode) }
                at := add(at, 0x20)
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            for {} fn { fn := shr(1, fn) } {
                if and(fn, 1) {
                    oldNode := joinLeft(at, oldNode)
                    at := add(at, 0x20)
                }
            }
            // step 7
            fits := and(eq(at, end), and(eq(oldNode, oldRoot), eq(mload(0x40), newRoot)))
            mstore(0x40, free)
        }
    }
}
