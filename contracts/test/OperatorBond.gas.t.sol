// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleTree} from "../src/MerkleTree.sol";
import {OperatorBond} from "../src/OperatorBond.sol";
import {BondStage} from "./BondStage.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev Whole transactions, intrinsic gas and calldata included.
/// forge-config: default.isolate = true
contract OperatorBondGas is BondStage {
    function note(string memory name) private {
        vm.snapshotGasLastCall("OperatorBond", name);
    }

    function test_gas_bond() public {
        bond.bond{value: 1 ether}(logId);
        note("bond again");
        bytes32 other = openLog("other");
        bond.bond{value: 1 ether}(other);
        note("bond first");
    }

    function test_gas_withdrawal() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 5 ether);
        note("startWithdrawal");
        later(DELAY);
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, OWNER);
        note("completeWithdrawal");
    }

    function test_gas_two_receipts() public {
        bond.proveTwoReceipts(signed(receipt(1)), signed(otherReceipt(1)));
        note("proveTwoReceipts");
        vm.prank(ALICE);
        bond.collect(address(registry), agent, ALICE);
        note("collect");
    }

    function test_gas_two_heads() public {
        bond.proveTwoHeads(logId, signedHead(9, "one"), signedHead(9, "another"), "another", none());
        note("proveTwoHeads of one size");
        (, bytes32 top, bytes32[] memory proof) = ReferenceTree.fabricate(1_000_003, 1_010_007, 1);
        (bytes32 old,,) = ReferenceTree.fabricate(1_000_003, 1_010_007, 1);
        bond.proveTwoHeads(logId, signedHead(1_000_003, "fork"), signedHead(1_010_007, top), old, proof);
        note("proveTwoHeads of 1,000,003 and 1,010,007");
    }

    function test_gas_against_anchor() public {
        bond.proveAgainstAnchor(logId, signedHead(3, "fork"), root(3), none());
        note("proveAgainstAnchor of one size");
    }

    function test_gas_challenge() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(1));
        OperatorBond.SignedReceipt memory b = signed(receipt(2));
        bytes32 digest = bond.receiptDigest(a.receipt);
        (bytes32 top, bytes32[] memory proof) =
            ReferenceTree.fabricatePath(777_777, 1_000_003, MerkleTree.leafHash(digest), 1);
        // a log of its own with a million entries
        vm.prank(OWNER);
        bytes32 large = anchor.openLog("large", SENDER, vm.addr(HEAD_KEY), vm.addr(RECEIPT_KEY));
        a.receipt.logId = large;
        a = signed(a.receipt);
        digest = bond.receiptDigest(a.receipt);
        (top, proof) = ReferenceTree.fabricatePath(777_777, 1_000_003, MerkleTree.leafHash(digest), 1);
        bytes memory signature = sign(HEAD_KEY, anchor.headDigest(large, 1_000_003, top));
        vm.prank(SENDER);
        anchor.anchor(large, 1_000_003, top, none(), signature, "");
        vm.prank(OWNER);
        bond.bond{value: 25 ether}(large);

        later(uint256(MERGE_DELAY) + GRACE + 1);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        note("challenge");
        vm.prank(BOB);
        bond.challenge{value: STAKE}(b);
        bond.answer(digest, 777_777, proof);
        note("answer in 1,000,003");
        later(uint256(WINDOW) + 1);
        bond.conclude(bond.receiptDigest(b.receipt));
        note("conclude");
        vm.prank(BOB);
        bond.takeRefund(BOB);
        note("takeRefund");
    }

    function test_gas_keys() public {
        vm.prank(OWNER);
        anchor.setHeadKey(logId, vm.addr(THIEF_KEY));
        bond.noteHeadKey(logId);
        note("noteHeadKey");
        vm.prank(OWNER);
        anchor.retireReceiptKey(logId, vm.addr(RECEIPT_KEY));
        bond.noteRetiredReceiptKey(logId, vm.addr(RECEIPT_KEY));
        note("noteRetiredReceiptKey");
    }
}
