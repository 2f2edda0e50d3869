// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {MerkleTree} from "./MerkleTree.sol";
import {ReceiptAnchor} from "./ReceiptAnchor.sol";
import {Receipt, ReceiptDigest} from "./ReceiptDigest.sol";

/// @title OperatorBond: what an operator loses when its own signatures show that it cheated
/// @notice Somebody bonds the native asset for a log. Three things take a penalty out of it, and nothing else does:
/// two different receipts for one place ({proveTwoReceipts}); a signed head that the log contradicts
/// ({proveTwoHeads}, {proveAgainstAnchor}); a receipt past its `mergeBy` that, challenged, is not shown in the anchored
/// log in time ({challenge}, {answer}, {conclude}).
/// @dev Why an operator whose keys are its own cannot lose: a receipt has its place, and a head its size, before either is
/// signed, and signing again gives the same bytes; so there is no second one to show. And whatever is in the anchored log
/// can be shown there for ever, however late it came. docs/evidence.md argues this in full.
///
/// Where a penalty goes: half to the agent of the receipt, to be had by whoever owns that agent on this chain, and half to
/// nobody. Not all to the agent, because the operator may have registered an agent, too: evidence against itself in that
/// agent's name would then be a way to take the bond out at once, ahead of everyone it cheated. Nobody is paid for
/// reporting, for the same reason. Heads name no agent, and agents of other chains have no owner here: then all goes to
/// nobody. What goes to nobody stays in this contract for good.
///
/// Nothing is sent while something is judged: all money leaves by {collect}, {takeRefund} and {completeWithdrawal}, and no
/// registry is asked for anything before {collect}.
contract OperatorBond {
    /// @notice A receipt and its 65-byte signature.
    struct SignedReceipt {
        Receipt receipt;
        bytes signature;
    }

    /// @notice A head of a log and its 65-byte signature.
    struct SignedHead {
        uint64 size;
        bytes32 root;
        bytes signature;
    }

    /// @notice A log's bond. Amounts in base units, times in Unix seconds.
    /// @param amount what can be slashed
    /// @param openChallenges challenges that are neither answered nor concluded
    /// @param withdrawal what the owner has asked for: a reader should not count on it any more
    /// @param readyAt from when it can be had; zero when nothing was asked for
    /// @param lapsesAt until when it can be had; after that it has to be asked for again
    struct Bond {
        uint256 amount;
        uint256 openChallenges;
        uint256 withdrawal;
        uint64 readyAt;
        uint64 lapsesAt;
    }

    /// @notice What became of a challenge.
    enum ChallengeState {
        None,
        Open,
        Answered,
        Lost
    }

    /// @notice A challenge to show one receipt in the log.
    /// @param deadline the last second in which an answer counts
    /// @param registry the receipt's agent's; zero for an agent of another chain
    struct Challenge {
        bytes32 logId;
        address challenger;
        uint64 deadline;
        ChallengeState state;
        address registry;
        uint256 agentId;
    }

    /// @notice The anchor whose logs are bonded here.
    ReceiptAnchor public immutable anchor;
    /// @notice What one piece of evidence takes, base units (or what is left, if that is less).
    uint256 public immutable penalty;
    /// @notice What a challenger puts up, base units: lost to the log's bond when the receipt is shown.
    uint256 public immutable challengeBond;
    /// @notice The longest time from a receipt's `time` to its `mergeBy` that a withdrawal waits for, seconds.
    uint64 public immutable mergeDelay;
    /// @notice How long after `mergeBy` a receipt cannot be challenged yet, seconds.
    uint64 public immutable grace;
    /// @notice How long there is to answer a challenge, seconds.
    uint64 public immutable answerWindow;
    /// @notice How long a withdrawal waits, seconds: a receipt made just before it was asked for can still become due, be
    /// challenged, and lose.
    uint64 public immutable withdrawalDelay;

    mapping(bytes32 logId => Bond) private _bonds;
    mapping(bytes32 digest => Challenge) private _challenges;
    /// @dev What has been punished: a place, or a size of a log.
    mapping(bytes32 offence => bool) private _punished;
    /// @dev The last second in which a head key counts; the end of time while it was last seen in use.
    mapping(bytes32 logId => mapping(address key => uint64)) private _headKeyUntil;
    mapping(bytes32 logId => address) private _headKeySeen;
    /// @dev The last second in which a retired receipt key counts; zero while nobody has said that it is retired.
    mapping(bytes32 logId => mapping(address key => uint64)) private _retiredKeyUntil;
    mapping(address registry => mapping(uint256 agentId => uint256)) private _compensation;
    mapping(address challenger => uint256) private _refunds;

    /// @notice `from` added `amount`; the log's bond is `total` now.
    event Bonded(bytes32 indexed logId, address indexed from, uint256 amount, uint256 total);
    /// @notice The log's owner can have at most `amount` from `readyAt` to `lapsesAt`.
    event WithdrawalStarted(bytes32 indexed logId, uint256 amount, uint64 readyAt, uint64 lapsesAt);
    event WithdrawalCancelled(bytes32 indexed logId);
    event WithdrawalCompleted(bytes32 indexed logId, address indexed recipient, uint256 amount);
    /// @notice Heads signed by `key` count here; `until` is 2^64 - 1 for the key in use.
    event HeadKeyNoted(bytes32 indexed logId, address indexed key, uint64 until);
    /// @notice Receipts signed by a retired `key` count here to the end of the second `until`.
    event RetiredReceiptKeyNoted(bytes32 indexed logId, address indexed key, uint64 until);
    /// @notice Two receipts hold one place: `first` and `second` are their digests.
    event TwoReceipts(bytes32 indexed logId, bytes32 indexed place, bytes32 first, bytes32 second);
    /// @notice A head of `size` was signed with `signedRoot`, where the log has `root`.
    event ContradictedHead(bytes32 indexed logId, uint64 size, bytes32 signedRoot, bytes32 root);
    /// @notice The receipt with this digest has to be shown in the anchored log, by the end of the second `deadline`.
    event Challenged(bytes32 indexed logId, bytes32 indexed digest, address indexed challenger, uint64 deadline);
    /// @notice The receipt stands at `index`; the challenger's bond is part of the log's now.
    event Answered(bytes32 indexed logId, bytes32 indexed digest, uint64 index);
    /// @notice Nobody showed the receipt in time.
    event ChallengeLost(bytes32 indexed logId, bytes32 indexed digest);
    /// @notice `amount` left the log's bond; `toAgent` of it is for the agent, the rest for nobody.
    event Slashed(
        bytes32 indexed logId, uint256 amount, address indexed registry, uint256 indexed agentId, uint256 toAgent
    );
    /// @notice An agent's owner took what the agent is due.
    event Collected(address indexed registry, uint256 indexed agentId, address indexed recipient, uint256 amount);
    /// @notice A challenger took its own bonds back.
    event Refunded(address indexed challenger, address indexed recipient, uint256 amount);

    error ZeroAmount();
    error ZeroDuration();
    error ZeroAddress();
    error NotAContract(address account);
    error UnknownLog(bytes32 logId);
    error NotLogOwner(bytes32 logId, address caller);
    /// @notice There is nothing to slash.
    error NoBond(bytes32 logId);
    error NothingPending();
    error NotReady(uint64 readyAt);
    error Lapsed(uint64 lapsesAt);
    /// @notice What would be left could not pay for the challenges that are open.
    error ChallengesOpen(uint256 openChallenges);
    /// @notice Not a signature of this receipt by a key that counts for its log.
    error NotAReceiptKey(address signer);
    /// @notice Not a signature of this head by a key that counts for the log.
    error NotAHeadKey(address signer);
    error KeyInUse(address key);
    error AlreadyNoted(address key);
    /// @notice The receipts are for different places.
    error DifferentPlaces();
    /// @notice The receipts are one receipt, signed once or more often.
    error SameReceipt();
    /// @notice The later head is the smaller one.
    error WrongOrder();
    /// @notice The proof does not show that the later head begins with this root.
    error NotTheRoot();
    /// @notice The signed head is what the log has.
    error NoContradiction();
    error AlreadyPunished();
    /// @notice The receipt cannot be challenged before.
    error NotDue(uint256 dueAt);
    error WrongChallengeBond();
    error AlreadyChallenged();
    error NoOpenChallenge();
    error TooLate(uint64 deadline);
    error StillOpen(uint64 deadline);
    error NotIncluded();
    error NotAgentOwner(address caller);
    error NothingDue();
    error TransferFailed();

    /// @param anchor_ the anchor whose logs are bonded here
    /// @param penalty_ base units
    /// @param challengeBond_ base units; at least what an answer costs in gas, or challenging is a way to do harm
    /// @param mergeDelay_ seconds: the longest that a bonded log's receipts promise
    /// @param grace_ seconds
    /// @param answerWindow_ seconds: longer than any outage that is to cost nothing
    constructor(
        ReceiptAnchor anchor_,
        uint256 penalty_,
        uint256 challengeBond_,
        uint32 mergeDelay_,
        uint32 grace_,
        uint32 answerWindow_
    ) {
        if (address(anchor_).code.length == 0) revert NotAContract(address(anchor_));
        if (penalty_ == 0 || challengeBond_ == 0) revert ZeroAmount();
        if (mergeDelay_ == 0 || answerWindow_ == 0) revert ZeroDuration();
        (anchor, penalty, challengeBond) = (anchor_, penalty_, challengeBond_);
        (mergeDelay, grace, answerWindow) = (mergeDelay_, grace_, answerWindow_);
        // One window to challenge in, one to answer in.
        withdrawalDelay = uint64(mergeDelay_) + grace_ + 2 * uint64(answerWindow_);
    }

    modifier onlyLogOwner(bytes32 logId) {
        if (msg.sender != anchor.logOf(logId).owner) revert NotLogOwner(logId, msg.sender);
        _;
    }

    // ---------------------------------------------------------------------------------------------------------- the bond

    /// @notice Adds to a log's bond. Anyone may; only the log's owner can ever ask for it back.
    function bond(bytes32 logId) external payable {
        if (msg.value == 0) revert ZeroAmount();
        noteHeadKey(logId);
        uint256 total = _bonds[logId].amount += msg.value;
        emit Bonded(logId, msg.sender, msg.value, total);
    }

    /// @notice Asks for `amount` of the bond. Only the log's owner; asking again replaces, and waits from the beginning.
    function startWithdrawal(bytes32 logId, uint256 amount) external onlyLogOwner(logId) {
        if (amount == 0) revert ZeroAmount();
        Bond storage held = _bonds[logId];
        held.withdrawal = amount;
        held.readyAt = uint64(block.timestamp) + withdrawalDelay;
        // A withdrawal that stayed ready for ever would be a delay served in advance.
        held.lapsesAt = held.readyAt + answerWindow;
        emit WithdrawalStarted(logId, amount, held.readyAt, held.lapsesAt);
    }

    /// @notice Gives a pending withdrawal up. Only the log's owner.
    function cancelWithdrawal(bytes32 logId) external onlyLogOwner(logId) {
        Bond storage held = _bonds[logId];
        if (held.readyAt == 0) revert NothingPending();
        (held.withdrawal, held.readyAt, held.lapsesAt) = (0, 0, 0);
        emit WithdrawalCancelled(logId);
    }

    /// @notice Sends what was asked for, or what is left of it. Only the log's owner. As long as challenges are open, a
    /// penalty for each of them has to stay.
    function completeWithdrawal(bytes32 logId, address recipient) external onlyLogOwner(logId) {
        if (recipient == address(0)) revert ZeroAddress();
        Bond storage held = _bonds[logId];
        (uint64 readyAt, uint64 lapsesAt) = (held.readyAt, held.lapsesAt);
        if (readyAt == 0) revert NothingPending();
        if (block.timestamp < readyAt) revert NotReady(readyAt);
        if (block.timestamp > lapsesAt) revert Lapsed(lapsesAt);
        uint256 amount = _min(held.withdrawal, held.amount);
        uint256 rest = held.amount - amount;
        if (rest < held.openChallenges * penalty) revert ChallengesOpen(held.openChallenges);
        held.amount = rest;
        (held.withdrawal, held.readyAt, held.lapsesAt) = (0, 0, 0);
        emit WithdrawalCompleted(logId, recipient, amount);
        _send(recipient, amount);
    }

    // -------------------------------------------------------------------------------------------------------------- keys

    /// @notice Remembers the key that the anchor now takes heads from. Anyone may, and should after a change: it makes the
    /// new key count after it was exchanged in turn, and the old one count for {withdrawalDelay} more and not for ever.
    function noteHeadKey(bytes32 logId) public {
        address key = anchor.logOf(logId).headKey;
        if (key == address(0)) revert UnknownLog(logId);
        address before = _headKeySeen[logId];
        if (key == before) return;
        if (before != address(0)) {
            uint64 until = uint64(block.timestamp) + withdrawalDelay;
            _headKeyUntil[logId][before] = until;
            emit HeadKeyNoted(logId, before, until);
        }
        _headKeySeen[logId] = key;
        _headKeyUntil[logId][key] = type(uint64).max;
        emit HeadKeyNoted(logId, key, type(uint64).max);
    }

    /// @notice Lets a receipt key that was retired on the anchor lapse here: it counts for {withdrawalDelay} more. Anyone
    /// may say so, once. Until somebody does it counts: retiring a key is no way out of what it signed.
    function noteRetiredReceiptKey(bytes32 logId, address key) external {
        (, uint64 toSize, bool known) = anchor.receiptKey(logId, key);
        if (!known) revert NotAReceiptKey(key);
        if (toSize == type(uint64).max) revert KeyInUse(key);
        if (_retiredKeyUntil[logId][key] != 0) revert AlreadyNoted(key);
        uint64 until = uint64(block.timestamp) + withdrawalDelay;
        _retiredKeyUntil[logId][key] = until;
        emit RetiredReceiptKeyNoted(logId, key, until);
    }

    // ---------------------------------------------------------------------------------------------------------- evidence

    /// @notice Two different receipts for one (log, chain, vault, registry, agent, sequence), each signed by a receipt key
    /// of the log. Once for each place.
    function proveTwoReceipts(SignedReceipt calldata a, SignedReceipt calldata b) external {
        bytes32 place = ReceiptDigest.placeOf(a.receipt);
        if (place != ReceiptDigest.placeOf(b.receipt)) revert DifferentPlaces();
        bytes32 first = _checkReceipt(a);
        bytes32 second = _checkReceipt(b);
        if (first == second) revert SameReceipt();
        bytes32 logId = a.receipt.logId;
        _punishOnce(keccak256(abi.encode("two receipts", place)));
        emit TwoReceipts(logId, place, first, second);
        _slash(logId, _registryHere(a.receipt), a.receipt.agentId);
    }

    /// @notice Two heads signed by head keys of the log, the later of which does not begin with the earlier: what it does
    /// begin with is shown by a consistency proof. Two heads of one size are the case where that is the later one's root
    /// and the proof is empty. Once for each size of the earlier.
    /// @param earlier the head that is contradicted
    /// @param later a head of the same size or larger
    /// @param root the root that the first `earlier.size` entries of the later head have
    /// @param proof RFC 9162, 2.1.4.1, from (earlier.size, root) to the later head
    function proveTwoHeads(
        bytes32 logId,
        SignedHead calldata earlier,
        SignedHead calldata later,
        bytes32 root,
        bytes32[] calldata proof
    ) external {
        _checkHead(logId, later);
        _contradict(logId, earlier, later.size, later.root, root, proof);
    }

    /// @notice The same where the later head is the one that the anchor holds.
    /// @param earlier the head that is contradicted: of the held size or smaller
    /// @param root the root that the first `earlier.size` entries of the held head have
    /// @param proof from (earlier.size, root) to the held head
    function proveAgainstAnchor(bytes32 logId, SignedHead calldata earlier, bytes32 root, bytes32[] calldata proof)
        external
    {
        (uint64 size, bytes32 held) = anchor.head(logId);
        _contradict(logId, earlier, size, held, root, proof);
    }

    // --------------------------------------------------------------------------------------------------------- challenge

    /// @notice Demands that a receipt be shown in the anchored log. Its `mergeBy` and {grace} have passed; the value sent
    /// is {challengeBond}. A receipt can be challenged once.
    function challenge(SignedReceipt calldata signed) external payable {
        if (msg.value != challengeBond) revert WrongChallengeBond();
        Receipt calldata receipt = signed.receipt;
        bytes32 digest = _checkReceipt(signed);
        uint256 dueAt = uint256(receipt.mergeBy) + grace;
        if (block.timestamp <= dueAt) revert NotDue(dueAt);
        if (_challenges[digest].state != ChallengeState.None) revert AlreadyChallenged();
        bytes32 logId = receipt.logId;
        Bond storage held = _bonds[logId];
        if (held.amount == 0) revert NoBond(logId);
        ++held.openChallenges;
        uint64 deadline = uint64(block.timestamp) + answerWindow;
        _challenges[digest] = Challenge({
            logId: logId,
            challenger: msg.sender,
            deadline: deadline,
            state: ChallengeState.Open,
            registry: _registryHere(receipt),
            agentId: receipt.agentId
        });
        emit Challenged(logId, digest, msg.sender, deadline);
    }

    /// @notice Shows a challenged receipt in the head that the anchor holds. Anyone may, until the deadline; it does not
    /// matter when the receipt got there. The challenger's bond goes to the log's.
    /// @param index where the receipt stands
    /// @param proof RFC 9162, 2.1.3.1, for exactly the held size
    function answer(bytes32 digest, uint64 index, bytes32[] calldata proof) external {
        Challenge storage open = _openChallenge(digest);
        if (block.timestamp > open.deadline) revert TooLate(open.deadline);
        bytes32 logId = open.logId;
        if (!anchor.verifyInclusion(logId, index, digest, proof)) revert NotIncluded();
        open.state = ChallengeState.Answered;
        Bond storage held = _bonds[logId];
        --held.openChallenges;
        held.amount += challengeBond;
        emit Answered(logId, digest, index);
    }

    /// @notice Ends a challenge that nobody answered in time. Anyone may. The challenger gets its bond back, and the log's
    /// is slashed.
    function conclude(bytes32 digest) external {
        Challenge storage open = _openChallenge(digest);
        if (block.timestamp <= open.deadline) revert StillOpen(open.deadline);
        bytes32 logId = open.logId;
        open.state = ChallengeState.Lost;
        Bond storage held = _bonds[logId];
        --held.openChallenges;
        _refunds[open.challenger] += challengeBond;
        emit ChallengeLost(logId, digest);
        // Other evidence may have taken everything meanwhile.
        if (held.amount != 0) _slash(logId, open.registry, open.agentId);
    }

    // ------------------------------------------------------------------------------------------------------------- money

    /// @notice Sends what an agent is due. Only the agent's owner, as its registry on this chain says it now.
    function collect(address registry, uint256 agentId, address recipient) external {
        if (recipient == address(0)) revert ZeroAddress();
        if (IERC721(registry).ownerOf(agentId) != msg.sender) revert NotAgentOwner(msg.sender);
        uint256 amount = _compensation[registry][agentId];
        if (amount == 0) revert NothingDue();
        _compensation[registry][agentId] = 0;
        emit Collected(registry, agentId, recipient, amount);
        _send(recipient, amount);
    }

    /// @notice Sends the caller the bonds of the challenges it won.
    function takeRefund(address recipient) external {
        if (recipient == address(0)) revert ZeroAddress();
        uint256 amount = _refunds[msg.sender];
        if (amount == 0) revert NothingDue();
        _refunds[msg.sender] = 0;
        emit Refunded(msg.sender, recipient, amount);
        _send(recipient, amount);
    }

    // ------------------------------------------------------------------------------------------------------------- views

    /// @notice A log's bond.
    function bondOf(bytes32 logId) external view returns (Bond memory) {
        return _bonds[logId];
    }

    /// @notice The challenge of the receipt with this digest.
    function challengeOf(bytes32 digest) external view returns (Challenge memory) {
        return _challenges[digest];
    }

    /// @notice What an agent is due and has not collected, base units.
    function compensationOf(address registry, uint256 agentId) external view returns (uint256) {
        return _compensation[registry][agentId];
    }

    /// @notice What a challenger is due and has not taken, base units.
    function refundOf(address challenger) external view returns (uint256) {
        return _refunds[challenger];
    }

    /// @notice Whether heads of the log signed by `key` count here now.
    function headKeyCounts(bytes32 logId, address key) public view returns (bool) {
        if (key == address(0)) return false;
        return block.timestamp <= _headKeyUntil[logId][key] || key == anchor.logOf(logId).headKey;
    }

    /// @notice Whether receipts of the log signed by `key` count here now: it was ever registered on the anchor, and has
    /// not lapsed. The entries that its span there covers do not matter, for a receipt does not say where it stands.
    function receiptKeyCounts(bytes32 logId, address key) public view returns (bool) {
        (,, bool known) = anchor.receiptKey(logId, key);
        uint64 until = _retiredKeyUntil[logId][key];
        return known && (until == 0 || block.timestamp <= until);
    }

    /// @notice Whether a penalty was taken for two receipts in a place ({placeOf}).
    function receiptsPunished(bytes32 place) external view returns (bool) {
        return _punished[keccak256(abi.encode("two receipts", place))];
    }

    /// @notice Whether a penalty was taken for a contradicted head of this size.
    function headPunished(bytes32 logId, uint64 size) external view returns (bool) {
        return _punished[keccak256(abi.encode("contradicted head", logId, size))];
    }

    /// @notice A receipt's EIP-712 digest.
    function receiptDigest(Receipt calldata receipt) external pure returns (bytes32) {
        return ReceiptDigest.digestOf(receipt);
    }

    /// @notice `keccak256(abi.encode(logId, chainId, vault, registry, agentId, sequence))`.
    function placeOf(Receipt calldata receipt) external pure returns (bytes32) {
        return ReceiptDigest.placeOf(receipt);
    }

    // ----------------------------------------------------------------------------------------------------------- private

    /// @dev The digest of a receipt that a key of its log signed.
    function _checkReceipt(SignedReceipt calldata signed) private view returns (bytes32 digest) {
        digest = ReceiptDigest.digestOf(signed.receipt);
        // An error leaves the zero address, which is never a receipt key.
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signed.signature);
        if (!receiptKeyCounts(signed.receipt.logId, signer)) revert NotAReceiptKey(signer);
    }

    function _checkHead(bytes32 logId, SignedHead calldata head) private view {
        bytes32 digest = anchor.headDigest(logId, head.size, head.root);
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, head.signature);
        if (!headKeyCounts(logId, signer)) revert NotAHeadKey(signer);
    }

    /// @dev With both sizes signed, a valid proof fixes the root: every hash in it that makes the old root makes the new one
    /// as well. So if the tree of the later head begins with `root`, it begins with no other.
    function _contradict(
        bytes32 logId,
        SignedHead calldata earlier,
        uint64 laterSize,
        bytes32 laterRoot,
        bytes32 root,
        bytes32[] calldata proof
    ) private {
        _checkHead(logId, earlier);
        if (earlier.size > laterSize) revert WrongOrder();
        if (!MerkleTree.extends(earlier.size, root, laterSize, laterRoot, proof)) revert NotTheRoot();
        if (root == earlier.root) revert NoContradiction();
        _punishOnce(keccak256(abi.encode("contradicted head", logId, earlier.size)));
        emit ContradictedHead(logId, earlier.size, earlier.root, root);
        _slash(logId, address(0), 0);
    }

    function _punishOnce(bytes32 offence) private {
        if (_punished[offence]) revert AlreadyPunished();
        _punished[offence] = true;
    }

    /// @dev The registry whose owner of the agent can be asked here, or zero.
    function _registryHere(Receipt calldata receipt) private view returns (address) {
        return receipt.chainId == block.chainid ? receipt.registry : address(0);
    }

    /// @param registry of the agent that is paid; zero for none
    function _slash(bytes32 logId, address registry, uint256 agentId) private {
        Bond storage held = _bonds[logId];
        uint256 amount = _min(penalty, held.amount);
        if (amount == 0) revert NoBond(logId);
        held.amount -= amount;
        uint256 toAgent = registry == address(0) ? 0 : amount / 2;
        if (toAgent != 0) _compensation[registry][agentId] += toAgent;
        emit Slashed(logId, amount, registry, agentId, toAgent);
    }

    function _openChallenge(bytes32 digest) private view returns (Challenge storage open) {
        open = _challenges[digest];
        if (open.state != ChallengeState.Open) revert NoOpenChallenge();
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed();
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
