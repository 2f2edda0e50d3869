// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IdentityRegistry} from "../src/local/IdentityRegistry.sol";
import {MerkleTree} from "../src/MerkleTree.sol";
import {OperatorBond} from "../src/OperatorBond.sol";
import {ReceiptAnchor} from "../src/ReceiptAnchor.sol";
import {Receipt, Usage} from "../src/ReceiptDigest.sol";
import {Fixture} from "./Fixture.sol";
import {ReferenceTree} from "./ReferenceTree.sol";

/// @dev A bonded log, a registry with alice's agent in it, and a tree of entries that can be anchored and proven.
abstract contract BondStage is Fixture {
    uint256 internal constant RECEIPT_KEY = 0x4EC;
    uint256 internal constant HEAD_KEY = 0x4EAD;
    uint256 internal constant THIEF_KEY = 0x7E1F;
    /// @dev secp256k1's
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    address internal constant SENDER = address(0x5E);
    address internal constant OWNER = address(0xC01D);
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    uint256 internal constant PENALTY = 10 ether + 1;
    uint256 internal constant STAKE = 1 ether;
    uint32 internal constant MERGE_DELAY = 1 hours;
    uint32 internal constant GRACE = 10 minutes;
    uint32 internal constant WINDOW = 2 days;
    uint64 internal constant DELAY = uint64(MERGE_DELAY) + GRACE + 2 * WINDOW;

    ReceiptAnchor internal anchor;
    OperatorBond internal bond;
    IdentityRegistry internal registry;
    bytes32 internal logId;
    uint256 internal agent;
    bytes32[] internal entries;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        registry = new IdentityRegistry();
        vm.prank(BOB);
        registry.register();
        vm.prank(ALICE);
        agent = registry.register();
        anchor = new ReceiptAnchor();
        bond = new OperatorBond(anchor, PENALTY, STAKE, MERGE_DELAY, GRACE, WINDOW);
        logId = openLog("log");
        vm.deal(OWNER, 1_000 ether);
        vm.deal(ALICE, 100 ether);
        vm.deal(BOB, 100 ether);
        vm.prank(OWNER);
        bond.bond{value: 25 ether}(logId);
        for (uint256 i = 0; i < 3; ++i) {
            entries.push(ReferenceTree.entry(i));
        }
        advance();
    }

    function openLog(string memory origin) internal returns (bytes32) {
        vm.prank(OWNER);
        return anchor.openLog(origin, SENDER, vm.addr(HEAD_KEY), vm.addr(RECEIPT_KEY));
    }

    function later(uint256 duration) internal {
        vm.warp(block.timestamp + duration);
        vm.roll(block.number + 1);
    }

    // ---------------------------------------------------------------------------------------------------------- receipts

    function receipt(uint64 sequence) internal view returns (Receipt memory) {
        return Receipt({
            logId: logId,
            chainId: block.chainid,
            vault: address(0xAA),
            registry: address(registry),
            agentId: agent,
            epoch: 0,
            sequence: sequence,
            previous: 0,
            authorizationKind: 1,
            authorization: keccak256("authorization"),
            requestHash: keccak256("request"),
            forwardedHash: keccak256("forwarded"),
            responseHash: keccak256("response"),
            upstreamResponseHash: keccak256("upstream response"),
            upstream: "qwen",
            model: "qwen-max",
            upstreamId: "chatcmpl-1",
            usage: Usage(10, 1, 1, 10, 1, false),
            priceTable: keccak256("prices"),
            amount: 5,
            cumulative: 5 * uint256(sequence),
            time: uint64(block.timestamp),
            mergeBy: uint64(block.timestamp) + MERGE_DELAY,
            assurance: 0,
            evidence: 0
        });
    }

    /// @dev Another receipt for the same place.
    function otherReceipt(uint64 sequence) internal view returns (Receipt memory other) {
        other = receipt(sequence);
        other.amount = 6;
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function signed(uint256 key, Receipt memory r) internal view returns (OperatorBond.SignedReceipt memory) {
        return OperatorBond.SignedReceipt(r, sign(key, bond.receiptDigest(r)));
    }

    function signed(Receipt memory r) internal view returns (OperatorBond.SignedReceipt memory) {
        return signed(RECEIPT_KEY, r);
    }

    /// @dev The other signature of the same digest: s is replaced by its negative.
    function malleated(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, uint256 s, uint8 v) = (word(signature, 0), uint256(word(signature, 32)), uint8(signature[64]));
        return abi.encodePacked(r, ORDER - s, v == 27 ? 28 : 27);
    }

    function word(bytes memory data, uint256 offset) internal pure returns (bytes32 value) {
        assembly {
            value := mload(add(add(data, 0x20), offset))
        }
    }

    // ------------------------------------------------------------------------------------------------------------- heads

    function signedHead(uint256 key, uint64 size, bytes32 top) internal view returns (OperatorBond.SignedHead memory) {
        return OperatorBond.SignedHead(size, top, sign(key, anchor.headDigest(logId, size, top)));
    }

    function signedHead(uint64 size, bytes32 top) internal view returns (OperatorBond.SignedHead memory) {
        return signedHead(HEAD_KEY, size, top);
    }

    /// @dev Anchors all entries there are.
    function advance() internal {
        (uint64 held,) = anchor.head(logId);
        uint64 size = uint64(entries.length);
        bytes32 top = root(size);
        bytes memory signature = sign(HEAD_KEY, anchor.headDigest(logId, size, top));
        bytes32[] memory proof = held == 0 ? new bytes32[](0) : consistency(held, size);
        vm.prank(SENDER);
        anchor.anchor(logId, size, top, proof, signature, "");
    }

    function none() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    // ------------------------------------------------------- the tree of the entries, by RFC 9162's own definitions

    function root(uint256 size) internal view returns (bytes32) {
        return range(0, size);
    }

    function range(uint256 low, uint256 high) internal view returns (bytes32) {
        if (high - low == 0) return sha256("");
        if (high - low == 1) return MerkleTree.leafHash(entries[low]);
        uint256 k = split(high - low);
        return node(range(low, low + k), range(low + k, high));
    }

    function path(uint256 index) internal view returns (bytes32[] memory) {
        return pathIn(index, 0, entries.length);
    }

    function pathIn(uint256 index, uint256 low, uint256 high) private view returns (bytes32[] memory) {
        if (high - low == 1) return new bytes32[](0);
        uint256 k = split(high - low);
        if (index - low < k) return append(pathIn(index, low, low + k), range(low + k, high));
        return append(pathIn(index, low + k, high), range(low, low + k));
    }

    function consistency(uint256 m, uint256 n) internal view returns (bytes32[] memory) {
        return subproof(m, 0, n, true);
    }

    function subproof(uint256 m, uint256 low, uint256 high, bool whole) private view returns (bytes32[] memory) {
        if (m == high - low) {
            return whole ? new bytes32[](0) : append(new bytes32[](0), range(low, high));
        }
        uint256 k = split(high - low);
        if (m <= k) return append(subproof(m, low, low + k, whole), range(low + k, high));
        return append(subproof(m - k, low + k, high, false), range(low, low + k));
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
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

    // ------------------------------------------------------------------------------------------------------------- money

    /// @dev That this much was slashed since, and half of it is alice's.
    function wasSlashed(uint256 bondBefore, uint256 amount) internal view {
        eq(bond.bondOf(logId).amount, bondBefore - amount, "bond");
        eq(bond.compensationOf(address(registry), agent), amount / 2, "the agent's half");
        solvent();
    }

    /// @dev That the contract holds what it owes, and what nobody gets.
    function solvent() internal view {
        uint256 owed = bond.bondOf(logId).amount + bond.compensationOf(address(registry), agent) + bond.refundOf(ALICE)
            + bond.refundOf(BOB) + bond.bondOf(logId).openChallenges * STAKE;
        yes(address(bond).balance >= owed, "solvent");
    }
}
