// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @title ReceiptAnchor: the newest head of each receipt log, enforced to be append-only
/// @notice A head (size and RFC 9162 root) is taken only from the log's sender, only when the log's head key signed it,
/// and only with a valid consistency proof from the head already held. A log that forks or rewrites its past cannot be
/// anchored again.
/// @dev Three keys, three powers. The *owner* (cold) opens a log, exchanges the other two, and closes it. The *sender*
/// (hot) pays for the transactions. The *head key* says what the head is. Neither of the last two can move a head alone.
/// Only the newest head is stored; older ones are found in {Anchored}.
contract ReceiptAnchor is EIP712 {
    /// @dev An anchor reads and writes the first two slots and no other.
    struct Log {
        uint64 size;
        /// What {_authority} makes of sender and head key, so that both are checked by one read; zero in a closed log.
        uint192 authority;
        // slot 1
        bytes32 root;
        // from slot 2 on: what changes rarely
        address sender;
        bool closed;
        address headKey;
        address owner;
        address pendingOwner;
        bytes32 successor;
    }

    /// @dev Valid for the entries with `fromSize <= index < toSize`.
    struct KeySpan {
        uint64 fromSize;
        uint64 toSize;
        bool known;
    }

    /// @notice Who may do what to a log.
    /// @param owner the cold key; the zero address for a log that was never opened
    /// @param pendingOwner to whom the log was offered, or zero
    /// @param sender the only address whose {anchor} is heard
    /// @param headKey whose signature makes a head
    /// @param closed no more heads
    /// @param successor the log that continues a closed one, or zero
    struct LogView {
        address owner;
        address pendingOwner;
        address sender;
        address headKey;
        bool closed;
        bytes32 successor;
    }

    /// @notice `Head(bytes32 logId,uint64 size,bytes32 root)`, what the head key signs.
    bytes32 public constant HEAD_TYPEHASH = keccak256("Head(bytes32 logId,uint64 size,bytes32 root)");

    mapping(bytes32 logId => Log) private _logs;
    mapping(bytes32 logId => mapping(address key => KeySpan)) private _receiptKeys;

    /// @notice A log was opened, empty.
    event LogOpened(bytes32 indexed logId, address indexed owner, string origin, address sender, address headKey);
    /// @notice A new head is held. `daReference` is laid out by section 7 of the protocol and is not judged here.
    event Anchored(
        bytes32 indexed logId, uint64 size, bytes32 root, uint64 previousSize, bytes32 previousRoot, bytes daReference
    );
    /// @notice Another address may anchor, for heads larger than `fromSize`.
    event SenderChanged(bytes32 indexed logId, address indexed sender, uint64 fromSize);
    /// @notice Another key signs the heads larger than `fromSize`.
    event HeadKeyChanged(bytes32 indexed logId, address indexed headKey, uint64 fromSize);
    /// @notice Receipts signed by `key` count from entry `fromSize` on.
    event ReceiptKeyAdded(bytes32 indexed logId, address indexed key, uint64 fromSize);
    /// @notice Receipts signed by `key` count below entry `toSize` only.
    event ReceiptKeyRetired(bytes32 indexed logId, address indexed key, uint64 toSize);
    /// @notice The log ends at `size`; `successor` continues it, or nothing does (zero).
    event LogClosed(bytes32 indexed logId, uint64 size, bytes32 root, bytes32 indexed successor);
    /// @notice `pendingOwner` may take the log over (zero: nobody any more).
    event LogOwnershipOffered(bytes32 indexed logId, address indexed owner, address indexed pendingOwner);
    /// @notice The log has a new owner. Its id stays the same.
    event LogOwnershipTaken(bytes32 indexed logId, address indexed previousOwner, address indexed owner);

    error ZeroAddress();
    error EmptyOrigin();
    error LogExists(bytes32 logId);
    error UnknownLog(bytes32 logId);
    error LogIsClosed(bytes32 logId);
    error NotLogOwner(bytes32 logId, address caller);
    error NotPendingOwner(bytes32 logId, address caller);
    error NotSender(bytes32 logId, address caller);
    /// @notice The signature is not 65 bytes, not low-s, not v 27 or 28, or not the head key's over this head.
    error BadHeadSignature();
    /// @notice The log may only grow.
    error HeadWouldShrink(uint64 heldSize, uint64 size);
    /// @notice The proof does not show that the new tree begins with the held one: a fork, a rewrite or a wrong proof.
    error NotConsistent(uint64 heldSize, bytes32 heldRoot, uint64 size, bytes32 root);
    error ReceiptKeyKnown(address key);
    error ReceiptKeyNotValid(address key);
    error BadSuccessor();

    constructor() EIP712("tallystick ReceiptAnchor", "1") {}

    modifier onlyLogOwner(bytes32 logId) {
        _checkLogOwner(logId);
        _;
    }

    modifier whileOpen(bytes32 logId) {
        if (_logs[logId].closed) revert LogIsClosed(logId);
        _;
    }

    // ------------------------------------------------------------------------------------------------------ a log's life

    /// @notice Opens an empty log. The caller becomes its owner, and is part of its id: nobody else can take it.
    /// @param origin the C2SP origin line of the log
    /// @param sender who may anchor
    /// @param headKey who signs heads
    /// @param firstReceiptKey who signs receipts from the first entry on; zero for nobody yet
    /// @return logId `keccak256(abi.encode(block.chainid, address(this), msg.sender, origin))`
    function openLog(string calldata origin, address sender, address headKey, address firstReceiptKey)
        external
        returns (bytes32 logId)
    {
        if (bytes(origin).length == 0) revert EmptyOrigin();
        if (sender == address(0) || headKey == address(0)) revert ZeroAddress();
        logId = logIdOf(msg.sender, origin);
        Log storage log = _logs[logId];
        if (log.owner != address(0)) revert LogExists(logId);

        log.owner = msg.sender;
        log.sender = sender;
        log.headKey = headKey;
        log.authority = _authority(sender, headKey);
        log.root = MerkleTree.EMPTY_ROOT;
        emit LogOpened(logId, msg.sender, origin, sender, headKey);
        if (firstReceiptKey != address(0)) _addReceiptKey(logId, firstReceiptKey, 0);
    }

    /// @notice Replaces the held head by a larger one. The same head again does nothing and succeeds, so that a sender
    /// who never learned what became of his transaction may repeat it.
    /// @dev After a reorganisation the proof has to be built again, against the head that is now held.
    /// @param size number of entries of the new tree
    /// @param root its RFC 9162 root
    /// @param consistencyProof from the held head to this one (RFC 9162, 2.1.4.1); empty for a first head
    /// @param headSignature 65 bytes r, s, v (27 or 28), low-s, by the head key over the EIP-712 `Head`
    /// @param daReference where the entries can be had (protocol, section 7)
    function anchor(
        bytes32 logId,
        uint64 size,
        bytes32 root,
        bytes32[] calldata consistencyProof,
        bytes calldata headSignature,
        bytes calldata daReference
    ) external {
        Log storage log = _logs[logId];
        (uint64 heldSize, bytes32 heldRoot) = (log.size, log.root);
        if (size == heldSize && root == heldRoot) return _checkSender(log, logId);
        _checkHead(log, logId, size, root, headSignature);
        if (size < heldSize) revert HeadWouldShrink(heldSize, size);
        if (!MerkleTree.extends(heldSize, heldRoot, size, root, consistencyProof)) {
            revert NotConsistent(heldSize, heldRoot, size, root);
        }
        (log.size, log.root) = (size, root);
        emit Anchored(logId, size, root, heldSize, heldRoot, daReference);
    }

    /// @notice Ends a log for good: no more heads, no more keys.
    /// @param successor the id of the log that continues it (on any chain), or zero
    function closeLog(bytes32 logId, bytes32 successor) external onlyLogOwner(logId) whileOpen(logId) {
        if (successor == logId) revert BadSuccessor();
        Log storage log = _logs[logId];
        log.closed = true;
        log.authority = 0;
        log.successor = successor;
        emit LogClosed(logId, log.size, log.root, successor);
    }

    // -------------------------------------------------------------------------------------------------------------- keys

    /// @notice Says who may anchor from now on. Only the owner.
    function setSender(bytes32 logId, address sender) external onlyLogOwner(logId) whileOpen(logId) {
        if (sender == address(0)) revert ZeroAddress();
        Log storage log = _logs[logId];
        log.sender = sender;
        log.authority = _authority(sender, log.headKey);
        emit SenderChanged(logId, sender, log.size);
    }

    /// @notice Says who signs heads from now on. Only the owner.
    function setHeadKey(bytes32 logId, address headKey) external onlyLogOwner(logId) whileOpen(logId) {
        if (headKey == address(0)) revert ZeroAddress();
        Log storage log = _logs[logId];
        log.headKey = headKey;
        log.authority = _authority(log.sender, headKey);
        emit HeadKeyChanged(logId, headKey, log.size);
    }

    /// @notice Lets receipts signed by `key` count from the first entry that is not anchored yet. Only the owner. A key
    /// has one span in a log: one that was retired does not come back.
    function addReceiptKey(bytes32 logId, address key) external onlyLogOwner(logId) whileOpen(logId) {
        if (key == address(0)) revert ZeroAddress();
        _addReceiptKey(logId, key, _logs[logId].size);
    }

    /// @notice Ends the span of `key` at the held head. Only the owner. Entries that were made but not anchored fall
    /// outside it, which is what a stolen key calls for; for an orderly change, stop signing and anchor everything first.
    function retireReceiptKey(bytes32 logId, address key) external onlyLogOwner(logId) whileOpen(logId) {
        KeySpan storage span = _receiptKeys[logId][key];
        if (!span.known || span.toSize != type(uint64).max) revert ReceiptKeyNotValid(key);
        uint64 toSize = _logs[logId].size;
        span.toSize = toSize;
        emit ReceiptKeyRetired(logId, key, toSize);
    }

    /// @notice Offers the log to another cold key, which has to {acceptLogOwnership}. Only the owner; zero withdraws it.
    function offerLogOwnership(bytes32 logId, address pendingOwner) external onlyLogOwner(logId) {
        _logs[logId].pendingOwner = pendingOwner;
        emit LogOwnershipOffered(logId, msg.sender, pendingOwner);
    }

    /// @notice Takes over a log that was offered to the caller.
    function acceptLogOwnership(bytes32 logId) external {
        Log storage log = _logs[logId];
        if (msg.sender != log.pendingOwner) revert NotPendingOwner(logId, msg.sender);
        emit LogOwnershipTaken(logId, log.owner, msg.sender);
        log.owner = msg.sender;
        log.pendingOwner = address(0);
    }

    // ------------------------------------------------------------------------------------------------------------- views

    /// @notice The newest head. An opened log without one has size 0 and root sha256(""); an unknown log (0, 0).
    function head(bytes32 logId) external view returns (uint64 size, bytes32 root) {
        Log storage log = _logs[logId];
        return (log.size, log.root);
    }

    /// @notice A log's keys and state; all zero for a log that was never opened.
    function logOf(bytes32 logId) external view returns (LogView memory) {
        Log storage log = _logs[logId];
        return LogView({
            owner: log.owner,
            pendingOwner: log.pendingOwner,
            sender: log.sender,
            headKey: log.headKey,
            closed: log.closed,
            successor: log.successor
        });
    }

    /// @notice The span of entries for which receipts signed by `key` count: `fromSize <= index < toSize`.
    /// @return fromSize the first entry
    /// @return toSize the entry after the last, or 2^64 - 1 while the key is in use
    /// @return known false for a key that was never added (and then the other two are zero)
    function receiptKey(bytes32 logId, address key) external view returns (uint64 fromSize, uint64 toSize, bool known) {
        KeySpan storage span = _receiptKeys[logId][key];
        return (span.fromSize, span.toSize, span.known);
    }

    /// @notice The id of the log that `owner` opens, or opened, here under `origin`.
    function logIdOf(address owner, string calldata origin) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), owner, origin));
    }

    /// @notice The EIP-712 digest that a head key signs.
    function headDigest(bytes32 logId, uint64 size, bytes32 root) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(HEAD_TYPEHASH, logId, size, root)));
    }

    /// @notice The EIP-712 domain separator of this contract.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @notice Whether `entry` (a receipt's digest) stands at `index` in the head held for the log.
    /// @param proof RFC 9162, 2.1.3.1, for exactly the held size
    function verifyInclusion(bytes32 logId, uint64 index, bytes32 entry, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        Log storage log = _logs[logId];
        return MerkleTree.includes(log.root, log.size, index, MerkleTree.leafHash(entry), proof);
    }

    /// @notice Whether `entry` stands at `index` in the tree (`size`, `root`), whoever's tree that is.
    function verifyInclusionIn(bytes32 root, uint64 size, uint64 index, bytes32 entry, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleTree.includes(root, size, index, MerkleTree.leafHash(entry), proof);
    }

    /// @notice Whether the tree (`newSize`, `newRoot`) begins with the tree (`oldSize`, `oldRoot`), whoever's they are.
    function verifyConsistency(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return MerkleTree.extends(oldSize, oldRoot, newSize, newRoot, proof);
    }

    // ----------------------------------------------------------------------------------------------------------- private

    /// @dev Who may make heads, in one word: who sends them and whose key signs them.
    function _authority(address sender, address headKey) private pure returns (uint192) {
        return uint192(uint256(keccak256(abi.encode(sender, headKey))));
    }

    /// @dev Whether the caller may anchor, and the head key signed this head.
    function _checkHead(Log storage log, bytes32 logId, uint64 size, bytes32 root, bytes calldata headSignature)
        private
        view
    {
        // An error leaves the zero address, which is never a head key.
        (address signer,,) = ECDSA.tryRecoverCalldata(headDigest(logId, size, root), headSignature);
        if (_authority(msg.sender, signer) == log.authority) return;
        _checkSender(log, logId);
        revert BadHeadSignature();
    }

    function _checkSender(Log storage log, bytes32 logId) private view {
        if (msg.sender != log.sender) revert NotSender(logId, msg.sender);
        if (log.closed) revert LogIsClosed(logId);
    }

    function _checkLogOwner(bytes32 logId) private view {
        address owner = _logs[logId].owner;
        if (owner == address(0)) revert UnknownLog(logId);
        if (msg.sender != owner) revert NotLogOwner(logId, msg.sender);
    }

    function _addReceiptKey(bytes32 logId, address key, uint64 fromSize) private {
        KeySpan storage span = _receiptKeys[logId][key];
        if (span.known) revert ReceiptKeyKnown(key);
        (span.fromSize, span.toSize, span.known) = (fromSize, type(uint64).max, true);
        emit ReceiptKeyAdded(logId, key, fromSize);
    }
}
