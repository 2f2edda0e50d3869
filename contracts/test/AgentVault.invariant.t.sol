// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AgentVault} from "../src/AgentVault.sol";
import {Stage} from "./Stage.sol";

/// @dev Everybody around a vault, doing whatever they like in any order: two people who own, sell, deposit, appoint,
/// withdraw and give up; a gateway that takes vouchers and settles; an admin who pauses.
contract Crowd is Stage {
    /// @dev A voucher the gateway took, having looked at the account just before.
    struct Accepted {
        uint256 agentId;
        uint256 at;
        AgentVault.Claim claim;
    }

    uint256 public constant AGENTS = 3;
    uint256[2] private keys = [uint256(0x5A), 0x5B];
    Accepted[] private accepted;

    /// @dev Money counted from outside.
    uint256 public paidIn;
    uint256 public paidOut;
    /// @dev How often each thing really happened, to show that the sequences reach it.
    mapping(bytes32 what => uint256) public happened;
    /// @dev The most that any voucher of an agent ever allowed.
    mapping(uint256 agentId => uint256) public signedFor;
    mapping(uint256 agentId => uint64) private lastEpoch;

    function setUp() public override {
        super.setUp();
        vm.prank(alice);
        registry.register(); // agents 0 (bob), 1 and 2 (alice)
        for (uint256 agentId = 0; agentId < AGENTS; ++agentId) {
            address owner = registry.ownerOf(agentId);
            vm.prank(owner);
            vault.setSpender(address(registry), agentId, vm.addr(keys[0]));
        }
    }

    modifier checked(uint256 seed) {
        _;
        // The epoch never falls, whatever was done.
        uint256 agentId = seed % AGENTS;
        uint64 epoch = see(agentId).epoch;
        yes(epoch >= lastEpoch[agentId], "epoch fell");
        lastEpoch[agentId] = epoch;
    }

    function see(uint256 agentId) public view returns (AgentVault.AccountView memory) {
        return vault.account(address(registry), agentId);
    }

    function theVault() external view returns (AgentVault) {
        return vault;
    }

    // -------------------------------------------------------------------------------------------------------- the people

    function give(uint256 seed, uint96 amount) external checked(seed) {
        if (vault.paused()) return;
        uint256 value = within(amount, 1, 10 ether);
        vm.deal(bob, value);
        vm.prank(bob);
        vault.deposit{value: value}(address(registry), seed % AGENTS, value);
        paidIn += value;
    }

    function sell(uint256 seed) external checked(seed) {
        if (seed % 2 == 0) return;
        uint256 agentId = seed % AGENTS;
        address owner = registry.ownerOf(agentId);
        vm.prank(owner);
        registry.transferFrom(owner, owner == alice ? bob : alice, agentId);
        ++happened["sell"];
    }

    function appoint(uint256 seed, uint256 whom) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        address next = whom % 3 == 2 ? address(0) : vm.addr(keys[whom % 3]);
        if (see(agentId).spender == address(0) && next == address(0)) return;
        address owner = registry.ownerOf(agentId);
        vm.prank(owner);
        vault.setSpender(address(registry), agentId, next);
    }

    function completeAppointment(uint256 seed) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        uint64 readyAt = see(agentId).pendingSpenderAt;
        try vault.completeSpenderChange(address(registry), agentId) {
            yes(readyAt != 0 && block.timestamp >= readyAt, "early, and yet completed");
            ++happened["appointed"];
        } catch {}
    }

    function withdraw(uint256 seed, uint96 amount, bool toBob) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        address owner = registry.ownerOf(agentId);
        vm.prank(owner);
        vault.startWithdrawal(address(registry), agentId, within(amount, 1, 20 ether), toBob ? bob : alice);
    }

    /// @dev A withdrawal whose time has come, started by the one who still owns the agent, goes through: paused or not. No
    /// other does.
    function completeWithdrawal(uint256 seed) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        AgentVault.AccountView memory seen = see(agentId);
        if (seen.withdrawalStarter == address(0)) return;
        if (seen.withdrawalStarter != seen.owner || block.timestamp < seen.withdrawalReadyAt) {
            vm.prank(seen.withdrawalStarter);
            try vault.completeWithdrawal(address(registry), agentId) {
                revert NotTrue("void or early, and yet completed");
            } catch {
                return;
            }
        }
        uint256 remaining = seen.deposited - seen.withdrawn - seen.claimed;
        uint256 due = seen.withdrawalAmount < remaining ? seen.withdrawalAmount : remaining;
        uint256 before = seen.withdrawalRecipient.balance;
        vm.prank(seen.withdrawalStarter);
        vault.completeWithdrawal(address(registry), agentId);
        eq(seen.withdrawalRecipient.balance - before, due, "withdrawn");
        eq(see(agentId).epoch, seen.epoch + 1, "epoch");
        paidOut += due;
        ++happened["withdrawn"];
        if (vault.paused()) ++happened["withdrawn while paused"];
    }

    function cancel(uint256 seed, bool withdrawal) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        AgentVault.AccountView memory seen = see(agentId);
        vm.prank(seen.owner);
        if (withdrawal) {
            try vault.cancelWithdrawal(address(registry), agentId) {} catch {}
        } else {
            try vault.cancelSpenderChange(address(registry), agentId) {} catch {}
        }
    }

    function clear(uint256 seed) external checked(seed) {
        try vault.voidWithdrawal(address(registry), seed % AGENTS) {
            ++happened["voided"];
        } catch {}
    }

    function wait(uint32 duration) external {
        later(within(duration, 1, DELAY + DELAY / 2));
    }

    // ------------------------------------------------------------------------------------------ the gateway and its admin

    /// @dev The gateway's rule: nothing is pending on the account, whoever owns it, and the deposit covers the voucher.
    function accept(uint256 seed, uint96 more, uint256 which) external checked(seed) {
        uint256 agentId = seed % AGENTS;
        AgentVault.AccountView memory seen = see(agentId);
        if (seen.spender == address(0) || seen.withdrawalStarter != address(0) || seen.pendingSpenderAt != 0) return;
        uint256 available = seen.deposited - seen.withdrawn - seen.claimed;
        if (available == 0) return;
        uint256 cumulative = seen.claimed + within(more, 1, available);
        uint256 key = seen.spender == vm.addr(keys[0]) ? keys[0] : keys[1];
        AgentVault.Claim memory claim;
        if (which % 4 == 0) {
            // by transaction, as a contract would
            if (cumulative < seen.authorized) return;
            vm.prank(seen.spender);
            vault.authorize(address(registry), agentId, seen.epoch, cumulative);
            claim = AgentVault.Claim(agentId, seen.epoch, cumulative, cumulative, 0, 0);
        } else {
            claim = voucher(vault, key, agentId, seen.epoch, cumulative, cumulative);
        }
        if (cumulative > signedFor[agentId]) signedFor[agentId] = cumulative;
        accepted.push(Accepted(agentId, block.timestamp, claim));
        ++happened["accepted"];
    }

    /// @dev The operator settles vouchers old and new, asking for as much as it likes, and for more.
    function claim(uint256 which, uint256 ask, uint256 rows) external {
        if (accepted.length == 0 || vault.paused()) return;
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](within(rows, 1, 4));
        uint256[] memory before = new uint256[](AGENTS);
        for (uint256 i = 0; i < AGENTS; ++i) {
            before[i] = see(i).claimed;
        }
        for (uint256 i = 0; i < claims.length; ++i) {
            // mostly recent ones
            uint256 back = (which % 1000 + i) % (which % 5 == 0 ? accepted.length : 3);
            claims[i] = accepted[accepted.length - 1 - back % accepted.length].claim;
            if (ask % 3 != 0) claims[i].cumulative = ask % (claims[i].voucherCumulative * 2);
            if (ask % 7 == 0) claims[i].voucherCumulative += 1;
            if (ask % 11 == 0) claims[i].epoch += 1;
        }
        AgentVault.ClaimStatus[] memory statuses = settle(claims);
        for (uint256 i = 0; i < claims.length; ++i) {
            if (uint256(statuses[i]) > uint256(AgentVault.ClaimStatus.PaidInPart)) continue;
            yes(claims[i].cumulative <= claims[i].voucherCumulative, "above the voucher");
            eq(claims[i].epoch, see(claims[i].agentId).epoch, "another epoch's");
            yes(see(claims[i].agentId).claimed > before[claims[i].agentId], "paid and yet not");
            ++happened["claimed"];
        }
    }

    function collect() external {
        if (vault.earned() == 0) return;
        paidOut += vault.earned();
        vault.collect();
        ++happened["collected"];
    }

    function pause(uint256 mood) external {
        vm.prank(ADMIN);
        mood % 4 == 0 ? vault.pause() : vault.unpause();
    }

    // ---------------------------------------------------------------------------------------------------------- the rule

    /// @dev Every voucher that was accepted less than a delay ago is payable in full, right now.
    function everyFreshVoucherIsPayable() external {
        vm.prank(ADMIN);
        vault.unpause();
        for (uint256 i = 0; i < accepted.length; ++i) {
            Accepted storage a = accepted[i];
            if (block.timestamp >= a.at + DELAY) continue;
            settle(a.claim);
            yes(see(a.agentId).claimed >= a.claim.cumulative, "an accepted voucher went bad within the delay");
        }
        revert Fine();
    }

    error Fine();
}

contract AgentVaultInvariants is Stage {
    Crowd private crowd;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public override {
        crowd = new Crowd();
        crowd.setUp();
        vault = crowd.theVault();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](20);
        selectors[0] = Crowd.give.selector;
        selectors[1] = Crowd.sell.selector;
        selectors[2] = Crowd.appoint.selector;
        selectors[3] = Crowd.completeAppointment.selector;
        selectors[4] = Crowd.withdraw.selector;
        selectors[5] = Crowd.completeWithdrawal.selector;
        selectors[6] = Crowd.cancel.selector;
        selectors[7] = Crowd.clear.selector;
        selectors[8] = Crowd.wait.selector;
        selectors[9] = Crowd.accept.selector;
        selectors[10] = Crowd.accept.selector;
        selectors[11] = Crowd.claim.selector;
        selectors[12] = Crowd.collect.selector;
        selectors[13] = Crowd.pause.selector;
        selectors[14] = Crowd.give.selector;
        selectors[15] = Crowd.completeWithdrawal.selector;
        selectors[16] = Crowd.claim.selector;
        selectors[17] = Crowd.wait.selector;
        selectors[18] = Crowd.completeAppointment.selector;
        selectors[19] = Crowd.appoint.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(crowd), selectors);
    }

    /// @dev The invariants say something only if the crowd gets everywhere: one long fixed sequence.
    function test_the_crowd_gets_everywhere() public {
        uint256 x = 1;
        bytes4[] memory selectors = this.targetSelectors()[0].selectors;
        for (uint256 i = 0; i < 800; ++i) {
            x = uint256(keccak256(abi.encode(x)));
            bytes4 selector = selectors[x % selectors.length];
            // all take at most three words, and each keeps of a word what it can
            (uint256 a, uint256 b, uint256 c) = (x >> 160, uint96(x >> 64), uint64(x));
            if (selector == Crowd.wait.selector) a = uint32(a);
            if (selector == Crowd.cancel.selector) b &= 1;
            if (selector == Crowd.withdraw.selector) c &= 1;
            (bool done,) = address(crowd).call(abi.encodeWithSelector(selector, a, b, c));
            yes(done, "a step");
        }
        bytes32[8] memory what = [
            bytes32("sell"),
            "appointed",
            "withdrawn",
            "withdrawn while paused",
            "voided",
            "accepted",
            "claimed",
            "collected"
        ];
        for (uint256 i = 0; i < what.length; ++i) {
            yes(crowd.happened(what[i]) != 0, string(abi.encodePacked(what[i])));
        }
        invariant_solvent();
        invariant_no_claim_above_what_was_signed();
        invariant_accepted_vouchers_stay_payable_for_the_delay();
    }

    /// @dev What the vault holds is what accounts have left and what is earned, to the last unit.
    function invariant_solvent() public view {
        uint256 owed = vault.earned();
        for (uint256 i = 0; i < crowd.AGENTS(); ++i) {
            AgentVault.AccountView memory seen = crowd.see(i);
            yes(seen.claimed + seen.withdrawn <= seen.deposited, "more went out than came in");
            owed += seen.deposited - seen.claimed - seen.withdrawn;
        }
        eq(address(vault).balance, owed, "balance");
        eq(address(vault).balance, crowd.paidIn() - crowd.paidOut(), "balance, counted from outside");
    }

    function invariant_no_claim_above_what_was_signed() public view {
        for (uint256 i = 0; i < crowd.AGENTS(); ++i) {
            yes(crowd.see(i).claimed <= crowd.signedFor(i), "claimed");
        }
    }

    function invariant_accepted_vouchers_stay_payable_for_the_delay() public {
        try crowd.everyFreshVoucherIsPayable() {
            revert NotTrue("unreachable");
        } catch (bytes memory reason) {
            eq(bytes32(bytes4(reason)), bytes32(Crowd.Fine.selector), "payable");
        }
    }
}
