// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IdentityRegistry} from "../src/local/IdentityRegistry.sol";
import {Fixture} from "./Fixture.sol";

/// @dev A contract wallet that agrees to one digest.
contract AgreeingWallet {
    bytes32 private agreed;

    function agree(bytes32 digest) external {
        agreed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == agreed ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

/// @dev The behaviours of the official contracts that the rest of the project leans on.
contract IdentityRegistryTest is Fixture {
    uint256 private constant WALLET_KEY = 0x3A11E7;
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    IdentityRegistry private registry;
    uint256 private agent;

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new IdentityRegistry();
        vm.prank(ALICE);
        agent = registry.register();
    }

    function digest(address wallet, uint256 deadline) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                agent,
                wallet,
                ALICE,
                deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    function sign(address wallet, uint256 deadline) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(WALLET_KEY, digest(wallet, deadline));
        return abi.encodePacked(r, s, v);
    }

    function test_the_first_id_is_zero_and_the_wallet_is_the_owner() public {
        eq(agent, 0, "first id");
        eq(registry.ownerOf(0), ALICE, "owner");
        eq(registry.getAgentWallet(0), ALICE, "wallet");
        vm.expectEmit(address(registry));
        emit IdentityRegistry.Registered(1, "ipfs://x", BOB);
        vm.prank(BOB);
        eq(registry.register("ipfs://x"), 1, "second id");
        eq(keccak256(bytes(registry.tokenURI(1))), keccak256("ipfs://x"), "uri");
    }

    function test_a_missing_agent_has_no_owner_and_the_zero_wallet() public {
        eq(registry.getAgentWallet(99), address(0), "wallet");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
        registry.ownerOf(99);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
        registry.isAuthorizedOrOwner(ALICE, 99);
    }

    function test_a_transfer_clears_the_wallet() public {
        vm.prank(ALICE);
        registry.transferFrom(ALICE, BOB, agent);
        eq(registry.getAgentWallet(agent), address(0), "wallet");
        eq(registry.getMetadata(agent, "agentWallet").length, 0, "metadata");
    }

    function test_a_wallet_consents_by_signature() public {
        address wallet = vm.addr(WALLET_KEY);
        uint256 deadline = block.timestamp + 5 minutes;
        bytes memory signature = sign(wallet, deadline);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.NotAuthorized.selector, agent, BOB));
        registry.setAgentWallet(agent, wallet, deadline, signature);
        vm.prank(ALICE);
        vm.expectRevert(IdentityRegistry.BadWalletSignature.selector);
        registry.setAgentWallet(agent, BOB, deadline, signature);
        vm.prank(ALICE);
        registry.setAgentWallet(agent, wallet, deadline, signature);
        eq(registry.getAgentWallet(agent), wallet, "wallet");
        eq(keccak256(registry.getMetadata(agent, "agentWallet")), keccak256(abi.encodePacked(wallet)), "metadata");
        no(registry.isAuthorizedOrOwner(wallet, agent), "a wallet is not authorised");
        yes(registry.isAuthorizedOrOwner(ALICE, agent), "an owner is");
        vm.prank(ALICE);
        registry.unsetAgentWallet(agent);
        eq(registry.getAgentWallet(agent), address(0), "unset");
    }

    function test_a_deadline_is_at_most_five_minutes_ahead() public {
        address wallet = vm.addr(WALLET_KEY);
        uint256 late = block.timestamp + 5 minutes + 1;
        bytes memory signature = sign(wallet, late);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.DeadlineTooFar.selector, late));
        registry.setAgentWallet(agent, wallet, late, signature);
        uint256 past = block.timestamp - 1;
        signature = sign(wallet, past);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.DeadlinePassed.selector, past));
        registry.setAgentWallet(agent, wallet, past, signature);
        vm.prank(ALICE);
        vm.expectRevert(IdentityRegistry.ZeroWallet.selector);
        registry.setAgentWallet(agent, address(0), block.timestamp, signature);
    }

    function test_a_contract_wallet_consents_by_erc1271() public {
        AgreeingWallet wallet = new AgreeingWallet();
        uint256 deadline = block.timestamp + 60;
        vm.prank(ALICE);
        vm.expectRevert(IdentityRegistry.BadWalletSignature.selector);
        registry.setAgentWallet(agent, address(wallet), deadline, "");
        wallet.agree(digest(address(wallet), deadline));
        vm.prank(ALICE);
        registry.setAgentWallet(agent, address(wallet), deadline, "");
        eq(registry.getAgentWallet(agent), address(wallet), "wallet");
    }

    function test_metadata_has_one_reserved_key() public {
        IdentityRegistry.MetadataEntry[] memory entries = new IdentityRegistry.MetadataEntry[](1);
        entries[0] = IdentityRegistry.MetadataEntry("color", "red");
        vm.prank(BOB);
        uint256 id = registry.register("", entries);
        eq(keccak256(registry.getMetadata(id, "color")), keccak256("red"), "color");
        entries[0].metadataKey = "agentWallet";
        vm.prank(BOB);
        vm.expectRevert(IdentityRegistry.ReservedMetadataKey.selector);
        registry.register("", entries);
        vm.prank(BOB);
        vm.expectRevert(IdentityRegistry.ReservedMetadataKey.selector);
        registry.setMetadata(id, "agentWallet", "x");
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.NotAuthorized.selector, id, ALICE));
        registry.setMetadata(id, "color", "blue");
        vm.prank(BOB);
        registry.setAgentURI(id, "https://b.example");
        eq(keccak256(bytes(registry.tokenURI(id))), keccak256("https://b.example"), "uri");
    }
}
