// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AgentVault} from "../src/AgentVault.sol";
import {FalseToken, FeeToken, HookToken, PlainToken, SilentToken} from "./Tokens.sol";
import {Stage} from "./Stage.sol";
import {Vm} from "./Vm.sol";

/// @dev Takes money and tries to take it again.
contract Reentrant {
    AgentVault private immutable vault;
    address private immutable registry;
    uint256 private immutable agent;
    uint256 public refused;

    constructor(AgentVault vault_, address registry_, uint256 agent_) {
        (vault, registry, agent) = (vault_, registry_, agent_);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC721Received.selector;
    }

    function start(uint256 amount) external {
        vault.startWithdrawal(registry, agent, amount, address(this));
    }

    function complete() external {
        vault.completeWithdrawal(registry, agent);
    }

    receive() external payable {
        try vault.completeWithdrawal(registry, agent) {}
        catch {
            ++refused;
        }
        try vault.deposit{value: 1}(registry, agent, 1) {}
        catch {
            ++refused;
        }
        try vault.collect() {}
        catch {
            ++refused;
        }
    }
}

/// @dev A registry that answers whatever bytes it was given.
contract Babbler {
    bytes private answer;
    bool private failing;

    function say(bytes calldata answer_, bool failing_) external {
        (answer, failing) = (answer_, failing_);
    }

    fallback() external {
        bytes memory out = answer;
        bool bad = failing;
        assembly {
            if bad { revert(add(out, 0x20), mload(out)) }
            return(add(out, 0x20), mload(out))
        }
    }
}

/// @dev Each test is somebody trying to get what is not his.
contract AgentVaultAttacks is Stage {
    // ----------------------------------------------------------------------------- the agent cheats the operator

    function test_spend_then_sell_the_agent() public {
        fund(10);
        vm.prank(alice);
        registry.transferFrom(alice, bob, agent);
        eq(settle(voucher(0, 10, 10)), AgentVault.ClaimStatus.Paid, "still payable");
    }

    function test_spend_then_change_the_spender() public {
        fund(10);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        later(DELAY - 1);
        eq(settle(voucher(0, 10, 10)), AgentVault.ClaimStatus.Paid, "payable for the whole delay");
    }

    function test_spend_then_sell_and_let_the_buyer_change_the_spender() public {
        fund(10);
        vm.prank(alice);
        registry.transferFrom(alice, bob, agent);
        vm.prank(bob);
        vault.setSpender(address(registry), agent, other);
        later(DELAY - 1);
        eq(settle(voucher(0, 10, 10)), AgentVault.ClaimStatus.Paid, "payable for the whole delay");
    }

    function test_spend_then_withdraw_and_go_silent() public {
        fund(10);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        later(DELAY - 1);
        eq(settle(voucher(0, 8, 8)), AgentVault.ClaimStatus.Paid, "payable for the whole delay");
        later(1);
        uint256 before = alice.balance;
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        eq(alice.balance - before, 2, "only what was left");
    }

    function test_a_small_old_withdrawal_is_not_raised_when_it_is_due() public {
        fund(10);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 1, alice);
        later(DELAY);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + DELAY));
        vault.completeWithdrawal(address(registry), agent);
    }

    function test_a_spender_that_gets_code_later_stays_what_it_was() public {
        fund(10);
        vm.etch(spender, hex"ef01000000000000000000000000000000000000000001");
        eq(settle(voucher(0, 10, 10)), AgentVault.ClaimStatus.Paid, "EIP-7702 changes nothing");
    }

    // -------------------------------------------------------------------------- the operator cheats the agent

    function test_an_old_voucher_does_not_bite_a_new_deposit() public {
        fund(10);
        AgentVault.Claim memory old = voucher(0, 1000, 1000);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        deposit(500);
        eq(settle(old), AgentVault.ClaimStatus.WrongEpoch, "void");
    }

    function test_a_voucher_of_another_vault_chain_or_registry_is_worth_nothing() public {
        fund(10);
        AgentVault second = openVault(address(0));
        eq(settle(voucher(second, SPENDER_KEY, agent, 0, 5, 5)), AgentVault.ClaimStatus.BadSignature, "vault");
        vm.chainId(5);
        AgentVault.Claim memory elsewhere = voucher(0, 5, 5);
        vm.chainId(31337);
        eq(settle(elsewhere), AgentVault.ClaimStatus.BadSignature, "chain");
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](1);
        claims[0] = voucher(0, 5, 5);
        vm.prank(OPERATOR);
        eq(vault.settle(address(0xdead), claims)[0], AgentVault.ClaimStatus.NoSpender, "registry");
        eq(settle(claims[0]), AgentVault.ClaimStatus.Paid, "and here it is good");
    }

    function test_a_signature_is_taken_in_one_form_only() public {
        fund(10);
        AgentVault.Claim memory claim = voucher(0, 5, 5);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        uint256 s = uint256(claim.vs) & (type(uint256).max >> 1);
        uint256 parity = uint256(claim.vs) >> 255;

        // The high-s twin does not fit 255 bits; what of it does is refused too.
        claim.vs = bytes32((parity ^ 1) << 255 | ((order - s) & (type(uint256).max >> 1)));
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "high s");
        claim.vs = bytes32((parity ^ 1) << 255 | s);
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "other parity");
        claim.vs = bytes32(uint256(1) << 255);
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "s zero");
        claim.vs = bytes32(parity << 255 | s);
        bytes32 r = claim.r;
        claim.r = bytes32(order);
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "r too large: ecrecover answers nothing");
        claim.r = 0;
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "r zero");
        claim.r = r;
        eq(settle(claim), AgentVault.ClaimStatus.Paid, "as it was");
    }

    /// @dev The largest s there may be, and the next one. Signatures with a chosen s are made backwards: with the nonce 1, r
    /// is the generator's x, and the key that would sign so follows from s.
    function test_the_bound_of_s_is_half_the_order() public {
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        uint256 gx = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
        fund(10);
        for (uint256 over = 0; over < 2; ++over) {
            uint64 epoch = uint64(over + 1);
            uint256 s = order / 2 + over;
            uint256 z = uint256(vault.voucherDigest(address(registry), agent, epoch, 5 + over)) % order;
            uint256 key = mulmod(addmod(s, order - z, order), inverse(gx, order), order);
            vm.prank(alice);
            vault.setSpender(address(registry), agent, vm.addr(key));
            later(DELAY);
            vault.completeSpenderChange(address(registry), agent);
            AgentVault.Claim memory claim = AgentVault.Claim(agent, epoch, 5 + over, 5 + over, bytes32(gx), bytes32(s));
            eq(
                settle(claim),
                over == 0 ? AgentVault.ClaimStatus.Paid : AgentVault.ClaimStatus.BadSignature,
                "half the order, or one more"
            );
            eq(
                ecrecover(vault.voucherDigest(address(registry), agent, epoch, 5 + over), 27, bytes32(gx), bytes32(s)),
                vm.addr(key),
                "a signature it is"
            );
        }
    }

    function inverse(uint256 x, uint256 modulus) private view returns (uint256) {
        (, bytes memory out) = address(5).staticcall(abi.encode(32, 32, 32, x, modulus - 2, modulus));
        return abi.decode(out, (uint256));
    }

    /// @dev ecrecover answers nothing to a bad signature, and then the word it would have written to is what it was.
    function test_no_agent_id_stands_in_for_a_signature() public {
        uint256 id = agent;
        fund(10);
        vm.prank(alice);
        vault.setSpender(address(registry), id, address(uint160(id)));
        later(DELAY);
        vault.completeSpenderChange(address(registry), id);
        AgentVault.Claim memory claim = AgentVault.Claim(id, 1, 5, 5, bytes32(0), bytes32(uint256(1)));
        eq(settle(claim), AgentVault.ClaimStatus.BadSignature, "agentId equals spender");
    }

    function test_bits_beyond_a_field_make_the_row_wrong_and_not_the_batch() public {
        fund(10);
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](2);
        claims[0] = voucher(0, 5, 5);
        claims[1] = voucher(0, 6, 6);
        bytes memory call = abi.encodeCall(AgentVault.settle, (address(registry), claims));
        // selector, registry, offset, length, agentId: then the first row's epoch
        uint256 epochAt = 4 + 32 * 4;
        call[epochAt] = 0x01;
        vm.prank(OPERATOR);
        (bool done, bytes memory answer) = address(vault).call(call);
        yes(done, "settled");
        AgentVault.ClaimStatus[] memory statuses = abi.decode(answer, (AgentVault.ClaimStatus[]));
        eq(statuses[0], AgentVault.ClaimStatus.WrongEpoch, "first");
        eq(statuses[1], AgentVault.ClaimStatus.Paid, "second");
    }

    function test_one_bad_row_does_not_spoil_the_batch() public {
        fund(100);
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](9);
        claims[0] = voucher(0, 10, 10);
        claims[1] = voucher(vault, OTHER_KEY, agent, 0, 20, 20);
        claims[2] = voucher(3, 20, 20);
        claims[3] = voucher(0, 20, 21);
        claims[4] = voucher(vault, SPENDER_KEY, 999, 0, 20, 20);
        claims[5] = voucher(0, 10, 10);
        claims[6] = voucher(0, 20, 20);
        claims[7] = voucher(0, 500, 500);
        claims[8] = voucher(0, 600, 600);
        vm.recordLogs();
        AgentVault.ClaimStatus[] memory statuses = settle(claims);
        AgentVault.ClaimStatus[9] memory wanted = [
            AgentVault.ClaimStatus.Paid,
            AgentVault.ClaimStatus.BadSignature,
            AgentVault.ClaimStatus.WrongEpoch,
            AgentVault.ClaimStatus.AboveVoucher,
            AgentVault.ClaimStatus.NoSpender,
            AgentVault.ClaimStatus.NothingDue,
            AgentVault.ClaimStatus.Paid,
            AgentVault.ClaimStatus.PaidInPart,
            AgentVault.ClaimStatus.NoFunds
        ];
        for (uint256 i = 0; i < 9; ++i) {
            eq(statuses[i], wanted[i], "row");
        }
        eq(vault.earned(), 100, "earned");
        uint256 rejected = 0;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != AgentVault.ClaimRejected.selector) continue;
            (address registry_,, uint8 reason) = abi.decode(logs[i].data, (address, uint256, uint8));
            eq(registry_, address(registry), "registry");
            eq(reason, uint256(wanted[uint256(logs[i].topics[1])]), "reason");
            ++rejected;
        }
        eq(rejected, 6, "rejected rows");
        eq(logs.length, 10, "three Claimed, one ClaimShort, six ClaimRejected");
    }

    // ------------------------------------------------------------------------------------- strangers and buyers

    function test_a_strangers_wei_touches_nothing() public {
        fund(10);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        AgentVault.AccountView memory before = look();
        later(DELAY);
        vm.prank(bob);
        vault.deposit{value: 1}(address(registry), agent, 1);
        AgentVault.AccountView memory now_ = look();
        eq(now_.withdrawalReadyAt, before.withdrawalReadyAt, "withdrawal timer");
        eq(now_.pendingSpenderAt, before.pendingSpenderAt, "spender timer");
        eq(now_.epoch, before.epoch, "epoch");
        eq(now_.spender, before.spender, "spender");
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
    }

    function test_a_seller_takes_nothing_after_the_sale() public {
        fund(10);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        vm.prank(alice);
        registry.transferFrom(alice, bob, agent);
        later(DELAY);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.StarterNotOwner.selector, alice));
        vault.completeWithdrawal(address(registry), agent);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.StarterNotOwner.selector, alice));
        vault.completeSpenderChange(address(registry), agent);
        // the buyer does not inherit the timer either
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotStarter.selector, bob));
        vault.completeWithdrawal(address(registry), agent);
        vm.prank(bob);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        eq(look().withdrawalReadyAt, block.timestamp + DELAY, "a fresh timer");
        vm.prank(bob);
        vault.setSpender(address(registry), agent, bob);
        eq(look().pendingSpenderAt, block.timestamp + DELAY, "a fresh timer");
    }

    function test_anyone_clears_a_void_withdrawal() public {
        fund(10);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.voidWithdrawal(address(registry), agent);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        vm.expectRevert(AgentVault.NotVoid.selector);
        vault.voidWithdrawal(address(registry), agent);
        vm.prank(alice);
        registry.transferFrom(alice, bob, agent);
        // Until somebody does, it counts: the agent may come back and bring the old timer to life.
        eq(look().withdrawalStarter, alice, "still shown");
        vault.voidWithdrawal(address(registry), agent);
        eq(look().withdrawalStarter, address(0), "cleared");
        vm.prank(bob);
        registry.transferFrom(bob, alice, agent);
        later(DELAY);
        vm.prank(alice);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completeWithdrawal(address(registry), agent);
    }

    function test_the_reentrant_recipient_is_paid_once() public {
        fund(10);
        vm.prank(bob);
        vault.deposit{value: 50}(address(registry), 0, 50); // somebody else's money in the same vault
        eq(settle(voucher(0, 1, 1)), AgentVault.ClaimStatus.Paid, "something to collect");
        Reentrant thief = new Reentrant(vault, address(registry), agent);
        vm.prank(alice);
        registry.transferFrom(alice, address(thief), agent);
        thief.start(6);
        later(DELAY);
        thief.complete();
        eq(address(thief).balance, 6, "once");
        eq(thief.refused(), 3, "every way back in was shut");
        eq(look().withdrawn, 6, "withdrawn");
        eq(address(vault).balance, 54, "the rest is there");
    }

    function test_a_recipient_that_refuses_money_harms_only_its_agent() public {
        fund(10);
        address refusing = address(registry); // takes no money
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, refusing);
        later(DELAY);
        vm.prank(alice);
        vm.expectRevert(AgentVault.TransferFailed.selector);
        vault.completeWithdrawal(address(registry), agent);
        eq(look().epoch, 0, "nothing happened");
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 10, alice);
        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
    }

    // --------------------------------------------------------------------------------------------- odd assets

    function test_erc20_in_and_out() public {
        PlainToken token = new PlainToken();
        vault = openVault(address(token));
        token.mint(alice, 100);
        vm.prank(alice);
        token.approve(address(vault), 100);
        vm.prank(alice);
        vm.expectRevert(AgentVault.WrongValue.selector);
        vault.deposit{value: 1}(address(registry), agent, 100);
        vm.prank(alice);
        vault.deposit(address(registry), agent, 100);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, spender);
        eq(settle(voucher(0, 30, 30)), AgentVault.ClaimStatus.Paid, "paid");
        vault.collect();
        eq(token.balanceOf(PAYEE), 30, "payee");
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 100, bob);
        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        eq(token.balanceOf(bob), 70, "withdrawn");
        eq(token.balanceOf(address(vault)), 0, "empty");
    }

    function test_erc20_with_a_fee_is_credited_with_what_arrived() public {
        FeeToken token = new FeeToken();
        vault = openVault(address(token));
        token.mint(alice, 100);
        vm.prank(alice);
        token.approve(address(vault), 100);
        vm.prank(alice);
        vault.deposit(address(registry), agent, 100);
        eq(look().deposited, 90, "deposited");
        eq(token.balanceOf(address(vault)), 90, "held");
    }

    function test_erc20_that_says_false_deposits_nothing() public {
        FalseToken token = new FalseToken();
        vault = openVault(address(token));
        vm.prank(alice);
        vm.expectRevert();
        vault.deposit(address(registry), agent, 100);
    }

    function test_erc20_that_says_nothing_works() public {
        SilentToken token = new SilentToken();
        vault = openVault(address(token));
        token.mint(alice, 100);
        vm.prank(alice);
        vault.deposit(address(registry), agent, 100);
        eq(look().deposited, 100, "deposited");
    }

    function test_erc20_that_calls_back_is_not_counted_twice() public {
        HookToken token = new HookToken();
        vault = openVault(address(token));
        token.mint(alice, 100);
        token.arm(vault, address(registry), 50);
        vm.prank(alice);
        token.approve(address(vault), 100);
        vm.prank(alice);
        vm.expectRevert();
        vault.deposit(address(registry), agent, 100);
        eq(look().deposited, 0, "nothing");
    }

    function test_erc20_beyond_96_bits_is_refused() public {
        PlainToken token = new PlainToken();
        vault = openVault(address(token));
        token.mint(alice, type(uint256).max);
        vm.prank(alice);
        token.approve(address(vault), type(uint256).max);
        vm.prank(alice);
        vm.expectRevert(AgentVault.AmountTooLarge.selector);
        vault.deposit(address(registry), agent, uint256(1) << 96);
    }

    // ----------------------------------------------------------------------------------------- odd registries

    function test_no_answer_of_a_registry_upsets_the_view() public {
        Babbler babbler = new Babbler();
        address[] memory registries = new address[](1);
        registries[0] = address(babbler);
        AgentVault odd =
            new AgentVault(registries, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "https://gateway.example");
        bytes[6] memory answers = [
            bytes(""),
            hex"01",
            abi.encodePacked(bytes31(uint248(uint160(alice)))),
            abi.encodePacked(bytes31(bytes32(uint256(uint160(alice))))),
            abi.encode(uint256(1) << 160 | uint160(alice)),
            abi.encode(address(0))
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            babbler.say(answers[i], false);
            eq(odd.account(address(babbler), 1).owner, address(0), "not an owner");
            eq(odd.account(address(babbler), 1).wallet, address(0), "not a wallet");
            vm.prank(alice);
            vm.expectRevert(abi.encodeWithSelector(AgentVault.NoSuchAgent.selector, address(babbler), 1));
            odd.deposit{value: 1}(address(babbler), 1, 1);
        }
        babbler.say(abi.encode(alice), true);
        eq(odd.account(address(babbler), 1).owner, address(0), "a revert is no answer, whatever it carries");
        babbler.say(abi.encode(alice, 1, 2), false);
        eq(odd.account(address(babbler), 1).owner, alice, "more bytes than needed do no harm");
    }

    // ------------------------------------------------------------------------------------------------- fuzzed

    /// @dev Whatever stands in a row, it pays only for a signature of the spender, and never more than all three bounds.
    function testFuzz_a_row_pays_only_within_its_bounds(
        uint96 deposited,
        uint64 epoch,
        uint256 ceiling,
        uint256 cumulative,
        uint8 lie
    ) public {
        deposited = uint96(within(deposited, 1, 50 ether));
        fund(deposited);
        if (lie % 4 != 0) epoch = 0;
        if (lie % 8 < 6) ceiling = within(ceiling, 0, 2 * uint256(deposited));
        if (lie % 16 < 14) cumulative = within(cumulative, 0, ceiling);
        AgentVault.Claim memory claim =
            voucher(vault, lie % 5 == 0 ? OTHER_KEY : SPENDER_KEY, agent, epoch, ceiling, cumulative);
        if (lie % 7 == 0) claim.voucherCumulative ^= 1;
        AgentVault.ClaimStatus status = settle(claim);
        uint256 claimed = look().claimed;
        eq(vault.earned(), claimed, "earned is claimed");
        if (status == AgentVault.ClaimStatus.Paid || status == AgentVault.ClaimStatus.PaidInPart) {
            yes(lie % 5 != 0 && lie % 7 != 0 && epoch == 0, "only an honest row");
            yes(cumulative <= ceiling, "within the voucher");
            eq(claimed, cumulative < deposited ? cumulative : deposited, "the smaller of claim and deposit");
        } else {
            eq(claimed, 0, "nothing");
        }
    }

    /// @dev Random bytes for a signature never pay.
    function testFuzz_random_signatures_never_pay(bytes32 r, bytes32 vs, uint96 cumulative) public {
        vm.assume(vs != 0);
        fund(1 ether);
        AgentVault.Claim memory claim = AgentVault.Claim(agent, 0, cumulative, cumulative, r, vs);
        AgentVault.ClaimStatus status = settle(claim);
        yes(status == AgentVault.ClaimStatus.BadSignature || status == AgentVault.ClaimStatus.NothingDue, "refused");
        eq(look().claimed, 0, "nothing");
    }
}
