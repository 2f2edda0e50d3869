// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ReceiptAnchor} from "../src/ReceiptAnchor.sol";
import {Fixture} from "./Fixture.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

contract ReceiptAnchorTest is Fixture {
    address private constant SENDER = address(0x5E);
    uint256 private constant HEAD_KEY = 0x4EAD;
    address private constant RECEIPT_KEY = address(0x4EC);
    string private constant ORIGIN = "gateway.example/log";

    ReceiptAnchor private anchor;
    bytes32 private logId;

    function setUp() public {
        anchor = new ReceiptAnchor();
        logId = anchor.openLog(ORIGIN, SENDER, vm.addr(HEAD_KEY), RECEIPT_KEY);
    }

    function sign(uint256 key, bytes32 log, uint64 size, bytes32 root) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, anchor.headDigest(log, size, root));
        return abi.encodePacked(r, s, v);
    }

    /// @dev Anchors the tests' tree at a size, from the head that is held.
    function advance(uint64 size) private {
        (uint64 held,) = anchor.head(logId);
        bytes32 root = ReferenceTree.root(0, size);
        send(size, root, held == 0 ? new bytes32[](0) : ReferenceTree.consistency(held, size));
    }

    function send(uint64 size, bytes32 root, bytes32[] memory proof) private {
        bytes memory signature = sign(HEAD_KEY, logId, size, root);
        vm.prank(SENDER);
        anchor.anchor(logId, size, root, proof, signature, hex"0102");
    }

    function refused(uint64 size, bytes32 root, bytes32[] memory proof, bytes4 why) private {
        bytes memory signature = sign(HEAD_KEY, logId, size, root);
        (uint64 heldSize, bytes32 heldRoot) = anchor.head(logId);
        vm.prank(SENDER);
        try anchor.anchor(logId, size, root, proof, signature, "") {
            revert NotTrue("refused");
        } catch (bytes memory reason) {
            eq(bytes32(bytes4(reason)), bytes32(why), "why");
        }
        (uint64 size_, bytes32 root_) = anchor.head(logId);
        eq(size_, heldSize, "size");
        eq(root_, heldRoot, "root");
    }

    // -------------------------------------------------------------------------------------------------------------- open

    function test_a_log_is_opened_by_its_owner_and_empty() public {
        eq(logId, keccak256(abi.encode(block.chainid, address(anchor), address(this), ORIGIN)), "id");
        eq(anchor.logIdOf(address(this), ORIGIN), logId, "id told beforehand");
        ReceiptAnchor.LogView memory log = anchor.logOf(logId);
        eq(log.owner, address(this), "owner");
        eq(log.sender, SENDER, "sender");
        eq(log.headKey, vm.addr(HEAD_KEY), "head key");
        no(log.closed, "closed");
        (uint64 size, bytes32 root) = anchor.head(logId);
        eq(size, 0, "size");
        eq(root, sha256(""), "root");
        (uint64 from, uint64 to, bool known) = anchor.receiptKey(logId, RECEIPT_KEY);
        eq(from, 0, "from");
        eq(to, type(uint64).max, "to");
        yes(known, "known");
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.LogExists.selector, logId));
        anchor.openLog(ORIGIN, SENDER, vm.addr(HEAD_KEY), address(0));
        // somebody else's log of that name is another log
        vm.prank(SENDER);
        yes(anchor.openLog(ORIGIN, SENDER, vm.addr(HEAD_KEY), address(0)) != logId, "another id");
    }

    function test_a_log_needs_a_name_a_sender_and_a_head_key() public {
        vm.expectRevert(ReceiptAnchor.EmptyOrigin.selector);
        anchor.openLog("", SENDER, SENDER, address(0));
        vm.expectRevert(ReceiptAnchor.ZeroAddress.selector);
        anchor.openLog("a", address(0), SENDER, address(0));
        vm.expectRevert(ReceiptAnchor.ZeroAddress.selector);
        anchor.openLog("a", SENDER, address(0), address(0));
        bytes32 id = anchor.openLog("a", SENDER, SENDER, address(0));
        (,, bool known) = anchor.receiptKey(id, address(0));
        no(known, "the zero key");
    }

    function test_the_head_is_the_protocols() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("tallystick ReceiptAnchor"),
                keccak256("1"),
                block.chainid,
                address(anchor)
            )
        );
        eq(anchor.domainSeparator(), domain, "domain");
        bytes32 message = keccak256(
            abi.encode(keccak256("Head(bytes32 logId,uint64 size,bytes32 root)"), logId, uint64(3), bytes32("r"))
        );
        eq(anchor.headDigest(logId, 3, bytes32("r")), keccak256(abi.encodePacked(hex"1901", domain, message)), "digest");
    }

    // ------------------------------------------------------------------------------------------------------------ anchor

    function test_a_log_grows() public {
        bytes32 empty = sha256("");
        bytes32 root5 = ReferenceTree.root(0, 5);
        bytes32 root12 = ReferenceTree.root(0, 12);
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.Anchored(logId, 5, root5, 0, empty, hex"0102");
        advance(5);
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.Anchored(logId, 12, root12, 5, root5, hex"0102");
        advance(12);
        (uint64 size, bytes32 root) = anchor.head(logId);
        eq(size, 12, "size");
        eq(root, root12, "root");
    }

    function test_the_same_head_again_does_nothing() public {
        advance(5);
        vm.recordLogs();
        send(5, ReferenceTree.root(0, 5), new bytes32[](0));
        // even without proof or signature: it changes nothing
        bytes32 root = ReferenceTree.root(0, 5);
        vm.prank(SENDER);
        anchor.anchor(logId, 5, root, new bytes32[](3), "", "");
        eq(vm.getRecordedLogs().length, 0, "no event");
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.NotSender.selector, logId, address(this)));
        anchor.anchor(logId, 5, root, new bytes32[](0), "", "");
    }

    function test_a_fork_is_refused() public {
        advance(5);
        bytes4 why = ReceiptAnchor.NotConsistent.selector;
        // another tree of the same size
        refused(5, bytes32("fork"), new bytes32[](0), why);
        // a larger one that does not begin with this one: without a proof, with its own, with the honest one
        bytes32[] memory honest = ReferenceTree.consistency(5, 9);
        (, bytes32 forked, bytes32[] memory own) = ReferenceTree.fabricate(5, 9, 1);
        refused(9, forked, new bytes32[](0), why);
        refused(9, forked, own, why);
        refused(9, forked, honest, why);
        refused(9, ReferenceTree.root(0, 9), own, why);
        send(9, ReferenceTree.root(0, 9), honest);
    }

    function test_a_log_does_not_shrink() public {
        advance(5);
        refused(4, ReferenceTree.root(0, 4), ReferenceTree.consistency(4, 5), ReceiptAnchor.HeadWouldShrink.selector);
        refused(0, sha256(""), new bytes32[](0), ReceiptAnchor.HeadWouldShrink.selector);
    }

    function test_a_first_head_has_no_proof() public {
        refused(5, ReferenceTree.root(0, 5), new bytes32[](1), ReceiptAnchor.NotConsistent.selector);
    }

    function test_a_head_needs_the_head_keys_signature() public {
        advance(5);
        bytes32 root = ReferenceTree.root(0, 6);
        bytes32[] memory proof = ReferenceTree.consistency(5, 6);
        bytes memory good = sign(HEAD_KEY, logId, 6, root);
        unsigned(root, proof, "");
        unsigned(root, proof, new bytes(65));
        unsigned(root, proof, sign(0x57A6E, logId, 6, root)); // a stranger's
        unsigned(root, proof, sign(HEAD_KEY, logId, 7, root)); // over another size
        unsigned(root, proof, sign(HEAD_KEY, bytes32("other log"), 6, root));
        unsigned(root, proof, abi.encodePacked(good, bytes1(0))); // 66 bytes
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HEAD_KEY, anchor.headDigest(logId, 6, root));
        bytes32 twin = bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s));
        unsigned(root, proof, abi.encodePacked(r, twin, v == 27 ? uint8(28) : uint8(27))); // high s
        unsigned(root, proof, abi.encodePacked(r, s, v - 27)); // v 0 or 1
        unsigned(root, proof, abi.encodePacked(r, bytes32(uint256(v - 27) << 255 | uint256(s)))); // EIP-2098
        vm.prank(SENDER);
        anchor.anchor(logId, 6, root, proof, good, "");
    }

    function unsigned(bytes32 root, bytes32[] memory proof, bytes memory signature) private {
        vm.prank(SENDER);
        vm.expectRevert(ReceiptAnchor.BadHeadSignature.selector);
        anchor.anchor(logId, 6, root, proof, signature, "");
    }

    function test_only_the_sender_anchors() public {
        bytes32 root = ReferenceTree.root(0, 5);
        bytes memory signature = sign(HEAD_KEY, logId, 5, root);
        // not even the owner
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.NotSender.selector, logId, address(this)));
        anchor.anchor(logId, 5, root, new bytes32[](0), signature, "");
        vm.prank(SENDER);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.NotSender.selector, bytes32("no log"), SENDER));
        anchor.anchor(bytes32("no log"), 5, root, new bytes32[](0), signature, "");
    }

    function test_the_held_head_proves_its_entries() public {
        advance(13);
        for (uint64 i = 0; i < 13; ++i) {
            bytes32[] memory proof = ReferenceTree.path(i, 0, 13);
            bytes32 entry = ReferenceTree.entry(i);
            yes(anchor.verifyInclusion(logId, i, entry, proof), "held");
            yes(anchor.verifyInclusionIn(ReferenceTree.root(0, 13), 13, i, entry, proof), "anybody's");
            no(anchor.verifyInclusion(logId, i, ReferenceTree.entry(i + 1), proof), "another entry");
            no(anchor.verifyInclusion(bytes32("no log"), i, entry, proof), "no log");
        }
        yes(
            anchor.verifyConsistency(
                7, ReferenceTree.root(0, 7), 13, ReferenceTree.root(0, 13), ReferenceTree.consistency(7, 13)
            ),
            "consistency"
        );
        no(
            anchor.verifyConsistency(
                6, ReferenceTree.root(0, 7), 13, ReferenceTree.root(0, 13), ReferenceTree.consistency(7, 13)
            ),
            "of another size"
        );
    }

    // -------------------------------------------------------------------------------------------------------------- keys

    function test_only_the_owner_exchanges_keys() public {
        bytes memory notOwner = abi.encodeWithSelector(ReceiptAnchor.NotLogOwner.selector, logId, SENDER);
        vm.startPrank(SENDER);
        vm.expectRevert(notOwner);
        anchor.setSender(logId, SENDER);
        vm.expectRevert(notOwner);
        anchor.setHeadKey(logId, SENDER);
        vm.expectRevert(notOwner);
        anchor.addReceiptKey(logId, SENDER);
        vm.expectRevert(notOwner);
        anchor.retireReceiptKey(logId, RECEIPT_KEY);
        vm.expectRevert(notOwner);
        anchor.closeLog(logId, bytes32(0));
        vm.expectRevert(notOwner);
        anchor.offerLogOwnership(logId, SENDER);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.UnknownLog.selector, bytes32("no log")));
        anchor.setSender(bytes32("no log"), SENDER);
        vm.stopPrank();
    }

    function test_exchanged_keys_count_at_once() public {
        advance(5);
        uint256 newKey = 0x4EAD2;
        vm.expectRevert(ReceiptAnchor.ZeroAddress.selector);
        anchor.setHeadKey(logId, address(0));
        vm.expectRevert(ReceiptAnchor.ZeroAddress.selector);
        anchor.setSender(logId, address(0));
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.HeadKeyChanged(logId, vm.addr(newKey), 5);
        anchor.setHeadKey(logId, vm.addr(newKey));
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.SenderChanged(logId, address(this), 5);
        anchor.setSender(logId, address(this));
        (uint64 size,) = anchor.head(logId);
        eq(size, 5, "the size beside the sender stays");

        bytes32 root = ReferenceTree.root(0, 8);
        bytes32[] memory proof = ReferenceTree.consistency(5, 8);
        bytes memory old = sign(HEAD_KEY, logId, 8, root);
        vm.expectRevert(ReceiptAnchor.BadHeadSignature.selector);
        anchor.anchor(logId, 8, root, proof, old, "");
        anchor.anchor(logId, 8, root, proof, sign(newKey, logId, 8, root), "");
    }

    function test_a_new_head_key_alone_counts_at_once() public {
        uint256 newKey = 0x4EAD2;
        anchor.setHeadKey(logId, vm.addr(newKey));
        bytes32 root = ReferenceTree.root(0, 5);
        bytes memory signature = sign(newKey, logId, 5, root);
        vm.prank(SENDER);
        anchor.anchor(logId, 5, root, new bytes32[](0), signature, "");
        refused(6, ReferenceTree.root(0, 6), ReferenceTree.consistency(5, 6), ReceiptAnchor.BadHeadSignature.selector);
    }

    function test_receipt_keys_have_one_span_each() public {
        advance(5);
        address key = address(0x4EC2);
        vm.expectRevert(ReceiptAnchor.ZeroAddress.selector);
        anchor.addReceiptKey(logId, address(0));
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.ReceiptKeyAdded(logId, key, 5);
        anchor.addReceiptKey(logId, key);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.ReceiptKeyKnown.selector, key));
        anchor.addReceiptKey(logId, key);
        advance(8);
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.ReceiptKeyRetired(logId, RECEIPT_KEY, 8);
        anchor.retireReceiptKey(logId, RECEIPT_KEY);
        (uint64 from, uint64 to, bool known) = anchor.receiptKey(logId, RECEIPT_KEY);
        eq(from, 0, "old from");
        eq(to, 8, "old to");
        yes(known, "old known");
        (from, to, known) = anchor.receiptKey(logId, key);
        eq(from, 5, "new from");
        eq(to, type(uint64).max, "new to");
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.ReceiptKeyNotValid.selector, RECEIPT_KEY));
        anchor.retireReceiptKey(logId, RECEIPT_KEY);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.ReceiptKeyNotValid.selector, SENDER));
        anchor.retireReceiptKey(logId, SENDER);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.ReceiptKeyKnown.selector, RECEIPT_KEY));
        anchor.addReceiptKey(logId, RECEIPT_KEY);
        (,, known) = anchor.receiptKey(logId, SENDER);
        no(known, "a stranger");
    }

    function test_a_closed_log_stays_as_it_is() public {
        advance(5);
        vm.expectRevert(ReceiptAnchor.BadSuccessor.selector);
        anchor.closeLog(logId, logId);
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.LogClosed(logId, 5, ReferenceTree.root(0, 5), bytes32("next"));
        anchor.closeLog(logId, bytes32("next"));
        yes(anchor.logOf(logId).closed, "closed");
        eq(anchor.logOf(logId).successor, bytes32("next"), "successor");
        refused(6, ReferenceTree.root(0, 6), ReferenceTree.consistency(5, 6), ReceiptAnchor.LogIsClosed.selector);
        bytes memory closed = abi.encodeWithSelector(ReceiptAnchor.LogIsClosed.selector, logId);
        vm.expectRevert(closed);
        anchor.closeLog(logId, bytes32(0));
        vm.expectRevert(closed);
        anchor.setSender(logId, SENDER);
        vm.expectRevert(closed);
        anchor.setHeadKey(logId, SENDER);
        vm.expectRevert(closed);
        anchor.addReceiptKey(logId, SENDER);
        vm.expectRevert(closed);
        anchor.retireReceiptKey(logId, RECEIPT_KEY);
        yes(anchor.verifyInclusion(logId, 2, ReferenceTree.entry(2), ReferenceTree.path(2, 0, 5)), "still proves");
    }

    function test_a_log_changes_hands_in_two_steps() public {
        vm.prank(SENDER);
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.NotPendingOwner.selector, logId, SENDER));
        anchor.acceptLogOwnership(logId);
        anchor.offerLogOwnership(logId, SENDER);
        eq(anchor.logOf(logId).owner, address(this), "still");
        eq(anchor.logOf(logId).pendingOwner, SENDER, "pending");
        vm.prank(SENDER);
        anchor.acceptLogOwnership(logId);
        eq(anchor.logOf(logId).owner, SENDER, "new owner");
        eq(anchor.logOf(logId).pendingOwner, address(0), "nobody pending");
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.NotLogOwner.selector, logId, address(this)));
        anchor.setSender(logId, SENDER);
        // the id is bound to who opened it, and cannot be opened again
        vm.expectRevert(abi.encodeWithSelector(ReceiptAnchor.LogExists.selector, logId));
        anchor.openLog(ORIGIN, SENDER, SENDER, address(0));
    }

    // ------------------------------------------------------------------------------------------------------------ fuzzed

    /// @dev Any sequence of growths, each with its proof, is taken; the head held is always the tree's.
    function testFuzz_any_growth_is_taken(uint8[6] calldata steps) public {
        uint64 size = 0;
        for (uint256 i = 0; i < steps.length; ++i) {
            size += steps[i] % 40;
            advance(size);
            (uint64 held, bytes32 root) = anchor.head(logId);
            eq(held, size, "size");
            eq(root, ReferenceTree.root(0, size), "root");
        }
    }
}
