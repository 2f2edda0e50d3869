// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleTree} from "../src/MerkleTree.sol";
import {Fixture} from "./Fixture.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev Every tree of up to 64 leaves against the RFC's definitions: what is right is taken, what is changed is not.
contract MerkleTreeTest is Fixture {
    uint64 private constant LARGEST = 64;

    /// @dev roots[n] is the root of the first n entries.
    bytes32[] private roots;

    function setUp() public {
        for (uint256 n = 0; n <= LARGEST; ++n) {
            roots.push(ReferenceTree.root(0, n));
        }
    }

    // The library takes proofs from calldata.
    function consistent(uint64 m, bytes32 oldRoot, uint64 n, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleTree.extends(m, oldRoot, n, newRoot, proof);
    }

    function included(bytes32 root, uint64 n, uint64 index, bytes32 leaf, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleTree.includes(root, n, index, leaf, proof);
    }

    function test_the_first_hashes_are_the_rfcs() public pure {
        eq(MerkleTree.EMPTY_ROOT, sha256(""), "empty tree");
        eq(MerkleTree.leafHash(bytes32(uint256(7))), sha256(abi.encodePacked(hex"00", uint256(7))), "leaf");
    }

    function test_every_consistency_up_to_64() public view {
        for (uint64 n = 1; n <= LARGEST; ++n) {
            for (uint64 m = 1; m <= n; ++m) {
                this.check_consistency(m, n);
            }
        }
    }

    /// @dev A call of its own, so that memory starts empty.
    function check_consistency(uint64 m, uint64 n) external view {
        bytes32[] memory proof = ReferenceTree.consistency(m, n);
        (bytes32 oldRoot, bytes32 newRoot) = (roots[m], roots[n]);
        yes(this.consistent(m, oldRoot, n, newRoot, proof), "right");
        no(this.consistent(m, flip(oldRoot), n, newRoot, proof), "old root changed");
        no(this.consistent(m, oldRoot, n, flip(newRoot), proof), "new root changed");
        no(this.consistent(m, oldRoot, n, newRoot, longer(proof)), "a hash too many");
        if (m < n) {
            no(this.consistent(m, oldRoot, n, newRoot, shorter(proof)), "a hash too few");
            no(this.consistent(n, newRoot, m, oldRoot, proof), "backwards");
            no(this.consistent(m, newRoot, n, oldRoot, proof), "roots exchanged");
        }
        if (m > 1) no(this.consistent(m - 1, oldRoot, n, newRoot, proof) && m - 1 != n, "old size changed");
        for (uint256 i = 0; i < proof.length; ++i) {
            bytes32 kept = proof[i];
            proof[i] = flip(kept);
            no(this.consistent(m, oldRoot, n, newRoot, proof), "a hash changed");
            proof[i] = kept;
        }
        for (uint256 i = 1; i < proof.length; ++i) {
            (proof[i - 1], proof[i]) = (proof[i], proof[i - 1]);
            no(this.consistent(m, oldRoot, n, newRoot, proof), "two hashes exchanged");
            (proof[i - 1], proof[i]) = (proof[i], proof[i - 1]);
        }
    }

    function test_every_inclusion_up_to_64() public view {
        for (uint64 n = 1; n <= LARGEST; ++n) {
            for (uint64 index = 0; index < n; ++index) {
                this.check_inclusion(index, n);
            }
        }
    }

    function check_inclusion(uint64 index, uint64 n) external view {
        bytes32[] memory proof = ReferenceTree.path(index, 0, n);
        (bytes32 root, bytes32 leaf) = (roots[n], MerkleTree.leafHash(ReferenceTree.entry(index)));
        yes(this.included(root, n, index, leaf, proof), "right");
        no(this.included(flip(root), n, index, leaf, proof), "root changed");
        no(this.included(root, n, index, flip(leaf), proof), "leaf changed");
        no(this.included(root, n, index, leaf, longer(proof)), "a hash too many");
        no(this.included(root, n, n, leaf, proof), "beyond the tree");
        if (index > 0) no(this.included(root, n, index - 1, leaf, proof), "one to the left");
        if (index + 1 < n) no(this.included(root, n, index + 1, leaf, proof), "one to the right");
        if (n > 1) no(this.included(root, n, index, leaf, shorter(proof)), "a hash too few");
        for (uint256 i = 0; i < proof.length; ++i) {
            bytes32 kept = proof[i];
            proof[i] = flip(kept);
            no(this.included(root, n, index, leaf, proof), "a hash changed");
            proof[i] = kept;
        }
    }

    function test_every_tree_begins_with_the_empty_one() public view {
        bytes32[] memory empty = new bytes32[](0);
        yes(this.consistent(0, roots[0], 5, roots[5], empty), "from nothing");
        yes(this.consistent(0, roots[0], 0, roots[0], empty), "nothing from nothing");
        no(this.consistent(0, roots[0], 5, roots[5], longer(empty)), "with a proof");
        no(this.consistent(0, roots[1], 5, roots[5], empty), "from an empty tree that is none");
        no(this.consistent(0, roots[1], 0, roots[1], empty), "an empty tree that is none");
        no(this.included(roots[0], 0, 0, roots[0], empty), "nothing is in it");
    }

    function testFuzz_large_trees(uint64 m, uint64 n, uint256 random) public view {
        n = uint64(within(n, 3, type(uint64).max));
        m = uint64(within(m, 2, n - 1));
        if (m & (m - 1) == 0) ++m;
        if (m >= n) return;
        (bytes32 oldRoot, bytes32 newRoot, bytes32[] memory proof) = ReferenceTree.fabricate(m, n, random);
        yes(this.consistent(m, oldRoot, n, newRoot, proof), "right");
        proof[random % proof.length] = flip(proof[random % proof.length]);
        no(this.consistent(m, oldRoot, n, newRoot, proof), "changed");
        uint64 index = uint64(random % n);
        bytes32 top;
        (top, proof) = ReferenceTree.fabricatePath(index, n, bytes32(random), random);
        yes(this.included(top, n, index, bytes32(random), proof), "right");
        proof[random % proof.length] = flip(proof[random % proof.length]);
        no(this.included(top, n, index, bytes32(random), proof), "changed");
    }

    function testFuzz_rubbish_proves_nothing(uint64 m, uint64 n, bytes32 a, bytes32 b, bytes32[] calldata proof)
        public
        view
    {
        vm.assume(a != b && m != 0 && n != 0);
        no(MerkleTree.extends(m, a, n, b, proof), "consistency");
        no(MerkleTree.includes(a, n, m, b, proof), "inclusion");
    }

    function flip(bytes32 hash) private pure returns (bytes32) {
        return hash ^ bytes32(uint256(1) << 77);
    }

    function longer(bytes32[] memory hashes) private pure returns (bytes32[] memory more) {
        more = new bytes32[](hashes.length + 1);
        for (uint256 i = 0; i < hashes.length; ++i) {
            more[i] = hashes[i];
        }
        more[hashes.length] = keccak256("one more");
    }

    function shorter(bytes32[] memory hashes) private pure returns (bytes32[] memory fewer) {
        fewer = new bytes32[](hashes.length - 1);
        for (uint256 i = 0; i < fewer.length; ++i) {
            fewer[i] = hashes[i];
        }
    }
}
