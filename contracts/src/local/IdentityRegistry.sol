// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title An identity registry for local chains, spoken to like ERC-8004's
/// @notice FOR LOCAL CHAINS AND TESTS ONLY. Real chains have the official ERC-8004 registry; nobody should deploy this
/// one there. It exists because no package carries the official bytecode. It answers the interface of the ERC-8004
/// contracts 2.0.0: ids start at 0, `agentWallet` starts as the owner, is cleared by a transfer, and reads as the zero
/// address for an agent that does not exist.
/// @dev Not upgradeable and without an owner, unlike the official one.
contract IdentityRegistry is ERC721URIStorage, EIP712 {
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    bytes32 private constant AGENT_WALLET_SET_TYPEHASH =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
    uint256 private constant LONGEST_DEADLINE = 5 minutes;
    /// @dev The metadata key that only {setAgentWallet}, {unsetAgentWallet} and transfers write.
    string private constant AGENT_WALLET = "agentWallet";

    uint256 private _nextAgentId;
    mapping(uint256 agentId => mapping(string metadataKey => bytes)) private _metadata;

    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);
    event MetadataSet(
        uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue
    );

    error NotAuthorized(uint256 agentId, address caller);
    error ReservedMetadataKey();
    error ZeroWallet();
    error DeadlinePassed(uint256 deadline);
    error DeadlineTooFar(uint256 deadline);
    error BadWalletSignature();

    constructor() ERC721("AgentIdentity", "AGENT") EIP712("ERC8004IdentityRegistry", "1") {}

    modifier onlyAuthorized(uint256 agentId) {
        if (!isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
        _;
    }

    /// @notice Registers an agent, owned by the caller, without a URI.
    function register() external returns (uint256 agentId) {
        return _register("");
    }

    /// @notice Registers an agent, owned by the caller.
    function register(string calldata agentURI) external returns (uint256 agentId) {
        return _register(agentURI);
    }

    /// @notice Registers an agent, owned by the caller, with metadata. `agentWallet` is not a key one may set.
    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId) {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < metadata.length; ++i) {
            _setMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    /// @notice Changes where the registration file is. Owner, operator or approved.
    function setAgentURI(uint256 agentId, string calldata newURI) external onlyAuthorized(agentId) {
        _setTokenURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    /// @notice The metadata under a key, empty when there is none.
    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory) {
        return _metadata[agentId][metadataKey];
    }

    /// @notice Sets metadata. Owner, operator or approved. `agentWallet` is reserved.
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue)
        external
        onlyAuthorized(agentId)
    {
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    /// @notice The agent's proven wallet; the zero address when there is none or no such agent.
    function getAgentWallet(uint256 agentId) external view returns (address) {
        return address(bytes20(_metadata[agentId][AGENT_WALLET]));
    }

    /// @notice Makes `newWallet` the agent's wallet. Owner, operator or approved, with the wallet's own consent.
    /// @param deadline Unix seconds, at most five minutes ahead
    /// @param signature EIP-712 `AgentWalletSet` by newWallet: ECDSA, or else ERC-1271
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature)
        external
        onlyAuthorized(agentId)
    {
        if (newWallet == address(0)) revert ZeroWallet();
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
        if (deadline > block.timestamp + LONGEST_DEADLINE) revert DeadlineTooFar(deadline);
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(AGENT_WALLET_SET_TYPEHASH, agentId, newWallet, ownerOf(agentId), deadline))
        );
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer != newWallet && !SignatureChecker.isValidERC1271SignatureNow(newWallet, digest, signature)) {
            revert BadWalletSignature();
        }
        _setAgentWallet(agentId, abi.encodePacked(newWallet));
    }

    /// @notice Clears the agent's wallet. Owner, operator or approved.
    function unsetAgentWallet(uint256 agentId) external onlyAuthorized(agentId) {
        _setAgentWallet(agentId, "");
    }

    /// @notice Whether `spender` is the agent's owner, operator or approved; reverts for an agent that does not exist.
    function isAuthorizedOrOwner(address spender, uint256 agentId) public view returns (bool) {
        return _isAuthorized(ownerOf(agentId), spender, agentId);
    }

    /// @notice The version of the official contracts whose interface this answers.
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    function _register(string memory agentURI) private returns (uint256 agentId) {
        agentId = _nextAgentId++;
        _setTokenURI(agentId, agentURI);
        emit Registered(agentId, agentURI, msg.sender);
        _setAgentWallet(agentId, abi.encodePacked(msg.sender));
        _safeMint(msg.sender, agentId);
    }

    function _setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) private {
        if (keccak256(bytes(metadataKey)) == keccak256(bytes(AGENT_WALLET))) revert ReservedMetadataKey();
        _metadata[agentId][metadataKey] = metadataValue;
        emit MetadataSet(agentId, metadataKey, metadataKey, metadataValue);
    }

    function _setAgentWallet(uint256 agentId, bytes memory wallet) private {
        _metadata[agentId][AGENT_WALLET] = wallet;
        emit MetadataSet(agentId, AGENT_WALLET, AGENT_WALLET, wallet);
    }

    /// @dev A wallet is the owner's word; it does not pass to the next owner.
    function _update(address to, uint256 tokenId, address auth) internal override(ERC721) returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0)) _setAgentWallet(tokenId, "");
    }
}
