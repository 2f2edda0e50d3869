// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {OperatorBond} from "../src/OperatorBond.sol";
import {ReceiptAnchor} from "../src/ReceiptAnchor.sol";
import {Receipt} from "../src/ReceiptDigest.sol";
import {BondStage} from "./BondStage.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev What the bond is for: each way to lose it, and the ways it comes and goes.
contract OperatorBondTest is BondStage {
    // -------------------------------------------------------------------------------------------------------------- bond

    function test_terms() public {
        eq(bond.withdrawalDelay(), DELAY, "merge delay, grace, and a window each to challenge and to answer in");
        yes(bond.withdrawalDelay() > uint256(MERGE_DELAY) + WINDOW, "longer than mergeBy and the window");
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotAContract.selector, ALICE));
        new OperatorBond(ReceiptAnchor(ALICE), 1, 1, 1, 1, 1);
        vm.expectRevert(OperatorBond.ZeroAmount.selector);
        new OperatorBond(anchor, 0, 1, 1, 1, 1);
        vm.expectRevert(OperatorBond.ZeroAmount.selector);
        new OperatorBond(anchor, 1, 0, 1, 1, 1);
        vm.expectRevert(OperatorBond.ZeroDuration.selector);
        new OperatorBond(anchor, 1, 1, 0, 1, 1);
        vm.expectRevert(OperatorBond.ZeroDuration.selector);
        new OperatorBond(anchor, 1, 1, 1, 1, 0);
    }

    function test_anyone_may_add_to_a_bond_of_a_log_that_exists() public {
        vm.expectEmit(address(bond));
        emit OperatorBond.Bonded(logId, BOB, 2 ether, 27 ether);
        vm.prank(BOB);
        bond.bond{value: 2 ether}(logId);
        eq(bond.bondOf(logId).amount, 27 ether, "sum");
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.UnknownLog.selector, bytes32("none")));
        vm.prank(BOB);
        bond.bond{value: 1}("none");
        vm.expectRevert(OperatorBond.ZeroAmount.selector);
        bond.bond(logId);
    }

    function test_a_bond_is_withdrawn_late_by_the_logs_owner_alone() public {
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotLogOwner.selector, logId, BOB));
        vm.prank(BOB);
        bond.startWithdrawal(logId, 1);

        uint64 readyAt = uint64(block.timestamp) + DELAY;
        vm.expectEmit(address(bond));
        emit OperatorBond.WithdrawalStarted(logId, 20 ether, readyAt, readyAt + WINDOW);
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 20 ether);
        eq(bond.bondOf(logId).withdrawal, 20 ether, "seen from outside");
        later(DELAY - 1);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotReady.selector, readyAt));
        bond.completeWithdrawal(logId, BOB);
        later(1);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotLogOwner.selector, logId, BOB));
        bond.completeWithdrawal(logId, BOB);
        vm.prank(OWNER);
        vm.expectRevert(OperatorBond.ZeroAddress.selector);
        bond.completeWithdrawal(logId, address(0));
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, BOB);
        eq(BOB.balance, 120 ether, "received");
        eq(bond.bondOf(logId).amount, 5 ether, "rest");
        vm.prank(OWNER);
        vm.expectRevert(OperatorBond.NothingPending.selector);
        bond.completeWithdrawal(logId, BOB);
    }

    function test_a_withdrawal_that_is_ready_does_not_stay_so() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 20 ether);
        later(DELAY + WINDOW + 1);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.Lapsed.selector, block.timestamp - 1));
        bond.completeWithdrawal(logId, OWNER);
        // asked for again, it waits again
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 20 ether);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotReady.selector, block.timestamp + DELAY));
        bond.completeWithdrawal(logId, OWNER);
    }

    function test_a_withdrawal_can_be_given_up() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 20 ether);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotLogOwner.selector, logId, BOB));
        bond.cancelWithdrawal(logId);
        vm.prank(OWNER);
        bond.cancelWithdrawal(logId);
        eq(bond.bondOf(logId).withdrawal, 0, "nothing pending");
        vm.prank(OWNER);
        vm.expectRevert(OperatorBond.NothingPending.selector);
        bond.cancelWithdrawal(logId);
        later(DELAY);
        vm.prank(OWNER);
        vm.expectRevert(OperatorBond.NothingPending.selector);
        bond.completeWithdrawal(logId, OWNER);
    }

    function test_evidence_comes_before_a_withdrawal_that_is_not_completed() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 25 ether);
        later(DELAY);
        bond.proveTwoReceipts(signed(receipt(1)), signed(otherReceipt(1)));
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, OWNER);
        eq(OWNER.balance, 1_000 ether - PENALTY, "what was left");
        eq(bond.bondOf(logId).amount, 0, "gone");
        OperatorBond.SignedReceipt memory a = signed(receipt(2));
        OperatorBond.SignedReceipt memory b = signed(otherReceipt(2));
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NoBond.selector, logId));
        bond.proveTwoReceipts(a, b);
        // and is not spent: a bond that comes back is not safe from it
        vm.prank(OWNER);
        bond.bond{value: 20 ether}(logId);
        bond.proveTwoReceipts(a, b);
        eq(bond.bondOf(logId).amount, 20 ether - PENALTY, "slashed then");
    }

    /// @dev The delay is long enough: a receipt made just before the withdrawal was asked for is due, challenged at the
    /// last moment, and lost, before the bond can leave.
    function test_a_receipt_from_before_the_withdrawal_can_still_be_lost() public {
        OperatorBond.SignedReceipt memory overdue = signed(receipt(1));
        bytes32 digest = bond.receiptDigest(overdue.receipt);
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 25 ether);
        later(uint256(MERGE_DELAY) + GRACE + WINDOW - 1);
        vm.prank(ALICE);
        bond.challenge{value: STAKE}(overdue);
        later(WINDOW + 1);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.ChallengesOpen.selector, 1));
        bond.completeWithdrawal(logId, OWNER);
        bond.conclude(digest);
        wasSlashed(25 ether, PENALTY);
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, OWNER);
        eq(OWNER.balance, 1_000 ether - PENALTY, "what was left");
    }

    // ------------------------------------------------------------------------------------------------------ two receipts

    function test_two_receipts_for_one_place() public {
        Receipt memory a = receipt(7);
        Receipt memory b = otherReceipt(7);
        bytes32 place = bond.placeOf(a);
        no(bond.receiptsPunished(place), "before");
        vm.expectEmit(address(bond));
        emit OperatorBond.TwoReceipts(logId, place, bond.receiptDigest(a), bond.receiptDigest(b));
        vm.expectEmit(address(bond));
        emit OperatorBond.Slashed(logId, PENALTY, address(registry), agent, PENALTY / 2);
        vm.prank(BOB); // anybody
        bond.proveTwoReceipts(signed(a), signed(b));
        wasSlashed(25 ether, PENALTY);
        yes(bond.receiptsPunished(place), "after");
        eq(BOB.balance, 100 ether, "nothing for the reporter");
    }

    function test_one_place_is_punished_once_and_each_place_is_until_the_bond_ends() public {
        bond.proveTwoReceipts(signed(receipt(1)), signed(otherReceipt(1)));
        OperatorBond.SignedReceipt memory a = signed(otherReceipt(1));
        OperatorBond.SignedReceipt memory b = signed(receipt(1));
        vm.expectRevert(OperatorBond.AlreadyPunished.selector);
        bond.proveTwoReceipts(a, b);
        b.receipt.amount = 7;
        b = signed(b.receipt);
        vm.expectRevert(OperatorBond.AlreadyPunished.selector);
        bond.proveTwoReceipts(a, b);

        bond.proveTwoReceipts(signed(receipt(2)), signed(otherReceipt(2)));
        // what is left is less than a penalty
        bond.proveTwoReceipts(signed(receipt(3)), signed(otherReceipt(3)));
        eq(bond.bondOf(logId).amount, 0, "all");
        eq(bond.compensationOf(address(registry), agent), PENALTY / 2 * 2 + (25 ether - 2 * PENALTY) / 2, "halves");
        solvent();
    }

    function test_receipts_of_two_epochs_for_one_place() public {
        Receipt memory b = receipt(7);
        b.epoch = 1;
        bond.proveTwoReceipts(signed(receipt(7)), signed(b));
        wasSlashed(25 ether, PENALTY);
    }

    function test_receipts_by_two_keys_for_one_place() public {
        vm.prank(OWNER);
        anchor.addReceiptKey(logId, vm.addr(THIEF_KEY));
        bond.proveTwoReceipts(signed(receipt(7)), signed(THIEF_KEY, otherReceipt(7)));
        wasSlashed(25 ether, PENALTY);
    }

    function test_retiring_a_key_is_no_way_out() public {
        vm.prank(OWNER);
        anchor.retireReceiptKey(logId, vm.addr(RECEIPT_KEY));
        bond.proveTwoReceipts(signed(receipt(7)), signed(otherReceipt(7)));
        bond.noteRetiredReceiptKey(logId, vm.addr(RECEIPT_KEY));
        later(DELAY);
        bond.proveTwoReceipts(signed(receipt(8)), signed(otherReceipt(8)));
    }

    function test_an_agent_of_another_chain_has_no_owner_here() public {
        Receipt memory a = receipt(1);
        Receipt memory b = otherReceipt(1);
        (a.chainId, b.chainId) = (16_661, 16_661);
        vm.expectEmit(address(bond));
        emit OperatorBond.Slashed(logId, PENALTY, address(0), agent, 0);
        bond.proveTwoReceipts(signed(a), signed(b));
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
        eq(bond.compensationOf(address(registry), agent), 0, "nobody's");
        eq(bond.compensationOf(address(0), agent), 0, "nobody's");
    }

    // --------------------------------------------------------------------------------------------------------- two heads

    function grow(uint256 size) private {
        while (entries.length < size) entries.push(ReferenceTree.entry(entries.length));
    }

    function test_two_heads_of_one_size() public {
        vm.expectEmit(address(bond));
        emit OperatorBond.ContradictedHead(logId, 9, "one root", "another");
        vm.expectEmit(address(bond));
        emit OperatorBond.Slashed(logId, PENALTY, address(0), 0, 0);
        bond.proveTwoHeads(logId, signedHead(9, "one root"), signedHead(9, "another"), "another", none());
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
        yes(bond.headPunished(logId, 9), "noted");
        // the same the other way round is the same
        OperatorBond.SignedHead memory a = signedHead(9, "another");
        OperatorBond.SignedHead memory b = signedHead(9, "one root");
        vm.expectRevert(OperatorBond.AlreadyPunished.selector);
        bond.proveTwoHeads(logId, a, b, "one root", none());
    }

    function test_a_head_that_the_anchored_one_contradicts() public {
        bond.proveAgainstAnchor(logId, signedHead(3, "fork"), root(3), none());
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
    }

    /// @dev Not only at the sizes that were ever anchored.
    function test_a_head_that_a_larger_one_contradicts() public {
        for (uint64 size = 1; size < 13; ++size) {
            setUpAgain();
            grow(13);
            bytes32[] memory proof = consistency(size, 13);
            bond.proveTwoHeads(logId, signedHead(size, "fork"), signedHead(13, root(13)), root(size), proof);
            eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");

            setUpAgain();
            grow(13);
            advance();
            bond.proveAgainstAnchor(logId, signedHead(size, "fork"), root(size), proof);
            eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
        }
    }

    function setUpAgain() private {
        delete entries;
        setUp();
    }

    function test_an_empty_log_with_a_root() public {
        bond.proveAgainstAnchor(logId, signedHead(0, "fork"), sha256(""), none());
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
    }

    function test_changing_the_head_key_is_no_way_out() public {
        OperatorBond.SignedHead memory before = signedHead(9, "one root");
        vm.prank(OWNER);
        anchor.setHeadKey(logId, vm.addr(THIEF_KEY));
        yes(bond.headKeyCounts(logId, vm.addr(HEAD_KEY)), "before it is noted");
        bond.noteHeadKey(logId);
        yes(bond.headKeyCounts(logId, vm.addr(HEAD_KEY)), "after");
        later(DELAY);
        bond.proveTwoHeads(logId, before, signedHead(THIEF_KEY, 9, "another"), "another", none());
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
    }

    function test_a_head_key_that_was_noted_counts_after_two_changes() public {
        vm.prank(OWNER);
        anchor.setHeadKey(logId, vm.addr(THIEF_KEY));
        bond.noteHeadKey(logId);
        vm.prank(OWNER);
        anchor.setHeadKey(logId, address(0x111));
        OperatorBond.SignedHead memory a = signedHead(THIEF_KEY, 9, "one root");
        OperatorBond.SignedHead memory b = signedHead(THIEF_KEY, 9, "another");
        bond.proveTwoHeads(logId, a, b, "another", none());
        eq(bond.bondOf(logId).amount, 25 ether - PENALTY, "slashed");
    }

    // --------------------------------------------------------------------------------------------------------- challenge

    function test_an_overdue_receipt_that_nobody_shows() public {
        OperatorBond.SignedReceipt memory overdue = signed(receipt(1));
        bytes32 digest = bond.receiptDigest(overdue.receipt);
        later(uint256(MERGE_DELAY) + GRACE + 1);
        vm.expectEmit(address(bond));
        emit OperatorBond.Challenged(logId, digest, BOB, uint64(block.timestamp) + WINDOW);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(overdue);
        eq(bond.bondOf(logId).openChallenges, 1, "open");
        eq(uint256(bond.challengeOf(digest).state), uint256(OperatorBond.ChallengeState.Open), "state");
        later(WINDOW);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.StillOpen.selector, block.timestamp));
        bond.conclude(digest);
        later(1);
        vm.expectEmit(address(bond));
        emit OperatorBond.ChallengeLost(logId, digest);
        vm.prank(OWNER); // anybody
        bond.conclude(digest);
        wasSlashed(25 ether, PENALTY);
        eq(bond.bondOf(logId).openChallenges, 0, "none open");
        eq(bond.refundOf(BOB), STAKE, "the challenger's own");

        vm.prank(BOB);
        bond.takeRefund(BOB);
        eq(BOB.balance, 100 ether, "no more, no less");
        vm.prank(BOB);
        vm.expectRevert(OperatorBond.NothingDue.selector);
        bond.takeRefund(BOB);
        vm.expectRevert(OperatorBond.NoOpenChallenge.selector);
        bond.conclude(digest);
        vm.prank(BOB);
        vm.expectRevert(OperatorBond.AlreadyChallenged.selector);
        bond.challenge{value: STAKE}(overdue);
    }

    function test_a_challenge_outlives_a_bond_that_other_evidence_took() public {
        OperatorBond.SignedReceipt memory overdue = signed(receipt(9));
        bytes32 digest = bond.receiptDigest(overdue.receipt);
        later(uint256(MERGE_DELAY) + GRACE + 1);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(overdue);
        for (uint64 i = 1; i <= 3; ++i) {
            bond.proveTwoReceipts(signed(receipt(i)), signed(otherReceipt(i)));
        }
        eq(bond.bondOf(logId).amount, 0, "all taken");
        later(WINDOW + 1);
        bond.conclude(digest);
        eq(bond.refundOf(BOB), STAKE, "still the challenger's");
        solvent();
    }

    // ------------------------------------------------------------------------------------------------------------- money

    function test_the_agents_half_goes_to_whoever_owns_the_agent() public {
        bond.proveTwoReceipts(signed(receipt(7)), signed(otherReceipt(7)));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotAgentOwner.selector, BOB));
        bond.collect(address(registry), agent, BOB);
        vm.prank(ALICE);
        registry.transferFrom(ALICE, BOB, agent);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotAgentOwner.selector, ALICE));
        bond.collect(address(registry), agent, ALICE);
        vm.prank(BOB);
        vm.expectRevert(OperatorBond.ZeroAddress.selector);
        bond.collect(address(registry), agent, address(0));
        vm.expectEmit(address(bond));
        emit OperatorBond.Collected(address(registry), agent, address(0xFACE), PENALTY / 2);
        vm.prank(BOB);
        bond.collect(address(registry), agent, address(0xFACE));
        eq(address(0xFACE).balance, PENALTY / 2, "received");
        vm.prank(BOB);
        vm.expectRevert(OperatorBond.NothingDue.selector);
        bond.collect(address(registry), agent, BOB);
        eq(address(bond).balance, 25 ether - PENALTY / 2, "nobody's half stays");
    }
}
