// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {OperatorBond} from "../src/OperatorBond.sol";
import {ReceiptAnchor} from "../src/ReceiptAnchor.sol";
import {Receipt} from "../src/ReceiptDigest.sol";
import {BondStage} from "./BondStage.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev Owns agents, challenges and logs; takes money and tries to take it again.
contract Reenterer {
    OperatorBond private immutable bond;
    uint256 public refused;
    address private registry;
    uint256 private agent;
    bytes32 private logId;
    bool private deaf;

    constructor(OperatorBond bond_) {
        bond = bond_;
    }

    function arm(address registry_, uint256 agent_, bytes32 logId_, bool deaf_) external {
        (registry, agent, logId, deaf) = (registry_, agent_, logId_, deaf_);
    }

    function call(address target, uint256 value, bytes calldata data) external payable {
        (bool fine, bytes memory answer) = target.call{value: value}(data);
        if (!fine) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC721Received.selector;
    }

    receive() external payable {
        require(!deaf);
        try bond.collect(registry, agent, address(this)) {}
        catch {
            ++refused;
        }
        try bond.takeRefund(address(this)) {}
        catch {
            ++refused;
        }
        try bond.completeWithdrawal(logId, address(this)) {}
        catch {
            ++refused;
        }
    }
}

/// @dev A registry of one's own, in which everything belongs to oneself.
contract OwnRegistry {
    address private immutable owner = msg.sender;

    function ownerOf(uint256) external view returns (address) {
        return owner;
    }
}

/// @dev Each test is somebody trying to take an honest operator's bond, or an operator trying to save its own.
contract OperatorBondAttacks is BondStage {
    /// @dev That evidence is refused for this reason, and nothing is gone.
    function refused(OperatorBond.SignedReceipt memory a, OperatorBond.SignedReceipt memory b, bytes memory why)
        private
    {
        uint256 before = bond.bondOf(logId).amount;
        vm.expectRevert(why);
        bond.proveTwoReceipts(a, b);
        vm.expectRevert(why);
        bond.proveTwoReceipts(b, a);
        eq(bond.bondOf(logId).amount, before, "bond");
    }

    function refusedHeads(
        OperatorBond.SignedHead memory a,
        OperatorBond.SignedHead memory b,
        bytes32 top,
        bytes32[] memory proof,
        bytes memory why
    ) private {
        vm.expectRevert(why);
        bond.proveTwoHeads(logId, a, b, top, proof);
        eq(bond.bondOf(logId).amount, 25 ether, "bond");
    }

    function refusedChallenge(OperatorBond.SignedReceipt memory a, uint256 value, bytes memory why) private {
        vm.prank(BOB);
        vm.expectRevert(why);
        bond.challenge{value: value}(a);
        eq(bond.bondOf(logId).openChallenges, 0, "none");
    }

    function because(bytes4 why) private pure returns (bytes memory) {
        return abi.encodeWithSelector(why);
    }

    function notAKey(address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(OperatorBond.NotAReceiptKey.selector, signer);
    }

    function notAHeadKey(address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(OperatorBond.NotAHeadKey.selector, signer);
    }

    // ------------------------------------------------------------------------------------------- two receipts, honest

    function test_one_receipt_twice() public {
        refused(signed(receipt(7)), signed(receipt(7)), because(OperatorBond.SameReceipt.selector));
    }

    function test_one_receipt_signed_again_by_the_next_key() public {
        vm.prank(OWNER);
        anchor.addReceiptKey(logId, vm.addr(THIEF_KEY));
        refused(signed(receipt(7)), signed(THIEF_KEY, receipt(7)), because(OperatorBond.SameReceipt.selector));
    }

    function test_one_receipt_and_its_malleated_signature() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(7));
        OperatorBond.SignedReceipt memory b = OperatorBond.SignedReceipt(a.receipt, malleated(a.signature));
        refused(a, b, notAKey(address(0)));
        // nor does it stand for a second receipt
        b = signed(otherReceipt(7));
        b.signature = malleated(b.signature);
        refused(a, b, notAKey(address(0)));
    }

    function test_signatures_in_other_spellings() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(7));
        OperatorBond.SignedReceipt memory b = signed(otherReceipt(7));
        bytes memory good = b.signature;
        b.signature = "";
        refused(a, b, notAKey(address(0)));
        b.signature = abi.encodePacked(good, uint8(0));
        refused(a, b, notAKey(address(0)));
        // v 0 or 1
        b.signature = abi.encodePacked(word(good, 0), word(good, 32), uint8(good[64]) - 27);
        refused(a, b, notAKey(address(0)));
        // 64 bytes, ERC-2098
        bytes32 vs = bytes32(uint256(word(good, 32)) | (uint256(uint8(good[64]) - 27) << 255));
        b.signature = abi.encodePacked(word(good, 0), vs);
        refused(a, b, notAKey(address(0)));
        b.signature = new bytes(65);
        refused(a, b, notAKey(address(0)));
    }

    /// @dev What an honest log is full of: no two of its receipts are evidence, whatever the epochs.
    function testFuzz_receipts_of_an_honest_account(uint64 i, uint64 j, uint64 epochs, uint256 amount) public {
        Receipt memory a = receipt(i);
        Receipt memory b = receipt(j);
        (a.epoch, b.epoch) = (i / (epochs | 1), j / (epochs | 1));
        (a.amount, b.amount) = (amount ^ i, amount ^ j);
        bytes4 why = i == j ? OperatorBond.SameReceipt.selector : OperatorBond.DifferentPlaces.selector;
        refused(signed(a), signed(b), because(why));
    }

    function test_receipts_of_other_accounts_and_logs() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(7));
        bytes memory why = because(OperatorBond.DifferentPlaces.selector);
        Receipt memory b = otherReceipt(7);
        b.logId = openLog("another log, of the same keys");
        refused(a, signed(b), why);
        b = otherReceipt(7);
        b.chainId = 1;
        refused(a, signed(b), why);
        b = otherReceipt(7);
        b.vault = address(0xAB);
        refused(a, signed(b), why);
        b = otherReceipt(7);
        b.registry = address(0xAB);
        refused(a, signed(b), why);
        b = otherReceipt(7);
        b.agentId = agent + 1;
        refused(a, signed(b), why);
        b = otherReceipt(8);
        b.epoch = 1;
        refused(a, signed(b), why);
    }

    function test_receipts_by_keys_of_nobody_or_of_another_log() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(7));
        refused(a, signed(THIEF_KEY, otherReceipt(7)), notAKey(vm.addr(THIEF_KEY)));
        refused(a, signed(HEAD_KEY, otherReceipt(7)), notAKey(vm.addr(HEAD_KEY)));
        // the thief opens a log of his own, and registers his key there
        vm.prank(BOB);
        bytes32 own = anchor.openLog("log", SENDER, vm.addr(THIEF_KEY), vm.addr(THIEF_KEY));
        refused(a, signed(THIEF_KEY, otherReceipt(7)), notAKey(vm.addr(THIEF_KEY)));
        // what his log says is his bond's matter, and there is none
        a.receipt.logId = own;
        a = signed(THIEF_KEY, a.receipt);
        Receipt memory r = otherReceipt(7);
        r.logId = own;
        OperatorBond.SignedReceipt memory b = signed(THIEF_KEY, r);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NoBond.selector, own));
        bond.proveTwoReceipts(a, b);
        eq(bond.bondOf(logId).amount, 25 ether, "our bond");
    }

    function test_a_changed_field_is_not_what_was_signed() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(7));
        OperatorBond.SignedReceipt memory b = signed(receipt(7));
        b.receipt.amount = 6;
        vm.expectRevert();
        bond.proveTwoReceipts(a, b);
        eq(bond.bondOf(logId).amount, 25 ether, "bond");
    }

    /// @dev A stolen key that was retired stops counting, once that is noted and the delay is over.
    function test_a_stolen_receipt_key_lapses() public {
        address key = vm.addr(RECEIPT_KEY);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.KeyInUse.selector, key));
        bond.noteRetiredReceiptKey(logId, key);
        vm.expectRevert(notAKey(ALICE));
        bond.noteRetiredReceiptKey(logId, ALICE);
        vm.prank(OWNER);
        anchor.retireReceiptKey(logId, key);
        yes(bond.receiptKeyCounts(logId, key), "until it is noted");
        bond.noteRetiredReceiptKey(logId, key);
        later(1);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.AlreadyNoted.selector, key));
        bond.noteRetiredReceiptKey(logId, key);
        later(DELAY);
        no(bond.receiptKeyCounts(logId, key), "lapsed");
        refused(signed(receipt(7)), signed(otherReceipt(7)), notAKey(key));
        refusedChallenge(signed(receipt(7)), STAKE, notAKey(key));
    }

    // ---------------------------------------------------------------------------------------------- two heads, honest

    /// @dev All heads that an honest log ever signed, with whatever proof: either it shows what was signed, or nothing.
    function testFuzz_heads_of_an_honest_log(uint8 m, uint8 n, uint8 tamper, uint256 noise) public {
        n = uint8(within(n, 1, 40));
        m = uint8(within(m, 0, n));
        while (entries.length < n) entries.push(ReferenceTree.entry(entries.length));
        OperatorBond.SignedHead memory a = signedHead(m, root(m));
        OperatorBond.SignedHead memory b = signedHead(n, root(n));
        bytes32[] memory proof = m == 0 ? none() : consistency(m, n);
        refusedHeads(a, b, a.root, proof, because(OperatorBond.NoContradiction.selector));
        // any other root, and any other proof
        bytes32 other = keccak256(abi.encode(noise));
        refusedHeads(a, b, other, proof, because(OperatorBond.NotTheRoot.selector));
        if (proof.length == 0) return;
        proof[tamper % proof.length] = keccak256(abi.encode(noise, 1));
        refusedHeads(a, b, a.root, proof, because(OperatorBond.NotTheRoot.selector));
        refusedHeads(a, b, other, proof, because(OperatorBond.NotTheRoot.selector));
        refusedHeads(a, b, proof[0], proof, because(OperatorBond.NotTheRoot.selector));
    }

    function test_heads_that_are_ahead_of_the_anchored_one() public {
        OperatorBond.SignedHead memory a = signedHead(4, "not anchored yet");
        bytes32 held = root(3);
        vm.expectRevert(OperatorBond.WrongOrder.selector);
        bond.proveAgainstAnchor(logId, a, held, none());
        refusedHeads(a, signedHead(3, held), held, none(), because(OperatorBond.WrongOrder.selector));
        a = signedHead(3, held);
        vm.expectRevert(OperatorBond.NoContradiction.selector);
        bond.proveAgainstAnchor(logId, a, held, none());
    }

    function test_heads_by_others() public {
        OperatorBond.SignedHead memory a = signedHead(9, "one root");
        bytes memory why = notAHeadKey(vm.addr(THIEF_KEY));
        refusedHeads(a, signedHead(THIEF_KEY, 9, "another"), "another", none(), why);
        refusedHeads(signedHead(THIEF_KEY, 9, "another"), a, "one root", none(), why);
        refusedHeads(a, signedHead(RECEIPT_KEY, 9, "another"), "another", none(), notAHeadKey(vm.addr(RECEIPT_KEY)));
        OperatorBond.SignedHead memory b = signedHead(9, "another");
        b.signature = malleated(b.signature);
        refusedHeads(a, b, "another", none(), notAHeadKey(address(0)));
        b.signature = "";
        refusedHeads(a, b, "another", none(), notAHeadKey(address(0)));
        // a head of the same keys' other log, and of the same log's name on another anchor
        bytes32 other = openLog("another log");
        b.signature = sign(HEAD_KEY, anchor.headDigest(other, 9, "another"));
        vm.expectRevert();
        bond.proveTwoHeads(logId, a, b, "another", none());
        b.signature = sign(HEAD_KEY, new ReceiptAnchor().headDigest(logId, 9, "another"));
        vm.expectRevert();
        bond.proveTwoHeads(logId, a, b, "another", none());
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.UnknownLog.selector, bytes32("none")));
        bond.noteHeadKey("none");
    }

    function test_an_old_head_key_lapses() public {
        OperatorBond.SignedHead memory a = signedHead(9, "one root");
        OperatorBond.SignedHead memory b = signedHead(9, "another");
        vm.prank(OWNER);
        anchor.setHeadKey(logId, vm.addr(THIEF_KEY));
        bond.noteHeadKey(logId);
        later(uint256(DELAY) + 1);
        no(bond.headKeyCounts(logId, vm.addr(HEAD_KEY)), "lapsed");
        refusedHeads(a, b, "another", none(), notAHeadKey(vm.addr(HEAD_KEY)));
        // a key that comes back counts again
        vm.prank(OWNER);
        anchor.setHeadKey(logId, vm.addr(HEAD_KEY));
        yes(bond.headKeyCounts(logId, vm.addr(HEAD_KEY)), "again");
        bond.noteHeadKey(logId);
        later(uint256(DELAY) + 1);
        yes(bond.headKeyCounts(logId, vm.addr(HEAD_KEY)), "and goes on");
        no(bond.headKeyCounts(logId, vm.addr(THIEF_KEY)), "the other has lapsed now");
        no(bond.headKeyCounts(logId, address(0)), "nobody");
    }

    // ---------------------------------------------------------------------------------------------- challenge, honest

    function overdue() private returns (OperatorBond.SignedReceipt memory a, bytes32 digest) {
        a = signed(receipt(1));
        digest = bond.receiptDigest(a.receipt);
        later(uint256(MERGE_DELAY) + GRACE + 1);
    }

    function test_a_challenge_before_its_time() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(1));
        uint256 dueAt = block.timestamp + MERGE_DELAY + GRACE;
        bytes memory why = abi.encodeWithSelector(OperatorBond.NotDue.selector, dueAt);
        refusedChallenge(a, STAKE, why);
        vm.warp(dueAt);
        refusedChallenge(a, STAKE, why);
        vm.warp(dueAt + 1);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
    }

    function test_a_challenge_of_a_receipt_that_is_not_due_for_ever() public {
        Receipt memory r = receipt(1);
        r.mergeBy = type(uint64).max;
        refusedChallenge(
            signed(r), STAKE, abi.encodeWithSelector(OperatorBond.NotDue.selector, uint256(type(uint64).max) + GRACE)
        );
    }

    function test_challenges_that_are_none() public {
        (OperatorBond.SignedReceipt memory a,) = overdue();
        refusedChallenge(a, STAKE - 1, because(OperatorBond.WrongChallengeBond.selector));
        refusedChallenge(a, STAKE + 1, because(OperatorBond.WrongChallengeBond.selector));
        refusedChallenge(signed(THIEF_KEY, a.receipt), STAKE, notAKey(vm.addr(THIEF_KEY)));
        a.signature = malleated(a.signature);
        refusedChallenge(a, STAKE, notAKey(address(0)));
        Receipt memory r = a.receipt;
        r.logId = openLog("no bond");
        OperatorBond.SignedReceipt memory b = signed(r);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NoBond.selector, r.logId));
        bond.challenge{value: STAKE}(b);
        vm.expectRevert(OperatorBond.NoOpenChallenge.selector);
        bond.answer("none", 0, none());
        vm.expectRevert(OperatorBond.NoOpenChallenge.selector);
        bond.conclude("none");
    }

    function test_a_challenge_of_a_receipt_that_is_in_the_log() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        entries.push(digest);
        advance();
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        // not elsewhere, not by another proof
        bytes32[] memory proof = path(3);
        vm.expectRevert(OperatorBond.NotIncluded.selector);
        bond.answer(digest, 2, proof);
        bytes32[] memory another = path(2);
        vm.expectRevert(OperatorBond.NotIncluded.selector);
        bond.answer(digest, 3, another);
        vm.expectEmit(address(bond));
        emit OperatorBond.Answered(logId, digest, 3);
        bond.answer(digest, 3, proof);
        eq(bond.bondOf(logId).amount, 25 ether + STAKE, "the challenger's bond is the log's");
        eq(bond.bondOf(logId).openChallenges, 0, "closed");
        eq(bond.compensationOf(address(registry), agent), 0, "nothing");
        eq(bond.refundOf(BOB), 0, "nothing");
        // and it cannot be asked again
        refusedChallenge(a, STAKE, because(OperatorBond.AlreadyChallenged.selector));
        later(uint256(WINDOW) + 1);
        vm.expectRevert(OperatorBond.NoOpenChallenge.selector);
        bond.conclude(digest);
        vm.expectRevert(OperatorBond.NoOpenChallenge.selector);
        bond.answer(digest, 3, proof);
    }

    /// @dev Lateness costs nothing: it was anchored after the challenge, and shown in a later head still.
    function test_an_outage_that_ends_in_the_window() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        later(WINDOW - 20);
        entries.push(digest);
        advance();
        for (uint256 i = 0; i < 9; ++i) {
            entries.push(ReferenceTree.entry(100 + i));
        }
        bytes32[] memory stale = pathAt(4);
        advance();
        vm.expectRevert(OperatorBond.NotIncluded.selector);
        bond.answer(digest, 3, stale);
        later(20); // the last second
        bond.answer(digest, 3, path(3));
        eq(bond.bondOf(logId).amount, 25 ether + STAKE, "whole, and more");
    }

    /// @dev The proof of entry 3 in the tree of a size.
    function pathAt(uint256 size) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = size == 4 ? range(0, 2) : bytes32(0);
    }

    /// @dev In a log that retired the key before the receipt got there, too: it is there.
    function test_an_answer_beyond_the_keys_span() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        vm.prank(OWNER);
        anchor.retireReceiptKey(logId, vm.addr(RECEIPT_KEY));
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        entries.push(digest);
        advance();
        bond.answer(digest, 3, path(3));
        eq(bond.bondOf(logId).amount, 25 ether + STAKE, "whole, and more");
    }

    function test_an_answer_after_the_window_is_none() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        entries.push(digest);
        advance();
        later(uint256(WINDOW) + 1);
        bytes32[] memory proof = path(3);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.TooLate.selector, block.timestamp - 1));
        bond.answer(digest, 3, proof);
        bond.conclude(digest);
        wasSlashed(25 ether, PENALTY);
    }

    function test_an_answer_from_another_log_is_none() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        bytes32 own = openLog("the operator's other log");
        bytes32 top = sha256(abi.encodePacked(bytes1(0), digest));
        bytes memory signature = sign(HEAD_KEY, anchor.headDigest(own, 1, top));
        vm.prank(SENDER);
        anchor.anchor(own, 1, top, none(), signature, "");
        yes(anchor.verifyInclusion(own, 0, digest, none()), "it is in that one");
        vm.expectRevert(OperatorBond.NotIncluded.selector);
        bond.answer(digest, 0, none());
    }

    /// @dev Challenging what can be shown pays the operator.
    function test_spam_pays_the_operator() public {
        OperatorBond.SignedReceipt[] memory all = new OperatorBond.SignedReceipt[](8);
        for (uint64 i = 0; i < 8; ++i) {
            all[i] = signed(receipt(i + 1));
            entries.push(bond.receiptDigest(all[i].receipt));
        }
        advance();
        later(uint256(MERGE_DELAY) + GRACE + 1);
        for (uint256 i = 0; i < 8; ++i) {
            vm.prank(BOB);
            bond.challenge{value: STAKE}(all[i]);
        }
        eq(bond.bondOf(logId).openChallenges, 8, "open");
        for (uint256 i = 0; i < 8; ++i) {
            bond.answer(entries[3 + i], uint64(3 + i), path(3 + i));
        }
        eq(bond.bondOf(logId).amount, 33 ether, "the operator's");
        eq(BOB.balance, 92 ether, "the spammer's");
        solvent();
    }

    // ------------------------------------------------------------------------------------- the operator saves its bond

    /// @dev With an agent of its own an operator gets half of its bond out at once, and loses the other half for good.
    function test_evidence_against_oneself_costs_half() public {
        vm.prank(OWNER);
        uint256 own = registry.register();
        for (uint64 i = 1; i <= 3; ++i) {
            Receipt memory a = receipt(i);
            Receipt memory b = otherReceipt(i);
            (a.agentId, b.agentId) = (own, own);
            bond.proveTwoReceipts(signed(a), signed(b));
        }
        vm.prank(OWNER);
        bond.collect(address(registry), own, OWNER);
        eq(bond.bondOf(logId).amount, 0, "bond");
        yes(OWNER.balance <= 1_000 ether - 25 ether + 25 ether / 2, "half, at most");
    }

    function test_a_registry_of_ones_own_costs_half_as_well() public {
        OwnRegistry own = new OwnRegistry();
        Receipt memory a = receipt(1);
        Receipt memory b = otherReceipt(1);
        (a.registry, b.registry) = (address(own), address(own));
        bond.proveTwoReceipts(signed(a), signed(b));
        eq(bond.compensationOf(address(own), agent), PENALTY / 2, "half");
        bond.proveTwoReceipts(signed(receipt(2)), signed(otherReceipt(2)));
        bond.collect(address(own), agent, address(0xF00));
        eq(address(0xF00).balance, PENALTY / 2, "its own half");
        eq(bond.compensationOf(address(registry), agent), PENALTY / 2, "and alice's is alice's");
        solvent();
    }

    function test_a_registry_that_is_none() public {
        for (uint64 i = 1; i < 3; ++i) {
            Receipt memory a = receipt(i);
            Receipt memory b = otherReceipt(i);
            address nowhere = i == 1 ? address(0xDEAD) : address(anchor);
            (a.registry, b.registry) = (nowhere, nowhere);
            bond.proveTwoReceipts(signed(a), signed(b));
            vm.expectRevert();
            bond.collect(nowhere, agent, address(this));
        }
        eq(bond.bondOf(logId).amount, 25 ether - 2 * PENALTY, "slashed all the same");
    }

    /// @dev Challenging oneself, to have the receipt's one challenge over with: it has to be answered like any other.
    function test_a_challenge_by_the_operator_is_a_challenge() public {
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        Reenterer puppet = new Reenterer(bond);
        puppet.arm(address(registry), agent, logId, true); // and it cannot even be paid
        puppet.call{value: STAKE}(address(bond), STAKE, abi.encodeCall(OperatorBond.challenge, (a)));
        later(uint256(WINDOW) + 1);
        bond.conclude(digest);
        wasSlashed(25 ether, PENALTY);
        eq(bond.refundOf(address(puppet)), STAKE, "waits for ever");
        vm.expectRevert(OperatorBond.TransferFailed.selector);
        puppet.call(address(bond), 0, abi.encodeCall(OperatorBond.takeRefund, (address(puppet))));
        eq(bond.refundOf(address(puppet)), STAKE, "and is not lost");
        puppet.call(address(bond), 0, abi.encodeCall(OperatorBond.takeRefund, (BOB)));
        eq(BOB.balance, 100 ether + STAKE, "to be had elsewhere");
    }

    function test_a_withdrawal_does_not_go_ahead_of_a_challenge() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 25 ether);
        OperatorBond.SignedReceipt memory a = signed(receipt(1));
        later(DELAY);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.ChallengesOpen.selector, 1));
        bond.completeWithdrawal(logId, OWNER);
        // but what no challenge can take may leave, and after the answer all of it
        entries.push(bond.receiptDigest(a.receipt));
        advance();
        bond.answer(entries[3], 3, path(3));
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, OWNER);
        eq(OWNER.balance, 1_000 ether, "asked for");
        eq(bond.bondOf(logId).amount, STAKE, "won since");
    }

    function test_a_withdrawal_leaves_a_penalty_for_each_open_challenge() public {
        OperatorBond.SignedReceipt memory a = signed(receipt(1));
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 25 ether - PENALTY);
        later(DELAY);
        vm.prank(BOB);
        bond.challenge{value: STAKE}(a);
        vm.prank(OWNER);
        bond.completeWithdrawal(logId, OWNER);
        later(uint256(WINDOW) + 1);
        bond.conclude(bond.receiptDigest(a.receipt));
        wasSlashed(PENALTY, PENALTY);
    }

    function test_the_new_owner_of_a_log_has_its_bond() public {
        vm.prank(OWNER);
        bond.startWithdrawal(logId, 25 ether);
        vm.prank(OWNER);
        anchor.offerLogOwnership(logId, BOB);
        vm.prank(BOB);
        anchor.acceptLogOwnership(logId);
        later(DELAY);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(OperatorBond.NotLogOwner.selector, logId, OWNER));
        bond.completeWithdrawal(logId, OWNER);
        vm.prank(BOB);
        bond.completeWithdrawal(logId, BOB);
        eq(BOB.balance, 125 ether, "the new owner's");
    }

    // ------------------------------------------------------------------------------------------------------ reentrancy

    /// @dev One contract that owns the agent, the challenge and the log, and asks for everything again whenever it is paid.
    function test_reentrancy() public {
        Reenterer thief = new Reenterer(bond);
        vm.prank(ALICE);
        registry.transferFrom(ALICE, address(thief), agent);
        vm.prank(OWNER);
        anchor.offerLogOwnership(logId, address(thief));
        thief.call(address(anchor), 0, abi.encodeCall(ReceiptAnchor.acceptLogOwnership, (logId)));
        vm.prank(OWNER);
        bytes32 other = anchor.openLog("somebody else's", SENDER, vm.addr(HEAD_KEY), vm.addr(RECEIPT_KEY));
        vm.prank(OWNER);
        bond.bond{value: 50 ether}(other);

        thief.call(address(bond), 0, abi.encodeCall(OperatorBond.startWithdrawal, (logId, 25 ether)));
        (OperatorBond.SignedReceipt memory a, bytes32 digest) = overdue();
        thief.call{value: STAKE}(address(bond), STAKE, abi.encodeCall(OperatorBond.challenge, (a)));
        later(DELAY - uint256(MERGE_DELAY) - GRACE);
        bond.conclude(digest);

        // armed: each payment tries the three payments again; those not taken yet are the thief's due, and once only
        thief.arm(address(registry), agent, logId, false);
        thief.call(address(bond), 0, abi.encodeCall(OperatorBond.collect, (address(registry), agent, address(thief))));
        eq(address(thief).balance, 25 ether + STAKE - (PENALTY - PENALTY / 2), "its due, once");
        yes(thief.refused() >= 7, "the rest was refused");
        eq(address(bond).balance, 50 ether + (PENALTY - PENALTY / 2), "others' and nobody's");
    }

    function test_the_contract_takes_no_gifts() public {
        (bool sent,) = address(bond).call{value: 1}("");
        no(sent, "a plain transfer");
    }
}
