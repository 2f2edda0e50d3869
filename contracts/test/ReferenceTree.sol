// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @dev RFC 9162's definitions as they stand there, recursive and slow: what the library's loops are compared with.
library ReferenceTree {
    /// @dev The entry at an index of the tests' tree.
    function entry(uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode("entry", index));
    }

    /// @dev MTH(D[low:high]), section 2.1.1.
    function root(uint256 low, uint256 high) internal pure returns (bytes32) {
        if (high == low) return sha256("");
        if (high - low == 1) return sha256(abi.encodePacked(bytes1(0x00), entry(low)));
        uint256 k = split(high - low);
        return node(root(low, low + k), root(low + k, high));
    }

    /// @dev PATH(index - low, D[low:high]), section 2.1.3.1.
    function path(uint256 index, uint256 low, uint256 high) internal pure returns (bytes32[] memory) {
        if (high - low == 1) return new bytes32[](0);
        uint256 k = split(high - low);
        if (index - low < k) return append(path(index, low, low + k), root(low + k, high));
        return append(path(index, low + k, high), root(low, low + k));
    }

    /// @dev PROOF(m, D[0:n]), section 2.1.4.1.
    function consistency(uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        return subproof(m, 0, n, true);
    }

    function subproof(uint256 m, uint256 low, uint256 high, bool whole) private pure returns (bytes32[] memory) {
        if (m == high - low) {
            return whole ? new bytes32[](0) : append(new bytes32[](0), root(low, high));
        }
        uint256 k = split(high - low);
        if (m <= k) return append(subproof(m, low, low + k, whole), root(low + k, high));
        return append(subproof(m - k, low + k, high, false), root(low, low + k));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev The largest power of two below n.
    function split(uint256 n) private pure returns (uint256 k) {
        k = 1;
        while (k << 1 < n) k <<= 1;
    }

    function append(bytes32[] memory hashes, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](hashes.length + 1);
        for (uint256 i = 0; i < hashes.length; ++i) {
            longer[i] = hashes[i];
        }
        longer[hashes.length] = last;
    }

    /// @dev Two roots that any proof of the right length connects, for trees too large to build: the RFC's verification
    /// (2.1.4.2) read as a computation. `random` seeds the proof. The old size is no power of two.
    function fabricate(uint256 oldSize, uint256 newSize, uint256 random)
        internal
        pure
        returns (bytes32 oldRoot, bytes32 newRoot, bytes32[] memory proof)
    {
        uint256 fn = oldSize - 1;
        uint256 sn = newSize - 1;
        while (fn & 1 == 1) (fn, sn) = (fn >> 1, sn >> 1);
        proof = append(new bytes32[](0), keccak256(abi.encode(random, 0)));
        (oldRoot, newRoot) = (proof[0], proof[0]);
        while (sn != 0) {
            bytes32 sibling = keccak256(abi.encode(random, proof.length));
            proof = append(proof, sibling);
            if (fn & 1 == 1 || fn == sn) {
                (oldRoot, newRoot) = (node(sibling, oldRoot), node(sibling, newRoot));
                while (fn & 1 == 0 && fn != 0) (fn, sn) = (fn >> 1, sn >> 1);
            } else {
                newRoot = node(newRoot, sibling);
            }
            (fn, sn) = (fn >> 1, sn >> 1);
        }
    }

    /// @dev A root, and a path to it from a leaf of a tree too large to build.
    function fabricatePath(uint256 index, uint256 size, bytes32 leaf, uint256 random)
        internal
        pure
        returns (bytes32 top, bytes32[] memory proof)
    {
        uint256 fn = index;
        uint256 sn = size - 1;
        top = leaf;
        while (sn != 0) {
            bytes32 sibling = keccak256(abi.encode(random, proof.length));
            proof = append(proof, sibling);
            if (fn & 1 == 1 || fn == sn) {
                top = node(sibling, top);
                while (fn & 1 == 0 && fn != 0) (fn, sn) = (fn >> 1, sn >> 1);
            } else {
                top = node(top, sibling);
            }
            (fn, sn) = (fn >> 1, sn >> 1);
        }
    }
}
