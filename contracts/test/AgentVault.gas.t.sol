// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AgentVault} from "../src/AgentVault.sol";
import {IdentityRegistry} from "../src/local/IdentityRegistry.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Whole transactions, intrinsic gas and calldata included, from realistic state: agents that have been claimed from
/// before, ids and amounts of the usual number of non-zero bytes.
/// forge-config: default.isolate = true
contract AgentVaultGas is Fixture {
    address constant OPERATOR = address(0x09E4A704);
    IdentityRegistry registry;
    AgentVault vault;
    uint256 constant AGENTS = 400;

    function setUp() public {
        registry = new IdentityRegistry();
        address[] memory registries = new address[](1);
        registries[0] = address(registry);
        vault = new AgentVault(
            registries, address(0), address(this), OPERATOR, address(0xBA9), 1 days, "https://a.example"
        );
        vm.deal(address(this), 10_000 ether);
        for (uint256 i = 0; i < AGENTS; ++i) {
            registry.register();
            vault.setSpender(address(registry), i, vm.addr(key(i)));
            vault.deposit{value: 5 ether}(address(registry), i, 5 ether);
        }
        AgentVault.Claim[] memory first = new AgentVault.Claim[](AGENTS);
        for (uint256 i = 0; i < AGENTS; ++i) {
            first[i] = claim(i, 1_234_567_890_123_456_789 + i * 7919);
        }
        vm.prank(OPERATOR);
        vault.settle(address(registry), first);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC721Received.selector;
    }

    function key(uint256 agent) private pure returns (uint256) {
        return uint256(keccak256(abi.encode("spender", agent)));
    }

    function claim(uint256 agent, uint256 cumulative) private view returns (AgentVault.Claim memory) {
        uint256 ceiling = cumulative + 123_456_789_012_345_678;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(agent), vault.voucherDigest(address(registry), agent, 0, ceiling));
        return AgentVault.Claim(agent, 0, ceiling, cumulative, r, bytes32(uint256(v - 27) << 255 | uint256(s)));
    }

    function settle(uint256 rows, string memory name) private returns (uint256 gasEach) {
        AgentVault.Claim[] memory claims = new AgentVault.Claim[](rows);
        for (uint256 i = 0; i < rows; ++i) {
            claims[i] = claim(AGENTS - 1 - i, 2_345_678_901_234_567_890 + i * 104_729);
        }
        vm.prank(OPERATOR);
        vault.settle(address(registry), claims);
        uint256 gas = vm.snapshotGasLastCall("AgentVault", name);
        gasEach = gas / rows;
        vm.snapshotValue("AgentVault", string.concat(name, " per claim"), gasEach);
    }

    function test_gas_claim_1() public {
        settle(1, "claim x1");
    }

    function test_gas_claim_10() public {
        settle(10, "claim x10");
    }

    function test_gas_claim_100() public {
        yes(settle(100, "claim x100") <= 15_000, "at most 15,000 a claim");
    }

    function test_gas_deposit() public {
        vault.deposit{value: 1 ether}(address(registry), 7, 1 ether);
        vm.snapshotGasLastCall("AgentVault", "deposit");
    }
}
