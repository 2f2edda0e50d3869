// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AgentVault} from "../src/AgentVault.sol";
import {IdentityRegistry} from "../src/local/IdentityRegistry.sol";
import {Fixture} from "./Fixture.sol";

/// @dev A registry, a native vault and the people around them.
abstract contract Stage is Fixture {
    uint64 internal constant DELAY = 1 days;
    address internal constant ADMIN = address(0xAD);
    address internal constant OPERATOR = address(0x09);
    address internal constant PAYEE = address(0xBA9EE);
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant BOB_KEY = 0xB0B;
    uint256 internal constant SPENDER_KEY = 0x59E;
    uint256 internal constant OTHER_KEY = 0x07E;

    address internal alice = vm.addr(ALICE_KEY);
    address internal bob = vm.addr(BOB_KEY);
    address internal spender = vm.addr(SPENDER_KEY);
    address internal other = vm.addr(OTHER_KEY);

    IdentityRegistry internal registry;
    AgentVault internal vault;
    /// @dev Alice's agent.
    uint256 internal agent;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        registry = new IdentityRegistry();
        vault = openVault(address(0));
        vm.prank(bob);
        registry.register(); // so that alice's id is not zero
        vm.prank(alice);
        agent = registry.register();
        vm.deal(alice, 100 ether);
        vm.deal(bob, 100 ether);
    }

    function openVault(address asset) internal returns (AgentVault) {
        address[] memory registries = new address[](1);
        registries[0] = address(registry);
        return new AgentVault(registries, asset, ADMIN, OPERATOR, PAYEE, DELAY, "https://gateway.example");
    }

    /// @dev Alice's agent with a spender and a deposit.
    function fund(uint256 amount) internal {
        vm.prank(alice);
        vault.setSpender(address(registry), agent, spender);
        deposit(amount);
    }

    function deposit(uint256 amount) internal {
        vm.prank(alice);
        vault.deposit{value: amount}(address(registry), agent, amount);
    }

    function look() internal view returns (AgentVault.AccountView memory) {
        return vault.account(address(registry), agent);
    }

    function voucher(AgentVault vault_, uint256 key, uint256 agentId, uint64 epoch, uint256 ceiling, uint256 cumulative)
        internal
        view
        returns (AgentVault.Claim memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, vault_.voucherDigest(address(registry), agentId, epoch, ceiling));
        return AgentVault.Claim(agentId, epoch, ceiling, cumulative, r, compact(v, s));
    }

    function voucher(uint64 epoch, uint256 ceiling, uint256 cumulative)
        internal
        view
        returns (AgentVault.Claim memory)
    {
        return voucher(vault, SPENDER_KEY, agent, epoch, ceiling, cumulative);
    }

    function compact(uint8 v, bytes32 s) internal pure returns (bytes32) {
        return bytes32(uint256(v - 27) << 255 | uint256(s));
    }

    function settle(AgentVault.Claim memory claim) internal returns (AgentVault.ClaimStatus) {
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](1);
        claims[0] = claim;
        return settle(claims)[0];
    }

    function settle(AgentVault.Claim[] memory claims) internal returns (AgentVault.ClaimStatus[] memory) {
        vm.prank(OPERATOR);
        return vault.settle(address(registry), claims);
    }

    function eq(AgentVault.ClaimStatus seen, AgentVault.ClaimStatus wanted, string memory what) internal pure {
        eq(uint256(seen), uint256(wanted), what);
    }

    function later(uint256 duration) internal {
        vm.warp(block.timestamp + duration);
        vm.roll(block.number + 1);
    }
}
