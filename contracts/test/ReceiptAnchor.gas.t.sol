// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleTree} from "../src/MerkleTree.sol";
import {ReceiptAnchor} from "../src/ReceiptAnchor.sol";
import {Fixture} from "./Fixture.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev Whole transactions, intrinsic gas and calldata included, with a DA reference of one item.
/// forge-config: default.isolate = true
contract ReceiptAnchorGas is Fixture {
    uint256 private constant HEAD_KEY = 0x4EAD;
    bytes32 private constant LEAF = keccak256("leaf");
    bytes private reference_ = abi.encodePacked(hex"010102", keccak256("file root"), uint64(1_234_567)); // version, kind, state, root, sequence

    ReceiptAnchor private anchor;
    bytes32 private empty;
    bytes32 private small;
    bytes32 private medium;
    bytes32 private large;
    bytes32 private worst;
    bytes32 private entries;

    function setUp() public {
        anchor = new ReceiptAnchor();
        empty = open("empty");
        small = open("small");
        medium = open("medium");
        large = open("large");
        worst = open("worst");
        entries = open("entries");
        (bytes32 root,,) = ReferenceTree.fabricate(1_000, 2_000, 1);
        send(small, 1_000, root, new bytes32[](0));
        (root,,) = ReferenceTree.fabricate(100_003, 101_007, 1);
        send(medium, 100_003, root, new bytes32[](0));
        (root,,) = ReferenceTree.fabricate(1_000_003, 1_010_007, 1);
        send(large, 1_000_003, root, new bytes32[](0));
        (root,,) = ReferenceTree.fabricate(1_048_575, 1_058_575, 1);
        send(worst, 1_048_575, root, new bytes32[](0));
        (root,) = ReferenceTree.fabricatePath(777_777, 1_000_003, MerkleTree.leafHash(LEAF), 1);
        send(entries, 1_000_003, root, new bytes32[](0));
    }

    function open(string memory origin) private returns (bytes32) {
        return anchor.openLog(origin, address(this), vm.addr(HEAD_KEY), address(0x4EC));
    }

    function send(bytes32 logId, uint64 size, bytes32 root, bytes32[] memory proof) private {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HEAD_KEY, anchor.headDigest(logId, size, root));
        anchor.anchor(logId, size, root, proof, abi.encodePacked(r, s, v), reference_);
    }

    function test_gas_anchor_first() public {
        send(empty, 1_000, keccak256("root"), new bytes32[](0));
        vm.snapshotGasLastCall("ReceiptAnchor", "anchor first");
    }

    function test_gas_anchor_thousands() public {
        (, bytes32 root, bytes32[] memory proof) = ReferenceTree.fabricate(1_000, 2_000, 1);
        eq(proof.length, 9, "nodes");
        send(small, 2_000, root, proof);
        vm.snapshotGasLastCall("ReceiptAnchor", "anchor 1,000 -> 2,000");
    }

    function test_gas_anchor_hundred_thousands() public {
        (, bytes32 root, bytes32[] memory proof) = ReferenceTree.fabricate(100_003, 101_007, 1);
        send(medium, 101_007, root, proof);
        vm.snapshotGasLastCall("ReceiptAnchor", "anchor 100,003 -> 101,007");
    }

    function test_gas_anchor_million() public {
        (, bytes32 root, bytes32[] memory proof) = ReferenceTree.fabricate(1_000_003, 1_010_007, 1);
        eq(proof.length, 20, "nodes");
        send(large, 1_010_007, root, proof);
        uint256 gas = vm.snapshotGasLastCall("ReceiptAnchor", "anchor 1,000,003 -> 1,010,007");
        yes(gas < 65_000, "below 65,000");
    }

    /// @dev The dearest of all sizes between a million and 1.1: every level of the old tree has a node of its own.
    function test_gas_anchor_worst() public {
        (, bytes32 root, bytes32[] memory proof) = ReferenceTree.fabricate(1_048_575, 1_058_575, 1);
        eq(proof.length, 22, "nodes");
        send(worst, 1_058_575, root, proof);
        vm.snapshotGasLastCall("ReceiptAnchor", "anchor 1,048,575 -> 1,058,575, the dearest");
    }

    function test_gas_anchor_again() public {
        (bytes32 root,,) = ReferenceTree.fabricate(1_000, 2_000, 1);
        send(small, 1_000, root, new bytes32[](0));
        vm.snapshotGasLastCall("ReceiptAnchor", "anchor the same head again");
    }

    function test_gas_verify_inclusion() public {
        (, bytes32[] memory proof) = ReferenceTree.fabricatePath(777_777, 1_000_003, MerkleTree.leafHash(LEAF), 1);
        yes(anchor.verifyInclusion(entries, 777_777, LEAF, proof), "included");
        vm.snapshotGasLastCall("ReceiptAnchor", "verifyInclusion in 1,000,003");
    }
}
