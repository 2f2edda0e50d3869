// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @dev Tokens that one call used, as its receipt states them.
struct Usage {
    uint64 input;
    uint64 cachedInput;
    uint64 cacheCreation;
    uint64 output;
    uint64 thinking;
    bool estimated;
}

/// @dev The record of one capture, field for field as it is signed (docs/protocol.md, section 4).
struct Receipt {
    bytes32 logId;
    uint256 chainId;
    address vault;
    address registry;
    uint256 agentId;
    uint64 epoch;
    uint64 sequence;
    bytes32 previous;
    uint8 authorizationKind;
    bytes32 authorization;
    bytes32 requestHash;
    bytes32 forwardedHash;
    bytes32 responseHash;
    bytes32 upstreamResponseHash;
    string upstream;
    string model;
    string upstreamId;
    Usage usage;
    bytes32 priceTable;
    uint256 amount;
    uint256 cumulative;
    uint64 time;
    uint64 mergeBy;
    uint8 assurance;
    bytes32 evidence;
}

/// @title What a receipt key signs: the EIP-712 digest of a receipt
library ReceiptDigest {
    bytes32 internal constant USAGE_TYPEHASH = keccak256(
        "Usage(uint64 input,uint64 cachedInput,uint64 cacheCreation,uint64 output,uint64 thinking,bool estimated)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 logId,uint256 chainId,address vault,address registry,uint256 agentId,uint64 epoch,uint64 sequence,bytes32 previous,uint8 authorizationKind,bytes32 authorization,bytes32 requestHash,bytes32 forwardedHash,bytes32 responseHash,bytes32 upstreamResponseHash,string upstream,string model,string upstreamId,Usage usage,bytes32 priceTable,uint256 amount,uint256 cumulative,uint64 time,uint64 mergeBy,uint8 assurance,bytes32 evidence)Usage(uint64 input,uint64 cachedInput,uint64 cacheCreation,uint64 output,uint64 thinking,bool estimated)"
    );
    /// @dev Without a chain or a contract: a receipt names its own.
    bytes32 internal constant DOMAIN_SEPARATOR = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version)"), keccak256("tallystick Receipt"), keccak256("1")
        )
    );

    /// @notice The receipt's digest: its name, its entry in the log, and what is signed.
    function digestOf(Receipt calldata receipt) internal pure returns (bytes32) {
        // In three parts: that many values at once are more than the stack holds.
        bytes32 structHash = keccak256(bytes.concat(_first(receipt), _second(receipt), _third(receipt)));
        return keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, structHash));
    }

    /// @notice The place a receipt takes: of all receipts with one place there is to be one. The epoch is no part of it,
    /// because the sequence goes on from one epoch to the next.
    function placeOf(Receipt calldata receipt) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                receipt.logId, receipt.chainId, receipt.vault, receipt.registry, receipt.agentId, receipt.sequence
            )
        );
    }

    function _first(Receipt calldata receipt) private pure returns (bytes memory) {
        return abi.encode(
            RECEIPT_TYPEHASH,
            receipt.logId,
            receipt.chainId,
            receipt.vault,
            receipt.registry,
            receipt.agentId,
            receipt.epoch,
            receipt.sequence,
            receipt.previous
        );
    }

    function _second(Receipt calldata receipt) private pure returns (bytes memory) {
        return abi.encode(
            receipt.authorizationKind,
            receipt.authorization,
            receipt.requestHash,
            receipt.forwardedHash,
            receipt.responseHash,
            receipt.upstreamResponseHash,
            keccak256(bytes(receipt.upstream)),
            keccak256(bytes(receipt.model)),
            keccak256(bytes(receipt.upstreamId))
        );
    }

    function _third(Receipt calldata receipt) private pure returns (bytes memory) {
        return abi.encode(
            keccak256(abi.encode(USAGE_TYPEHASH, receipt.usage)),
            receipt.priceTable,
            receipt.amount,
            receipt.cumulative,
            receipt.time,
            receipt.mergeBy,
            receipt.assurance,
            receipt.evidence
        );
    }
}
