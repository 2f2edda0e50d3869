// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title AgentVault: what agents deposited, and what their vouchers allow an operator to take of it
/// @notice One balance per (identity registry, agentId). Anyone may add to it. It leaves in two ways: the operator claims
/// against a voucher that the agent's *spender* signed, or the agent's owner withdraws after a delay. Amounts are in base
/// units of the vault's one asset.
///
/// @dev What holds at all times, for each account and for the vault:
///
///  - `claimed + withdrawn <= deposited`, and the vault holds at least the sum of what remains plus `earned`.
///  - A claim is at most its voucher's cumulative, in the account's present epoch.
///  - The epoch rises on every completed withdrawal and every completed spender change, and these two take
///    `withdrawalDelay` from their start. So a voucher that was payable stays payable for the whole delay, whatever the
///    agent's owner does meanwhile: sell the agent, change its wallet, its spender, or start to withdraw. Readers off
///    chain must count a pending withdrawal or spender change as pending *whoever owns the agent now*, until it is gone
///    from {account}: one that is void because the agent was sold comes to life again, with its old timer, if the agent
///    goes back to the one who started it.
///  - Neither the operator, nor the admin, nor a pause can stop or slow a withdrawal, or send a deposit anywhere but to
///    the payee, and that only as far as vouchers go.
///
/// The registries are fixed, and trusted by whoever deploys: one that lies about `ownerOf` can give an agent's deposit
/// away, after the delay. Claims call no foreign code at all.
///
/// An ERC-20 that takes a fee on transfer is credited with what arrived. One whose balances change by themselves
/// (rebasing, in whatever direction) is not supported.
contract AgentVault is EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    // ------------------------------------------------------------------------------------------------------------- types

    /// @dev A claim reads the first two slots and writes the first.
    struct Account {
        address spender;
        uint96 claimed;
        // slot 1
        uint96 deposited;
        uint96 withdrawn;
        uint64 epoch;
        // slots 2 and 3: a spender change under way; none if proposer is zero
        address pendingSpender;
        uint64 pendingSpenderAt;
        address pendingSpenderProposer;
        // slots 4 and 5: a withdrawal under way; none if starter is zero
        address withdrawalStarter;
        uint64 withdrawalReadyAt;
        address withdrawalRecipient;
        uint96 withdrawalAmount;
        // slot 6: what the spender authorised by transaction; counts only in its own epoch
        uint96 authorized;
        uint64 authorizedEpoch;
    }

    /// @notice One row of {settle}. Of fixed size, so that no row can break the decoding of the others.
    /// @param agentId the agent
    /// @param epoch the voucher's epoch
    /// @param voucherCumulative the voucher's cumulative
    /// @param cumulative what the operator asks to have been paid in total, at most voucherCumulative
    /// @param r the signature's r
    /// @param vs the signature's s, with `v - 27` in the highest bit (EIP-2098). Zero: there is no signature, take what the
    /// spender authorised by {authorize}
    struct Claim {
        uint256 agentId;
        uint64 epoch;
        uint256 voucherCumulative;
        uint256 cumulative;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice What became of a row. `Paid` and `PaidInPart` moved money, all others did nothing.
    enum ClaimStatus {
        Paid, // 0: paid up to the row's cumulative
        PaidInPart, // 1: the deposit ended first; what there was is paid
        NothingDue, // 2: this much has already been paid
        NoFunds, // 3: something is due, and nothing is left of the deposit
        WrongEpoch, // 4: the voucher is not of the account's present epoch
        BadSignature, // 5: not a low-s signature of the account's spender over this voucher
        AboveVoucher, // 6: asks for more than the voucher says
        NotAuthorized, // 7: no signature, and the spender authorised less than voucherCumulative in this epoch
        NoSpender // 8: nobody can sign for this account: unknown, or its spender was revoked
    }

    /// @notice All there is to know about an account, at one block.
    /// @param blockNumber the block that answered
    /// @param blockTime its timestamp, Unix seconds
    /// @param owner `ownerOf`, or zero where that reverts (no such agent) or the registry is not served
    /// @param wallet `getAgentWallet`, or zero likewise
    /// @param ownerHasCode whether there is code at owner
    /// @param walletHasCode whether there is code at wallet
    /// @param spender whose vouchers are paid; zero for nobody's
    /// @param pendingSpender who becomes spender (zero: a revocation)
    /// @param pendingSpenderAt when, Unix seconds; zero: no change is pending
    /// @param epoch which vouchers count
    /// @param deposited all that ever came in
    /// @param claimed all that was ever claimed
    /// @param withdrawn all that was ever withdrawn
    /// @param withdrawalStarter who started the pending withdrawal; zero: none is pending
    /// @param withdrawalRecipient where it goes
    /// @param withdrawalAmount at most this much
    /// @param withdrawalReadyAt when, Unix seconds
    /// @param authorized cumulative that the spender authorised by transaction in this epoch
    struct AccountView {
        uint256 blockNumber;
        uint256 blockTime;
        address owner;
        address wallet;
        bool ownerHasCode;
        bool walletHasCode;
        address spender;
        address pendingSpender;
        uint64 pendingSpenderAt;
        uint64 epoch;
        uint256 deposited;
        uint256 claimed;
        uint256 withdrawn;
        address withdrawalStarter;
        address withdrawalRecipient;
        uint256 withdrawalAmount;
        uint64 withdrawalReadyAt;
        uint256 authorized;
    }

    // --------------------------------------------------------------------------------------------------------- constants

    /// @notice What a spender signs (protocol, section 3).
    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address registry,uint256 agentId,uint64 epoch,uint256 cumulative)");

    /// @notice The most registries a vault serves.
    uint256 public constant MAX_REGISTRIES = 8;

    /// @notice The longest withdrawal delay, seconds: a deposit can always be had back within it.
    uint64 public constant MAX_WITHDRAWAL_DELAY = 30 days;

    /// @dev Claimed.selector, written out because assembly takes only numbers.
    uint256 private constant CLAIMED_TOPIC = 0x9cdcf2f7714cca3508c7f0110b04a90a80a3a8dd0e35de99689db74d28c5383e;

    /// @dev Half of secp256k1's order: a signature with a larger s has a twin, and is refused.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @dev ERC-8004's `getAgentWallet(uint256)`.
    bytes4 private constant GET_AGENT_WALLET = bytes4(keccak256("getAgentWallet(uint256)"));

    /// @notice What deposits are in: an ERC-20, or the zero address for the chain's native asset.
    address public immutable asset;

    /// @notice Seconds between the start and the end of a withdrawal, a spender change, a payee change.
    uint64 public immutable withdrawalDelay;

    // ------------------------------------------------------------------------------------------------------------- state

    /// @notice The hot key that may {settle}. It can cause payments to the payee, and nothing else.
    address public operator;
    /// @dev In the operator's slot, which every settlement reads anyway. It fits: a deposit that would let the vault hold
    /// more than 2^96 - 1 is refused, and `earned` is a part of what the vault holds.
    uint96 private _earned;

    /// @notice Where {collect} sends what was earned.
    address public payee;
    /// @notice Whether deposits and settlements are stopped. Withdrawals never are.
    bool public paused;

    /// @notice The cold key: operator, payee (after the delay), pause. No power over deposits.
    address public admin;
    /// @notice Who was offered the admin's place, or zero.
    address public pendingAdmin;
    /// @notice The next payee, or zero.
    address public pendingPayee;
    /// @notice When the next payee may be made payee, Unix seconds; zero when there is none.
    uint64 public pendingPayeeAt;

    /// @notice The one gateway this vault belongs to, as an origin (`https://…`). Vouchers of one gateway are never good
    /// at another, because no two share a vault.
    string public gatewayOrigin;

    address[] private _registries;
    mapping(address registry => bool) private _served;
    mapping(address registry => mapping(uint256 agentId => Account)) private _accounts;

    // ------------------------------------------------------------------------------------------------------------ events

    /// @notice `amount` arrived for the agent; `deposited` is the new total.
    event Deposited(
        address indexed registry, uint256 indexed agentId, address indexed from, uint256 amount, uint256 deposited
    );
    /// @notice `spender` will be the agent's spender (zero: none) if this is completed at or after `readyAt`.
    event SpenderChangeStarted(
        address indexed registry, uint256 indexed agentId, address indexed spender, address proposer, uint64 readyAt
    );
    /// @notice The pending spender change is gone.
    event SpenderChangeCancelled(address indexed registry, uint256 indexed agentId);
    /// @notice `spender` is the agent's spender from now on (zero: nobody), in `epoch`.
    event SpenderChanged(address indexed registry, uint256 indexed agentId, address indexed spender, uint64 epoch);
    /// @notice The spender authorised `cumulative` by its own transaction.
    event Authorized(
        address indexed registry, uint256 indexed agentId, address indexed spender, uint64 epoch, uint256 cumulative
    );
    /// @notice A claim paid `amount`; `cumulative` is all that was ever claimed of this account, this included.
    /// @dev One per claim, so it says what a reader cannot know otherwise and no more: the epoch is the one that the last
    /// {WithdrawalCompleted} or {SpenderChanged} of the account named.
    event Claimed(address registry, uint256 indexed agentId, uint256 amount, uint256 cumulative);
    /// @notice Row `index` was paid (see its {Claimed}), but for `missing`, because the deposit ended first.
    event ClaimShort(uint256 indexed index, address registry, uint256 agentId, uint256 missing);
    /// @notice Row `index` of the settlement did nothing. `reason` is a {ClaimStatus}.
    event ClaimRejected(uint256 indexed index, address registry, uint256 agentId, uint8 reason);
    /// @notice What was earned went to the payee.
    event Collected(address indexed payee, uint256 amount);
    /// @notice At or after `readyAt`, `starter` may have at most `amount` sent to `recipient`. Also when one is replaced.
    event WithdrawalStarted(
        address indexed registry,
        uint256 indexed agentId,
        address indexed starter,
        address recipient,
        uint256 amount,
        uint64 readyAt
    );
    /// @notice `amount` went to `recipient`; the account is in `epoch` now.
    event WithdrawalCompleted(
        address indexed registry, uint256 indexed agentId, address indexed recipient, uint256 amount, uint64 epoch
    );
    /// @notice The agent's owner gave the pending withdrawal up.
    event WithdrawalCancelled(address indexed registry, uint256 indexed agentId);
    /// @notice The pending withdrawal was removed: its starter did not own the agent any more.
    event WithdrawalVoided(address indexed registry, uint256 indexed agentId);
    event OperatorChanged(address indexed previousOperator, address indexed operator);
    event PayeeChangeStarted(address indexed payee, uint64 readyAt);
    event PayeeChangeCancelled(address indexed payee);
    event PayeeChanged(address indexed previousPayee, address indexed payee);
    /// @notice `pendingAdmin` may take the admin's place (zero: nobody any more).
    event AdminOffered(address indexed admin, address indexed pendingAdmin);
    event AdminChanged(address indexed previousAdmin, address indexed admin);
    event Paused();
    event Unpaused();

    // ------------------------------------------------------------------------------------------------------------ errors

    error ZeroAddress();
    error ZeroAmount();
    error NoRegistries();
    error TooManyRegistries();
    error DuplicateRegistry(address registry);
    error NotAContract(address account);
    error BadWithdrawalDelay();
    error EmptyOrigin();
    error RegistryNotServed(address registry);
    /// @notice The registry knows no owner of this agent.
    error NoSuchAgent(address registry, uint256 agentId);
    /// @notice The value sent is not the amount (native), or is not zero (ERC-20).
    error WrongValue();
    /// @notice Above 2^96 - 1, alone or together with what the vault holds.
    error AmountTooLarge();
    error IsPaused();
    error NotOperator(address caller);
    error NotAdmin(address caller);
    error NotPendingAdmin(address caller);
    error NotAgentOwner(address caller);
    error NotSpender(address caller);
    error WrongEpoch(uint64 epoch);
    error AuthorizationLowered(uint256 authorized);
    /// @notice There is no spender to revoke.
    error NoSpenderSet();
    /// @notice No such change or withdrawal is pending.
    error NothingPending();
    error NotReady(uint64 readyAt);
    /// @notice Whoever started this does not own the agent any more.
    error StarterNotOwner(address starter);
    error NotStarter(address caller);
    /// @notice The starter still owns the agent, so this withdrawal is not void.
    error NotVoid();
    error TransferFailed();

    // ------------------------------------------------------------------------------------------------------- constructor

    /// @param registries_ the identity registries this vault serves, for ever: one to eight, no duplicates
    /// @param asset_ an ERC-20, or the zero address for the native asset
    /// @param admin_ the cold key
    /// @param operator_ the hot key that settles
    /// @param payee_ where earnings go
    /// @param withdrawalDelay_ seconds, 1 to {MAX_WITHDRAWAL_DELAY}
    /// @param gatewayOrigin_ the one gateway this vault belongs to
    constructor(
        address[] memory registries_,
        address asset_,
        address admin_,
        address operator_,
        address payee_,
        uint64 withdrawalDelay_,
        string memory gatewayOrigin_
    ) EIP712("tallystick AgentVault", "1") {
        if (registries_.length == 0) revert NoRegistries();
        if (registries_.length > MAX_REGISTRIES) revert TooManyRegistries();
        if (admin_ == address(0) || operator_ == address(0) || payee_ == address(0)) revert ZeroAddress();
        if (withdrawalDelay_ == 0 || withdrawalDelay_ > MAX_WITHDRAWAL_DELAY) revert BadWithdrawalDelay();
        if (bytes(gatewayOrigin_).length == 0) revert EmptyOrigin();
        if (asset_ != address(0) && asset_.code.length == 0) revert NotAContract(asset_);
        for (uint256 i = 0; i < registries_.length; ++i) {
            address registry = registries_[i];
            if (registry.code.length == 0) revert NotAContract(registry);
            if (_served[registry]) revert DuplicateRegistry(registry);
            _served[registry] = true;
        }
        _registries = registries_;
        asset = asset_;
        admin = admin_;
        operator = operator_;
        payee = payee_;
        withdrawalDelay = withdrawalDelay_;
        gatewayOrigin = gatewayOrigin_;
        emit AdminChanged(address(0), admin_);
        emit OperatorChanged(address(0), operator_);
        emit PayeeChanged(address(0), payee_);
    }

    modifier onlyAdmin() {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
        _;
    }

    modifier whenNotPaused() {
        if (paused) revert IsPaused();
        _;
    }

    modifier onlyAgentOwner(address registry, uint256 agentId) {
        if (msg.sender != _ownerOf(registry, agentId)) revert NotAgentOwner(msg.sender);
        _;
    }

    // ----------------------------------------------------------------------------------------------------------- deposit

    /// @notice Adds to an agent's balance. Anyone, for any agent that exists. Touches no timer, epoch or spender.
    /// @param amount base units: equal to the value sent (native), or taken by `transferFrom` (ERC-20; what arrives counts)
    function deposit(address registry, uint256 agentId, uint256 amount) external payable nonReentrant whenNotPaused {
        _ownerOf(registry, agentId); // reverts unless the agent exists
        uint256 arrived = _take(amount);
        if (arrived == 0) revert ZeroAmount();
        Account storage a = _accounts[registry][agentId];
        // What the vault holds is bounded, but what ever came in is more than that.
        uint256 deposited = a.deposited + arrived;
        if (deposited > type(uint96).max) revert AmountTooLarge();
        a.deposited = uint96(deposited);
        emit Deposited(registry, agentId, msg.sender, arrived, deposited);
    }

    // ----------------------------------------------------------------------------------------------------------- spender

    /// @notice Says who signs vouchers for the agent. Only its owner.
    ///
    /// An agent without a spender gets it at once: no voucher of it is payable, so none can be cut short. In all other
    /// cases the change waits for {completeSpenderChange}, `withdrawalDelay` from now; asking again starts the wait again.
    /// @param spender the next spender; zero revokes the present one
    function setSpender(address registry, uint256 agentId, address spender) external onlyAgentOwner(registry, agentId) {
        Account storage a = _accounts[registry][agentId];
        if (a.spender == address(0)) {
            if (spender == address(0)) revert NoSpenderSet();
            a.spender = spender;
            emit SpenderChanged(registry, agentId, spender, a.epoch);
            return;
        }
        uint64 readyAt = _afterDelay();
        (a.pendingSpender, a.pendingSpenderAt, a.pendingSpenderProposer) = (spender, readyAt, msg.sender);
        emit SpenderChangeStarted(registry, agentId, spender, msg.sender, readyAt);
    }

    /// @notice Carries out a spender change whose time has come, and raises the epoch. Anyone; void if the one who
    /// proposed it does not own the agent any more.
    function completeSpenderChange(address registry, uint256 agentId) external {
        Account storage a = _accounts[registry][agentId];
        (address spender, uint64 readyAt, address proposer) =
            (a.pendingSpender, a.pendingSpenderAt, a.pendingSpenderProposer);
        if (proposer == address(0)) revert NothingPending();
        if (block.timestamp < readyAt) revert NotReady(readyAt);
        if (_ownerOf(registry, agentId) != proposer) revert StarterNotOwner(proposer);
        a.spender = spender;
        uint64 epoch = ++a.epoch;
        _clearSpenderChange(a);
        emit SpenderChanged(registry, agentId, spender, epoch);
    }

    /// @notice Gives up a pending spender change, whoever proposed it. Only the agent's owner.
    function cancelSpenderChange(address registry, uint256 agentId) external onlyAgentOwner(registry, agentId) {
        Account storage a = _accounts[registry][agentId];
        if (a.pendingSpenderProposer == address(0)) revert NothingPending();
        _clearSpenderChange(a);
        emit SpenderChangeCancelled(registry, agentId);
    }

    /// @notice A voucher by transaction instead of by signature: the way of a contract that is spender. Only the spender.
    /// @param epoch the account's present epoch: if it rose in the meantime, this must not bind the new one
    /// @param cumulative as in a voucher; may only rise within an epoch
    function authorize(address registry, uint256 agentId, uint64 epoch, uint256 cumulative) external {
        Account storage a = _accounts[registry][agentId];
        if (msg.sender != a.spender) revert NotSpender(msg.sender);
        if (epoch != a.epoch) revert WrongEpoch(a.epoch);
        if (cumulative > type(uint96).max) revert AmountTooLarge();
        if (a.authorizedEpoch == epoch && cumulative < a.authorized) revert AuthorizationLowered(a.authorized);
        (a.authorized, a.authorizedEpoch) = (uint96(cumulative), epoch);
        emit Authorized(registry, agentId, msg.sender, epoch, cumulative);
    }

    // ------------------------------------------------------------------------------------------------------------ settle

    /// @notice Claims against vouchers of agents of one registry. Only the operator. Moves what is due into `earned`, and
    /// sends nothing. Rows are apart from each other: a bad one is reported and the others are paid.
    ///
    /// A row pays `min(cumulative, deposited - withdrawn) - claimed`.
    /// @dev Calls nothing but the ecrecover precompile: no ERC-1271, no registry, no asset. Rows are of one registry and of
    /// fixed size because calldata is a good part of what a claim costs.
    /// @return what became of each row
    function settle(address registry, Claim[] calldata claims) external whenNotPaused returns (ClaimStatus[] memory) {
        (address operator_, uint256 earned_) = (operator, _earned);
        if (msg.sender != operator_) revert NotOperator(msg.sender);
        // The answer as the ABI lays it out: an offset, the number of rows, a word for each. Encoding an array of enums costs
        // more than filling this in.
        uint256[] memory answer = new uint256[](claims.length + 1);
        bytes memory page = _page(registry);
        (uint256 sum, bool troubled) = _claimRows(page, claims, answer);
        // No overflow: the sum of what accounts hold is bounded by what the vault holds, below 2^96.
        if (sum != 0) _earned = uint96(earned_ + sum);
        if (troubled) _reportRows(registry, claims, answer);
        assembly ("memory-safe") {
            mstore(answer, 0x20)
            mstore(add(answer, 0x20), claims.length)
            return(answer, add(0x40, shl(5, claims.length)))
        }
    }

    /// @notice Sends all that was earned to the payee. Anyone.
    function collect() external nonReentrant {
        uint256 amount = _earned;
        if (amount == 0) revert ZeroAmount();
        _earned = 0;
        address payee_ = payee;
        emit Collected(payee_, amount);
        _send(payee_, amount);
    }

    // -------------------------------------------------------------------------------------------------------- withdrawal

    /// @notice Starts a withdrawal, or replaces the pending one. Only the agent's owner. Amount and recipient are fixed
    /// now; the money goes out by {completeWithdrawal}, `withdrawalDelay` from now. The timer of a pending withdrawal is
    /// kept only if the same owner, for the same recipient, asks for no more than before.
    /// @param amount at most this much, base units; more than there is means all there is
    /// @param recipient where to
    function startWithdrawal(address registry, uint256 agentId, uint256 amount, address recipient)
        external
        onlyAgentOwner(registry, agentId)
    {
        if (amount == 0) revert ZeroAmount();
        if (amount > type(uint96).max) revert AmountTooLarge();
        if (recipient == address(0)) revert ZeroAddress();
        Account storage a = _accounts[registry][agentId];
        bool lowered =
            a.withdrawalStarter == msg.sender && a.withdrawalRecipient == recipient && amount <= a.withdrawalAmount;
        uint64 readyAt = lowered ? a.withdrawalReadyAt : _afterDelay();
        (a.withdrawalStarter, a.withdrawalReadyAt) = (msg.sender, readyAt);
        (a.withdrawalRecipient, a.withdrawalAmount) = (recipient, uint96(amount));
        emit WithdrawalStarted(registry, agentId, msg.sender, recipient, amount, readyAt);
    }

    /// @notice Sends the withdrawal whose time has come: the smaller of its amount and what remains. Raises the epoch.
    /// Only the one who started it, and only while he owns the agent. Nothing else can stop it.
    function completeWithdrawal(address registry, uint256 agentId) external nonReentrant {
        Account storage a = _accounts[registry][agentId];
        (address starter, uint64 readyAt) = (a.withdrawalStarter, a.withdrawalReadyAt);
        if (starter == address(0)) revert NothingPending();
        if (msg.sender != starter) revert NotStarter(msg.sender);
        if (_ownerOf(registry, agentId) != starter) revert StarterNotOwner(starter);
        if (block.timestamp < readyAt) revert NotReady(readyAt);

        (address recipient, uint96 amount) = (a.withdrawalRecipient, a.withdrawalAmount);
        uint96 remaining = a.deposited - a.withdrawn - a.claimed;
        if (amount > remaining) amount = remaining;
        a.withdrawn += amount;
        uint64 epoch = ++a.epoch;
        _clearWithdrawal(a);
        emit WithdrawalCompleted(registry, agentId, recipient, amount, epoch);
        if (amount != 0) _send(recipient, amount);
    }

    /// @notice Gives up the pending withdrawal, whoever started it. Only the agent's owner.
    function cancelWithdrawal(address registry, uint256 agentId) external onlyAgentOwner(registry, agentId) {
        Account storage a = _accounts[registry][agentId];
        if (a.withdrawalStarter == address(0)) revert NothingPending();
        _clearWithdrawal(a);
        emit WithdrawalCancelled(registry, agentId);
    }

    /// @notice Removes a pending withdrawal whose starter does not own the agent any more. Anyone.
    function voidWithdrawal(address registry, uint256 agentId) external {
        Account storage a = _accounts[registry][agentId];
        address starter = a.withdrawalStarter;
        if (starter == address(0)) revert NothingPending();
        if (_ownerOf(registry, agentId) == starter) revert NotVoid();
        _clearWithdrawal(a);
        emit WithdrawalVoided(registry, agentId);
    }

    // ------------------------------------------------------------------------------------------------------------- admin

    /// @notice Exchanges the hot key, at once. Only the admin.
    function setOperator(address operator_) external onlyAdmin {
        if (operator_ == address(0)) revert ZeroAddress();
        emit OperatorChanged(operator, operator_);
        operator = operator_;
    }

    /// @notice Names the next payee; {completePayee} makes it so, `withdrawalDelay` from now. Only the admin. What was
    /// earned until then can be {collect}ed to the present payee by anyone.
    function proposePayee(address payee_) external onlyAdmin {
        if (payee_ == address(0)) revert ZeroAddress();
        uint64 readyAt = _afterDelay();
        (pendingPayee, pendingPayeeAt) = (payee_, readyAt);
        emit PayeeChangeStarted(payee_, readyAt);
    }

    /// @notice Drops the proposed payee. Only the admin.
    function cancelPayee() external onlyAdmin {
        address payee_ = pendingPayee;
        if (payee_ == address(0)) revert NothingPending();
        (pendingPayee, pendingPayeeAt) = (address(0), 0);
        emit PayeeChangeCancelled(payee_);
    }

    /// @notice Makes the proposed payee the payee, once its time has come. Only the admin.
    function completePayee() external onlyAdmin {
        (address payee_, uint64 readyAt) = (pendingPayee, pendingPayeeAt);
        if (payee_ == address(0)) revert NothingPending();
        if (block.timestamp < readyAt) revert NotReady(readyAt);
        emit PayeeChanged(payee, payee_);
        payee = payee_;
        (pendingPayee, pendingPayeeAt) = (address(0), 0);
    }

    /// @notice Offers the admin's place to another address, which has to {acceptAdmin}. Only the admin; zero withdraws it.
    function offerAdmin(address pendingAdmin_) external onlyAdmin {
        pendingAdmin = pendingAdmin_;
        emit AdminOffered(msg.sender, pendingAdmin_);
    }

    /// @notice Takes the admin's place.
    function acceptAdmin() external {
        if (msg.sender != pendingAdmin) revert NotPendingAdmin(msg.sender);
        emit AdminChanged(admin, msg.sender);
        (admin, pendingAdmin) = (msg.sender, address(0));
    }

    /// @notice Stops deposits and settlements. Only the admin. Withdrawals go on, and so do their timers: what is not
    /// settled before they end is the operator's own loss.
    function pause() external onlyAdmin {
        paused = true;
        emit Paused();
    }

    /// @notice Ends a pause. Only the admin.
    function unpause() external onlyAdmin {
        paused = false;
        emit Unpaused();
    }

    // ------------------------------------------------------------------------------------------------------------- views

    /// @notice Everything about an account, read at one block. Does not revert for an agent or registry that is unknown.
    function account(address registry, uint256 agentId) external view returns (AccountView memory) {
        Account storage a = _accounts[registry][agentId];
        bool served = _served[registry];
        (, address owner) = served ? _askAddress(registry, IERC721.ownerOf.selector, agentId) : (false, address(0));
        (, address wallet) = served ? _askAddress(registry, GET_AGENT_WALLET, agentId) : (false, address(0));
        return AccountView({
            blockNumber: block.number,
            blockTime: block.timestamp,
            owner: owner,
            wallet: wallet,
            ownerHasCode: owner.code.length != 0,
            walletHasCode: wallet.code.length != 0,
            spender: a.spender,
            pendingSpender: a.pendingSpender,
            pendingSpenderAt: a.pendingSpenderAt,
            epoch: a.epoch,
            deposited: a.deposited,
            claimed: a.claimed,
            withdrawn: a.withdrawn,
            withdrawalStarter: a.withdrawalStarter,
            withdrawalRecipient: a.withdrawalRecipient,
            withdrawalAmount: a.withdrawalAmount,
            withdrawalReadyAt: a.withdrawalReadyAt,
            authorized: a.authorizedEpoch == a.epoch ? a.authorized : 0
        });
    }

    /// @notice What was claimed and not yet collected, base units.
    function earned() external view returns (uint256) {
        return _earned;
    }

    /// @notice The identity registries this vault serves.
    function registries() external view returns (address[] memory) {
        return _registries;
    }

    /// @notice The EIP-712 digest that a spender signs.
    function voucherDigest(address registry, uint256 agentId, uint64 epoch, uint256 cumulative)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, registry, agentId, epoch, cumulative)));
    }

    /// @notice The EIP-712 domain separator of this vault.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ----------------------------------------------------------------------------------------------------------- private

    /// @dev The memory that the rows of a settlement share, with all in it that does not change from row to row.
    ///
    ///     0x00  the voucher: typehash, registry, agentId, epoch, cumulative (0xa0). Once it is hashed, its end from the
    ///           registry on is reused for the data of {Claimed}: registry, amount, cumulative
    ///     0xa0  what is hashed again: 0x1901, domain separator, hash of the voucher (0x42)
    ///     0x102 what ecrecover is asked: digest, v, r, s (0x80)
    ///     0x182 where the registry's accounts are in storage
    ///     0x1a2 whether a row was not simply paid
    function _page(address registry) private view returns (bytes memory page) {
        page = new bytes(0x1c2);
        mapping(uint256 agentId => Account) storage accounts = _accounts[registry];
        bytes32 typehash = VOUCHER_TYPEHASH;
        bytes32 domain = _domainSeparatorV4();
        assembly ("memory-safe") {
            let at := add(page, 0x20)
            mstore(at, typehash)
            mstore(add(at, 0x20), registry)
            mstore(add(at, 0xa0), shl(240, 0x1901))
            mstore(add(at, 0xa2), domain)
            mstore(add(at, 0x182), accounts.slot)
        }
    }

    /// @dev The rows of a settlement. In assembly because this loop is what the vault costs to run: each slot is read once,
    /// and nothing is written to memory twice.
    ///
    /// For each row: cheap refusals come first, and money moves only after the signature or authorisation was checked. The
    /// comparisons are of whole words, so that bits beyond a field's type make a row wrong and not the batch.
    /// @param answer its elements from the second on become the rows' statuses; they are zero (Paid) now
    /// @return sum what was paid in all
    /// @return troubled whether a row was not simply paid
    function _claimRows(bytes memory page, Claim[] calldata claims, uint256[] memory answer)
        private
        returns (uint256 sum, bool troubled)
    {
        uint256 row;
        uint256 end;
        uint256 status;
        uint256 voucher;
        assembly ("memory-safe") {
            row := claims.offset
            end := add(row, mul(claims.length, 0xc0))
            status := add(answer, 0x40)
            voucher := add(page, 0x20)
        }
        sum = _claimRowsAt(voucher, status, row, end);
        assembly ("memory-safe") {
            troubled := mload(add(voucher, 0x1a2))
        }
    }

    /// @dev The loop of {_claimRows}, apart from it so that the stack has room.
    /// @param voucher the page's first word
    /// @param status where the first row's status goes
    /// @param row where the first row is, in calldata
    /// @param end where the rows end
    function _claimRowsAt(uint256 voucher, uint256 status, uint256 row, uint256 end) private returns (uint256 sum) {
        assembly ("memory-safe") {
            // notes a row that was not simply paid, and that there is one
            function note(voucher_, status_, why) {
                mstore(status_, why)
                mstore(add(voucher_, 0x1a2), 1)
            }
            // why a row that failed one of the first comparisons did so, in order of precedence
            function reason(row_, head_, tail_) -> status_ {
                let cumulative_ := calldataload(add(row_, 0x60))
                status_ := 2 // NothingDue
                if gt(cumulative_, calldataload(add(row_, 0x40))) { status_ := 6 } // AboveVoucher
                if xor(shr(192, tail_), calldataload(add(row_, 0x20))) { status_ := 4 } // WrongEpoch
                if iszero(shl(96, head_)) { status_ := 8 } // NoSpender
            }

            // scratch: the key of a mapping, and its slot for the hash of both
            mstore(0x20, mload(add(voucher, 0x182)))
            for {} lt(row, end) {
                row := add(row, 0xc0)
                status := add(status, 0x20)
            } {
                mstore(0x00, calldataload(row))
                let slot := keccak256(0x00, 0x40)
                let head := sload(slot) // spender, claimed
                let tail := sload(add(slot, 1)) // deposited, withdrawn, epoch
                let cumulative := calldataload(add(row, 0x60))
                // One branch for the row that is as it should be. A spender is needed, the epoch has to be the account's,
                // and claimed < cumulative <= voucherCumulative.
                if or(
                    or(iszero(shl(96, head)), xor(shr(192, tail), calldataload(add(row, 0x20)))),
                    or(gt(cumulative, calldataload(add(row, 0x40))), iszero(gt(cumulative, shr(160, head))))
                ) {
                    note(voucher, status, reason(row, head, tail))
                    continue
                }

                switch calldataload(add(row, 0xa0))
                case 0 {
                    // s is never zero in a signature, so this is none: take what the spender authorised, if in this epoch.
                    let authorized := sload(add(slot, 6))
                    if or(
                        xor(shr(192, tail), and(shr(96, authorized), 0xffffffffffffffff)),
                        gt(calldataload(add(row, 0x40)), and(authorized, 0xffffffffffffffffffffffff))
                    ) {
                        note(voucher, status, 7) // NotAuthorized
                        continue
                    }
                }
                default {
                    calldatacopy(add(voucher, 0x40), row, 0x60)
                    mstore(add(voucher, 0xc2), keccak256(voucher, 0xa0))
                    calldatacopy(add(voucher, 0x142), add(row, 0x80), 0x40)
                    let s := mload(add(voucher, 0x162))
                    mstore(add(voucher, 0x122), add(shr(255, s), 27))
                    s := shr(1, shl(1, s))
                    mstore(add(voucher, 0x162), s)
                    mstore(add(voucher, 0x102), keccak256(add(voucher, 0xa0), 0x42))
                    // The precompile answers nothing to a bad signature; then what stands at 0x00 is the agentId, so it
                    // has to go first: it might be chosen to equal the spender.
                    mstore(0x00, 0)
                    pop(staticcall(gas(), 0x01, add(voucher, 0x102), 0x80, 0x00, 0x20))
                    if or(shl(96, xor(mload(0x00), head)), gt(s, HALF_ORDER)) {
                        note(voucher, status, 5) // BadSignature
                        continue
                    }
                }

                // deposited - withdrawn, never below claimed
                tail := sub(and(tail, 0xffffffffffffffffffffffff), and(shr(96, tail), 0xffffffffffffffffffffffff))
                if gt(cumulative, tail) {
                    cumulative := tail
                    if eq(tail, shr(160, head)) {
                        note(voucher, status, 3) // NoFunds
                        continue
                    }
                    note(voucher, status, 1) // PaidInPart
                }
                let amount := sub(cumulative, shr(160, head))
                sum := add(sum, amount)
                sstore(slot, add(head, shl(160, amount)))
                // its data: the registry, as it stands in the voucher, and over the next two words:
                mstore(add(voucher, 0x40), amount)
                mstore(add(voucher, 0x60), cumulative)
                log2(add(voucher, 0x20), 0x60, CLAIMED_TOPIC, calldataload(row))
            }
        }
    }

    /// @dev The events of rows that were not, or not fully, paid.
    function _reportRows(address registry, Claim[] calldata claims, uint256[] memory answer) private {
        for (uint256 i = 0; i < claims.length; ++i) {
            uint256 status = answer[i + 1];
            uint256 agentId = claims[i].agentId;
            if (status == uint256(ClaimStatus.PaidInPart)) {
                // What the row lacks is what lies beyond the account's total, and that is now claimed to the end.
                emit ClaimShort(i, registry, agentId, claims[i].cumulative - _accounts[registry][agentId].claimed);
            } else if (status != uint256(ClaimStatus.Paid)) {
                emit ClaimRejected(i, registry, agentId, uint8(status));
            }
        }
    }

    function _clearSpenderChange(Account storage a) private {
        (a.pendingSpender, a.pendingSpenderAt, a.pendingSpenderProposer) = (address(0), 0, address(0));
    }

    function _clearWithdrawal(Account storage a) private {
        (a.withdrawalStarter, a.withdrawalReadyAt) = (address(0), 0);
        (a.withdrawalRecipient, a.withdrawalAmount) = (address(0), 0);
    }

    function _afterDelay() private view returns (uint64) {
        return uint64(block.timestamp) + withdrawalDelay;
    }

    /// @dev The agent's owner; reverts where there is none to be had.
    function _ownerOf(address registry, uint256 agentId) private view returns (address owner) {
        if (!_served[registry]) revert RegistryNotServed(registry);
        bool known;
        (known, owner) = _askAddress(registry, IERC721.ownerOf.selector, agentId);
        if (!known || owner == address(0)) revert NoSuchAgent(registry, agentId);
    }

    /// @dev Asks a registry for an address and does not care how badly it answers: a revert, too few bytes, or more bits
    /// than an address has, are all "not known".
    function _askAddress(address registry, bytes4 selector, uint256 agentId)
        private
        view
        returns (bool known, address answer)
    {
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, agentId)
            known := staticcall(gas(), registry, 0x00, 0x24, 0x00, 0x20)
            known := and(known, gt(returndatasize(), 0x1f))
            let word := mload(0x00)
            known := and(known, iszero(shr(160, word)))
            answer := mul(known, word)
        }
    }

    /// @dev Takes a deposit in, and says how much arrived.
    function _take(uint256 amount) private returns (uint256 arrived) {
        uint256 held;
        if (asset == address(0)) {
            if (msg.value != amount) revert WrongValue();
            held = address(this).balance;
            arrived = amount;
        } else {
            if (msg.value != 0) revert WrongValue();
            uint256 before = IERC20(asset).balanceOf(address(this));
            IERC20(asset).safeTransferFrom(msg.sender, address(this), amount);
            held = IERC20(asset).balanceOf(address(this));
            arrived = held - before;
        }
        if (held > type(uint96).max) revert AmountTooLarge();
    }

    function _send(address to, uint256 amount) private {
        if (asset == address(0)) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert TransferFailed();
        } else {
            IERC20(asset).safeTransfer(to, amount);
        }
    }
}
