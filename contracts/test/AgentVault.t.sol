// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AgentVault} from "../src/AgentVault.sol";
import {Stage} from "./Stage.sol";

/// @dev What the vault does for those who use it as meant, and who may do what.
contract AgentVaultTest is Stage {
    // ----------------------------------------------------------------------------------------------------------- opening

    function test_says_what_it_was_opened_with() public view {
        eq(vault.registries().length, 1, "registries");
        eq(vault.registries()[0], address(registry), "registry");
        eq(vault.asset(), address(0), "asset");
        eq(vault.admin(), ADMIN, "admin");
        eq(vault.operator(), OPERATOR, "operator");
        eq(vault.payee(), PAYEE, "payee");
        eq(vault.withdrawalDelay(), DELAY, "delay");
        eq(keccak256(bytes(vault.gatewayOrigin())), keccak256("https://gateway.example"), "origin");
        eq(vault.earned(), 0, "earned");
    }

    function test_opens_only_with_sound_arguments() public {
        address[] memory one = new address[](1);
        one[0] = address(registry);
        address[] memory none = new address[](0);
        address[] memory nine = new address[](9);
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (address(registry), address(registry));
        address[] memory empty = new address[](1);

        refuses(none, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "o", AgentVault.NoRegistries.selector);
        refuses(nine, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "o", AgentVault.TooManyRegistries.selector);
        refuses(twice, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "o", AgentVault.DuplicateRegistry.selector);
        refuses(empty, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "o", AgentVault.NotAContract.selector);
        refuses(one, alice, ADMIN, OPERATOR, PAYEE, DELAY, "o", AgentVault.NotAContract.selector);
        refuses(one, address(0), address(0), OPERATOR, PAYEE, DELAY, "o", AgentVault.ZeroAddress.selector);
        refuses(one, address(0), ADMIN, address(0), PAYEE, DELAY, "o", AgentVault.ZeroAddress.selector);
        refuses(one, address(0), ADMIN, OPERATOR, address(0), DELAY, "o", AgentVault.ZeroAddress.selector);
        refuses(one, address(0), ADMIN, OPERATOR, PAYEE, 0, "o", AgentVault.BadWithdrawalDelay.selector);
        refuses(one, address(0), ADMIN, OPERATOR, PAYEE, 30 days + 1, "o", AgentVault.BadWithdrawalDelay.selector);
        refuses(one, address(0), ADMIN, OPERATOR, PAYEE, DELAY, "", AgentVault.EmptyOrigin.selector);
    }

    function refuses(
        address[] memory registries,
        address asset,
        address admin,
        address operator,
        address payee,
        uint64 delay,
        string memory origin,
        bytes4 wanted
    ) private {
        try new AgentVault(registries, asset, admin, operator, payee, delay, origin) {
            revert NotTrue("refused");
        } catch (bytes memory reason) {
            eq(bytes32(bytes4(reason)), bytes32(wanted), "error");
        }
    }

    function test_the_voucher_is_the_protocols() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("tallystick AgentVault"),
                keccak256("1"),
                block.chainid,
                address(vault)
            )
        );
        eq(vault.domainSeparator(), domain, "domain");
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Voucher(address registry,uint256 agentId,uint64 epoch,uint256 cumulative)"),
                address(registry),
                uint256(7),
                uint64(3),
                uint256(99)
            )
        );
        eq(
            vault.voucherDigest(address(registry), 7, 3, 99),
            keccak256(abi.encodePacked(hex"1901", domain, message)),
            "digest"
        );
    }

    // ----------------------------------------------------------------------------------------------------------- deposit

    function test_anyone_deposits_for_any_agent() public {
        vm.expectEmit(address(vault));
        emit AgentVault.Deposited(address(registry), agent, bob, 3 ether, 3 ether);
        vm.prank(bob);
        vault.deposit{value: 3 ether}(address(registry), agent, 3 ether);
        eq(look().deposited, 3 ether, "deposited");
        eq(address(vault).balance, 3 ether, "balance");
    }

    function test_deposit_wants_an_agent_its_registry_and_the_amount() public {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NoSuchAgent.selector, address(registry), 77));
        vault.deposit{value: 1}(address(registry), 77, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.RegistryNotServed.selector, address(0xdead)));
        vault.deposit{value: 1}(address(0xdead), agent, 1);
        vm.prank(alice);
        vm.expectRevert(AgentVault.WrongValue.selector);
        vault.deposit{value: 2}(address(registry), agent, 1);
        vm.prank(alice);
        vm.expectRevert(AgentVault.ZeroAmount.selector);
        vault.deposit(address(registry), agent, 0);
    }

    function test_the_vault_never_holds_more_than_96_bits() public {
        uint256 most = type(uint96).max;
        vm.deal(alice, most + 1);
        vm.prank(alice);
        vault.deposit{value: most}(address(registry), agent, most);
        vm.prank(alice);
        vm.expectRevert(AgentVault.AmountTooLarge.selector);
        vault.deposit{value: 1}(address(registry), agent, 1);
        vm.prank(alice);
        vm.expectRevert(AgentVault.AmountTooLarge.selector);
        vault.deposit{value: 1}(address(registry), 0, 1);
    }

    // ----------------------------------------------------------------------------------------------------------- spender

    function test_the_first_spender_counts_at_once() public {
        vm.expectEmit(address(vault));
        emit AgentVault.SpenderChanged(address(registry), agent, spender, 0);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, spender);
        eq(look().spender, spender, "spender");
        eq(look().pendingSpenderAt, 0, "nothing pending");
    }

    function test_only_the_owner_sets_the_spender() public {
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAgentOwner.selector, address(this)));
        vault.setSpender(address(registry), agent, spender);
        // nor does somebody the owner approved for the NFT
        vm.prank(alice);
        registry.setApprovalForAll(bob, true);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAgentOwner.selector, bob));
        vault.setSpender(address(registry), agent, bob);
    }

    function test_a_change_of_spender_waits_and_raises_the_epoch() public {
        fund(1 ether);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        eq(look().spender, spender, "not yet");
        eq(look().pendingSpender, other, "pending");
        eq(look().pendingSpenderAt, block.timestamp + DELAY, "ready at");
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + DELAY));
        vault.completeSpenderChange(address(registry), agent);

        later(DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + 1));
        vault.completeSpenderChange(address(registry), agent);
        later(1);
        vault.completeSpenderChange(address(registry), agent); // by anyone
        eq(look().spender, other, "changed");
        eq(look().epoch, 1, "epoch");
        eq(look().pendingSpenderAt, 0, "nothing pending");
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completeSpenderChange(address(registry), agent);

        eq(settle(voucher(0, 1, 1)), AgentVault.ClaimStatus.WrongEpoch, "old voucher");
        eq(settle(voucher(1, 1, 1)), AgentVault.ClaimStatus.BadSignature, "old spender");
        eq(settle(voucher(vault, OTHER_KEY, agent, 1, 1, 1)), AgentVault.ClaimStatus.Paid, "new spender");
    }

    function test_asking_again_starts_the_wait_again() public {
        fund(1 ether);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        later(DELAY - 1);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        later(1);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + DELAY - 1));
        vault.completeSpenderChange(address(registry), agent);
    }

    function test_a_change_can_be_given_up() public {
        fund(1 ether);
        vm.prank(alice);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.cancelSpenderChange(address(registry), agent);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, other);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAgentOwner.selector, bob));
        vault.cancelSpenderChange(address(registry), agent);
        vm.prank(alice);
        vault.cancelSpenderChange(address(registry), agent);
        later(DELAY);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completeSpenderChange(address(registry), agent);
        eq(look().epoch, 0, "epoch");
    }

    function test_revocation_waits_and_the_next_spender_does_not() public {
        vm.prank(alice);
        vm.expectRevert(AgentVault.NoSpenderSet.selector);
        vault.setSpender(address(registry), agent, address(0));
        fund(1 ether);
        vm.prank(alice);
        vault.setSpender(address(registry), agent, address(0));
        eq(settle(voucher(0, 1, 1)), AgentVault.ClaimStatus.Paid, "payable while pending");
        later(DELAY);
        vault.completeSpenderChange(address(registry), agent);
        eq(look().spender, address(0), "revoked");
        eq(look().epoch, 1, "epoch");
        eq(settle(voucher(1, 2, 2)), AgentVault.ClaimStatus.NoSpender, "nobody's voucher");
        vm.prank(alice);
        vault.setSpender(address(registry), agent, spender);
        eq(look().spender, spender, "at once: no voucher was payable");
        eq(settle(voucher(0, 2, 2)), AgentVault.ClaimStatus.WrongEpoch, "the old ones stay void");
        eq(settle(voucher(1, 2, 2)), AgentVault.ClaimStatus.Paid, "a new one");
    }

    // --------------------------------------------------------------------------------------------------------- authorize

    function test_a_spender_may_authorise_by_transaction() public {
        fund(1 ether);
        AgentVault.Claim memory claim = AgentVault.Claim(agent, 0, 5, 5, 0, 0);
        eq(settle(claim), AgentVault.ClaimStatus.NotAuthorized, "not yet");
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotSpender.selector, address(this)));
        vault.authorize(address(registry), agent, 0, 5);
        vm.expectEmit(address(vault));
        emit AgentVault.Authorized(address(registry), agent, spender, 0, 5);
        vm.prank(spender);
        vault.authorize(address(registry), agent, 0, 5);
        eq(look().authorized, 5, "authorized");
        eq(settle(claim), AgentVault.ClaimStatus.Paid, "paid");
        claim = AgentVault.Claim(agent, 0, 6, 6, 0, 0);
        eq(settle(claim), AgentVault.ClaimStatus.NotAuthorized, "beyond");
        vm.prank(spender);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.AuthorizationLowered.selector, 5));
        vault.authorize(address(registry), agent, 0, 4);
        vm.prank(spender);
        vm.expectRevert(AgentVault.AmountTooLarge.selector);
        vault.authorize(address(registry), agent, 0, uint256(1) << 96);
    }

    function test_an_authorisation_dies_with_its_epoch() public {
        fund(1 ether);
        vm.prank(spender);
        vault.authorize(address(registry), agent, 0, 500);
        withdraw(1);
        eq(look().authorized, 0, "gone");
        eq(settle(AgentVault.Claim(agent, 1, 5, 5, 0, 0)), AgentVault.ClaimStatus.NotAuthorized, "void");
        // one that was sent before the epoch rose and mined after it binds nothing
        vm.prank(spender);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.WrongEpoch.selector, 1));
        vault.authorize(address(registry), agent, 0, 600);
        // in the new epoch it may start lower
        vm.prank(spender);
        vault.authorize(address(registry), agent, 1, 5);
        eq(settle(AgentVault.Claim(agent, 1, 5, 5, 0, 0)), AgentVault.ClaimStatus.Paid, "paid");
    }

    // ------------------------------------------------------------------------------------------------------------ settle

    function test_pays_what_the_voucher_allows() public {
        fund(10 ether);
        vm.expectEmit(address(vault));
        emit AgentVault.Claimed(address(registry), agent, 2 ether, 2 ether);
        eq(settle(voucher(0, 5 ether, 2 ether)), AgentVault.ClaimStatus.Paid, "first");
        vm.expectEmit(address(vault));
        emit AgentVault.Claimed(address(registry), agent, 1 ether, 3 ether);
        eq(settle(voucher(0, 5 ether, 3 ether)), AgentVault.ClaimStatus.Paid, "second");
        eq(look().claimed, 3 ether, "claimed");
        eq(vault.earned(), 3 ether, "earned");
        eq(PAYEE.balance, 0, "settling sends nothing");
        vm.expectEmit(address(vault));
        emit AgentVault.Collected(PAYEE, 3 ether);
        vault.collect();
        eq(PAYEE.balance, 3 ether, "collected");
        eq(vault.earned(), 0, "earned");
        vm.expectRevert(AgentVault.ZeroAmount.selector);
        vault.collect();
    }

    function test_says_why_a_row_was_refused() public {
        fund(10 ether);
        eq(settle(voucher(0, 5, 6)), AgentVault.ClaimStatus.AboveVoucher, "above voucher");
        eq(settle(voucher(1, 5, 5)), AgentVault.ClaimStatus.WrongEpoch, "epoch");
        eq(settle(voucher(0, 5, 0)), AgentVault.ClaimStatus.NothingDue, "nothing");
        eq(settle(voucher(vault, OTHER_KEY, agent, 0, 5, 5)), AgentVault.ClaimStatus.BadSignature, "somebody else's");
        eq(settle(voucher(vault, SPENDER_KEY, 0, 0, 5, 5)), AgentVault.ClaimStatus.NoSpender, "no spender");
        eq(settle(voucher(vault, SPENDER_KEY, 999, 0, 5, 5)), AgentVault.ClaimStatus.NoSpender, "unknown agent");
        eq(vault.earned(), 0, "earned");
        eq(settle(voucher(0, 5, 5)), AgentVault.ClaimStatus.Paid, "paid");
        eq(settle(voucher(0, 5, 5)), AgentVault.ClaimStatus.NothingDue, "twice");
        eq(settle(voucher(0, 6, 4)), AgentVault.ClaimStatus.NothingDue, "less than before");
        eq(vault.earned(), 5, "earned");
    }

    function test_a_claim_beyond_the_deposit_is_paid_in_part() public {
        fund(10);
        vm.expectEmit(address(vault));
        emit AgentVault.Claimed(address(registry), agent, 10, 10);
        vm.expectEmit(address(vault));
        emit AgentVault.ClaimShort(0, address(registry), agent, 5);
        eq(settle(voucher(0, type(uint256).max, 15)), AgentVault.ClaimStatus.PaidInPart, "in part");
        vm.expectEmit(address(vault));
        emit AgentVault.ClaimRejected(0, address(registry), agent, uint8(AgentVault.ClaimStatus.NoFunds));
        eq(settle(voucher(0, 20, 15)), AgentVault.ClaimStatus.NoFunds, "no funds");
        deposit(100);
        eq(settle(voucher(0, 20, 15)), AgentVault.ClaimStatus.Paid, "the rest");
        eq(vault.earned(), 15, "earned");
    }

    function test_a_claim_for_everything_there_can_be() public {
        fund(10);
        eq(
            settle(voucher(0, type(uint256).max, type(uint256).max)),
            AgentVault.ClaimStatus.PaidInPart,
            "in part, without overflow"
        );
        eq(look().claimed, 10, "claimed");
    }

    function test_only_the_operator_settles() public {
        fund(10);
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](1);
        claims[0] = voucher(0, 5, 5);
        vm.prank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotOperator.selector, ADMIN));
        vault.settle(address(registry), claims);
    }

    function test_an_empty_settlement_does_nothing() public {
        eq(settle(new AgentVault.Claim[](0)).length, 0, "no rows");
    }

    // -------------------------------------------------------------------------------------------------------- withdrawal

    function withdraw(uint256 amount) private {
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, amount, bob);
        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
    }

    function test_a_withdrawal_waits_pays_and_raises_the_epoch() public {
        fund(10 ether);
        uint256 before = bob.balance;
        vm.expectEmit(address(vault));
        emit AgentVault.WithdrawalStarted(
            address(registry), agent, alice, bob, 4 ether, uint64(block.timestamp) + DELAY
        );
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 4 ether, bob);
        AgentVault.AccountView memory seen = look();
        eq(seen.withdrawalStarter, alice, "starter");
        eq(seen.withdrawalRecipient, bob, "recipient");
        eq(seen.withdrawalAmount, 4 ether, "amount");
        eq(seen.withdrawalReadyAt, block.timestamp + DELAY, "ready at");

        later(DELAY - 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + 1));
        vault.completeWithdrawal(address(registry), agent);
        later(1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotStarter.selector, bob));
        vault.completeWithdrawal(address(registry), agent);
        vm.expectEmit(address(vault));
        emit AgentVault.WithdrawalCompleted(address(registry), agent, bob, 4 ether, 1);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        seen = look();
        eq(bob.balance - before, 4 ether, "paid");
        eq(seen.withdrawn, 4 ether, "withdrawn");
        eq(seen.epoch, 1, "epoch");
        eq(seen.withdrawalStarter, address(0), "nothing pending");
        eq(seen.withdrawalReadyAt, 0, "no timer");
        vm.prank(alice);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completeWithdrawal(address(registry), agent);
    }

    function test_a_withdrawal_pays_what_claims_left() public {
        fund(10);
        uint256 before = bob.balance;
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, type(uint96).max, bob);
        eq(settle(voucher(0, 7, 7)), AgentVault.ClaimStatus.Paid, "claimed meanwhile");
        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        eq(bob.balance - before, 3, "the rest");
        // and one of nothing is no error: it still voids vouchers
        withdraw(1);
        eq(look().epoch, 2, "epoch");
    }

    function test_raising_or_redirecting_restarts_the_timer_and_lowering_does_not() public {
        fund(10);
        uint256 start = block.timestamp;
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 5, bob);
        later(100);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 4, bob);
        eq(look().withdrawalReadyAt, start + DELAY, "lowered");
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 4, bob);
        eq(look().withdrawalReadyAt, start + DELAY, "the same");
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 5, bob);
        eq(look().withdrawalReadyAt, start + 100 + DELAY, "raised, though not above the first");
        later(100);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 1, alice);
        eq(look().withdrawalReadyAt, start + 200 + DELAY, "redirected");
    }

    function test_a_withdrawal_has_an_amount_and_a_recipient() public {
        fund(10);
        vm.prank(alice);
        vm.expectRevert(AgentVault.ZeroAmount.selector);
        vault.startWithdrawal(address(registry), agent, 0, bob);
        vm.prank(alice);
        vm.expectRevert(AgentVault.ZeroAddress.selector);
        vault.startWithdrawal(address(registry), agent, 1, address(0));
        vm.prank(alice);
        vm.expectRevert(AgentVault.AmountTooLarge.selector);
        vault.startWithdrawal(address(registry), agent, uint256(1) << 96, bob);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAgentOwner.selector, bob));
        vault.startWithdrawal(address(registry), agent, 1, bob);
    }

    function test_the_owner_gives_a_withdrawal_up() public {
        fund(10);
        vm.prank(alice);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.cancelWithdrawal(address(registry), agent);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 5, bob);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAgentOwner.selector, bob));
        vault.cancelWithdrawal(address(registry), agent);
        vm.prank(alice);
        vault.cancelWithdrawal(address(registry), agent);
        eq(look().withdrawalStarter, address(0), "nothing pending");
        eq(look().epoch, 0, "epoch");
    }

    // ------------------------------------------------------------------------------------------------------------- admin

    function test_the_admin_exchanges_the_operator_at_once() public {
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAdmin.selector, address(this)));
        vault.setOperator(bob);
        vm.prank(ADMIN);
        vm.expectRevert(AgentVault.ZeroAddress.selector);
        vault.setOperator(address(0));
        fund(10);
        eq(settle(voucher(0, 5, 5)), AgentVault.ClaimStatus.Paid, "something earned");
        vm.prank(ADMIN);
        vault.setOperator(bob);
        eq(vault.operator(), bob, "operator");
        eq(vault.earned(), 5, "what was earned, in the same slot, stays");
    }

    function test_the_payee_changes_after_the_delay() public {
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAdmin.selector, address(this)));
        vault.proposePayee(bob);
        vm.prank(ADMIN);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completePayee();
        vm.prank(ADMIN);
        vault.proposePayee(bob);
        eq(vault.pendingPayee(), bob, "pending");
        later(DELAY - 1);
        vm.prank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotReady.selector, block.timestamp + 1));
        vault.completePayee();
        later(1);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAdmin.selector, address(this)));
        vault.completePayee();
        vm.prank(ADMIN);
        vault.completePayee();
        eq(vault.payee(), bob, "payee");
        eq(vault.pendingPayeeAt(), 0, "nothing pending");

        vm.prank(ADMIN);
        vault.proposePayee(alice);
        vm.prank(ADMIN);
        vault.cancelPayee();
        later(DELAY);
        vm.prank(ADMIN);
        vm.expectRevert(AgentVault.NothingPending.selector);
        vault.completePayee();
    }

    function test_the_admin_hands_over_in_two_steps() public {
        vm.prank(ADMIN);
        vault.offerAdmin(bob);
        eq(vault.admin(), ADMIN, "still");
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotPendingAdmin.selector, address(this)));
        vault.acceptAdmin();
        vm.prank(bob);
        vault.acceptAdmin();
        eq(vault.admin(), bob, "admin");
        eq(vault.pendingAdmin(), address(0), "nobody pending");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotPendingAdmin.selector, bob));
        vault.acceptAdmin();
    }

    function test_a_pause_stops_deposits_and_settlements_and_no_withdrawal() public {
        fund(10);
        vm.prank(alice);
        vault.startWithdrawal(address(registry), agent, 5, bob);
        vm.expectRevert(abi.encodeWithSelector(AgentVault.NotAdmin.selector, address(this)));
        vault.pause();
        vm.prank(ADMIN);
        vault.pause();
        vm.prank(alice);
        vm.expectRevert(AgentVault.IsPaused.selector);
        vault.deposit{value: 1}(address(registry), agent, 1);
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](1);
        claims[0] = voucher(0, 5, 5);
        vm.prank(OPERATOR);
        vm.expectRevert(AgentVault.IsPaused.selector);
        vault.settle(address(registry), claims);

        later(DELAY);
        vm.prank(alice);
        vault.completeWithdrawal(address(registry), agent);
        withdraw(5);
        eq(look().withdrawn, 10, "all out");
        vm.prank(ADMIN);
        vault.unpause();
        deposit(1);
    }

    // -------------------------------------------------------------------------------------------------------------- view

    function test_the_view_tells_everything_and_never_reverts() public {
        fund(10);
        AgentVault.AccountView memory seen = look();
        eq(seen.blockNumber, block.number, "block");
        eq(seen.blockTime, block.timestamp, "time");
        eq(seen.owner, alice, "owner");
        eq(seen.wallet, alice, "wallet");
        no(seen.ownerHasCode, "owner has code");
        seen = vault.account(address(registry), 12345);
        eq(seen.owner, address(0), "no owner");
        eq(seen.wallet, address(0), "no wallet");
        seen = vault.account(address(0xdead), agent);
        eq(seen.owner, address(0), "registry not served");
        vm.etch(alice, hex"00");
        yes(look().ownerHasCode, "owner has code");
        yes(look().walletHasCode, "wallet has code");
        vm.prank(alice);
        registry.transferFrom(alice, bob, agent);
        seen = look();
        eq(seen.owner, bob, "owner");
        eq(seen.wallet, address(0), "wallet cleared");
    }
}
