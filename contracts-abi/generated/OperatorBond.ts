// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.
export const operatorBondAbi = [
  {
    "type": "constructor",
    "inputs": [
      {
        "name": "anchor_",
        "type": "address",
        "internalType": "contract ReceiptAnchor"
      },
      {
        "name": "penalty_",
        "type": "uint256",
        "internalType": "uint256"
      },
      {
        "name": "challengeBond_",
        "type": "uint256",
        "internalType": "uint256"
      },
      {
        "name": "mergeDelay_",
        "type": "uint32",
        "internalType": "uint32"
      },
      {
        "name": "grace_",
        "type": "uint32",
        "internalType": "uint32"
      },
      {
        "name": "answerWindow_",
        "type": "uint32",
        "internalType": "uint32"
      }
    ],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "anchor",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "address",
        "internalType": "contract ReceiptAnchor"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "answer",
    "inputs": [
      {
        "name": "digest",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "index",
        "type": "uint64",
        "internalType": "uint64"
      },
      {
        "name": "proof",
        "type": "bytes32[]",
        "internalType": "bytes32[]"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "answerWindow",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint64",
        "internalType": "uint64"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "bond",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [],
    "stateMutability": "payable"
  },
  {
    "type": "function",
    "name": "bondOf",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "tuple",
        "internalType": "struct OperatorBond.Bond",
        "components": [
          {
            "name": "amount",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "openChallenges",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "withdrawal",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "readyAt",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "lapsesAt",
            "type": "uint64",
            "internalType": "uint64"
          }
        ]
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "cancelWithdrawal",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "challenge",
    "inputs": [
      {
        "name": "signed",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedReceipt",
        "components": [
          {
            "name": "receipt",
            "type": "tuple",
            "internalType": "struct Receipt",
            "components": [
              {
                "name": "logId",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "chainId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "vault",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "registry",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "agentId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "epoch",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "sequence",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "previous",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "authorizationKind",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "authorization",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "requestHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "forwardedHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "responseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstreamResponseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstream",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "model",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "upstreamId",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "usage",
                "type": "tuple",
                "internalType": "struct Usage",
                "components": [
                  {
                    "name": "input",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cachedInput",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cacheCreation",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "output",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "thinking",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "estimated",
                    "type": "bool",
                    "internalType": "bool"
                  }
                ]
              },
              {
                "name": "priceTable",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "amount",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "cumulative",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "time",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "mergeBy",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "assurance",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "evidence",
                "type": "bytes32",
                "internalType": "bytes32"
              }
            ]
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      }
    ],
    "outputs": [],
    "stateMutability": "payable"
  },
  {
    "type": "function",
    "name": "challengeBond",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "challengeOf",
    "inputs": [
      {
        "name": "digest",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "tuple",
        "internalType": "struct OperatorBond.Challenge",
        "components": [
          {
            "name": "logId",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "challenger",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "deadline",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "state",
            "type": "uint8",
            "internalType": "enum OperatorBond.ChallengeState"
          },
          {
            "name": "registry",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "agentId",
            "type": "uint256",
            "internalType": "uint256"
          }
        ]
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "collect",
    "inputs": [
      {
        "name": "registry",
        "type": "address",
        "internalType": "address"
      },
      {
        "name": "agentId",
        "type": "uint256",
        "internalType": "uint256"
      },
      {
        "name": "recipient",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "compensationOf",
    "inputs": [
      {
        "name": "registry",
        "type": "address",
        "internalType": "address"
      },
      {
        "name": "agentId",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "completeWithdrawal",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "recipient",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "conclude",
    "inputs": [
      {
        "name": "digest",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "grace",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint64",
        "internalType": "uint64"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "headKeyCounts",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "key",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bool",
        "internalType": "bool"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "headPunished",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "size",
        "type": "uint64",
        "internalType": "uint64"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bool",
        "internalType": "bool"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "mergeDelay",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint64",
        "internalType": "uint64"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "noteHeadKey",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "noteRetiredReceiptKey",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "key",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "penalty",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "placeOf",
    "inputs": [
      {
        "name": "receipt",
        "type": "tuple",
        "internalType": "struct Receipt",
        "components": [
          {
            "name": "logId",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "chainId",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "vault",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "registry",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "agentId",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "epoch",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "sequence",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "previous",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "authorizationKind",
            "type": "uint8",
            "internalType": "uint8"
          },
          {
            "name": "authorization",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "requestHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "forwardedHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "responseHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "upstreamResponseHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "upstream",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "model",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "upstreamId",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "usage",
            "type": "tuple",
            "internalType": "struct Usage",
            "components": [
              {
                "name": "input",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "cachedInput",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "cacheCreation",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "output",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "thinking",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "estimated",
                "type": "bool",
                "internalType": "bool"
              }
            ]
          },
          {
            "name": "priceTable",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "amount",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "cumulative",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "time",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "mergeBy",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "assurance",
            "type": "uint8",
            "internalType": "uint8"
          },
          {
            "name": "evidence",
            "type": "bytes32",
            "internalType": "bytes32"
          }
        ]
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "stateMutability": "pure"
  },
  {
    "type": "function",
    "name": "proveAgainstAnchor",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "earlier",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedHead",
        "components": [
          {
            "name": "size",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "root",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      },
      {
        "name": "root",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "proof",
        "type": "bytes32[]",
        "internalType": "bytes32[]"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "proveTwoHeads",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "earlier",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedHead",
        "components": [
          {
            "name": "size",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "root",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      },
      {
        "name": "later",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedHead",
        "components": [
          {
            "name": "size",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "root",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      },
      {
        "name": "root",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "proof",
        "type": "bytes32[]",
        "internalType": "bytes32[]"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "proveTwoReceipts",
    "inputs": [
      {
        "name": "a",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedReceipt",
        "components": [
          {
            "name": "receipt",
            "type": "tuple",
            "internalType": "struct Receipt",
            "components": [
              {
                "name": "logId",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "chainId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "vault",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "registry",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "agentId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "epoch",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "sequence",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "previous",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "authorizationKind",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "authorization",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "requestHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "forwardedHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "responseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstreamResponseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstream",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "model",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "upstreamId",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "usage",
                "type": "tuple",
                "internalType": "struct Usage",
                "components": [
                  {
                    "name": "input",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cachedInput",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cacheCreation",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "output",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "thinking",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "estimated",
                    "type": "bool",
                    "internalType": "bool"
                  }
                ]
              },
              {
                "name": "priceTable",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "amount",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "cumulative",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "time",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "mergeBy",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "assurance",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "evidence",
                "type": "bytes32",
                "internalType": "bytes32"
              }
            ]
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      },
      {
        "name": "b",
        "type": "tuple",
        "internalType": "struct OperatorBond.SignedReceipt",
        "components": [
          {
            "name": "receipt",
            "type": "tuple",
            "internalType": "struct Receipt",
            "components": [
              {
                "name": "logId",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "chainId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "vault",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "registry",
                "type": "address",
                "internalType": "address"
              },
              {
                "name": "agentId",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "epoch",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "sequence",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "previous",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "authorizationKind",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "authorization",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "requestHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "forwardedHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "responseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstreamResponseHash",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "upstream",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "model",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "upstreamId",
                "type": "string",
                "internalType": "string"
              },
              {
                "name": "usage",
                "type": "tuple",
                "internalType": "struct Usage",
                "components": [
                  {
                    "name": "input",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cachedInput",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "cacheCreation",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "output",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "thinking",
                    "type": "uint64",
                    "internalType": "uint64"
                  },
                  {
                    "name": "estimated",
                    "type": "bool",
                    "internalType": "bool"
                  }
                ]
              },
              {
                "name": "priceTable",
                "type": "bytes32",
                "internalType": "bytes32"
              },
              {
                "name": "amount",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "cumulative",
                "type": "uint256",
                "internalType": "uint256"
              },
              {
                "name": "time",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "mergeBy",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "assurance",
                "type": "uint8",
                "internalType": "uint8"
              },
              {
                "name": "evidence",
                "type": "bytes32",
                "internalType": "bytes32"
              }
            ]
          },
          {
            "name": "signature",
            "type": "bytes",
            "internalType": "bytes"
          }
        ]
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "receiptDigest",
    "inputs": [
      {
        "name": "receipt",
        "type": "tuple",
        "internalType": "struct Receipt",
        "components": [
          {
            "name": "logId",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "chainId",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "vault",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "registry",
            "type": "address",
            "internalType": "address"
          },
          {
            "name": "agentId",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "epoch",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "sequence",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "previous",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "authorizationKind",
            "type": "uint8",
            "internalType": "uint8"
          },
          {
            "name": "authorization",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "requestHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "forwardedHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "responseHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "upstreamResponseHash",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "upstream",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "model",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "upstreamId",
            "type": "string",
            "internalType": "string"
          },
          {
            "name": "usage",
            "type": "tuple",
            "internalType": "struct Usage",
            "components": [
              {
                "name": "input",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "cachedInput",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "cacheCreation",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "output",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "thinking",
                "type": "uint64",
                "internalType": "uint64"
              },
              {
                "name": "estimated",
                "type": "bool",
                "internalType": "bool"
              }
            ]
          },
          {
            "name": "priceTable",
            "type": "bytes32",
            "internalType": "bytes32"
          },
          {
            "name": "amount",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "cumulative",
            "type": "uint256",
            "internalType": "uint256"
          },
          {
            "name": "time",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "mergeBy",
            "type": "uint64",
            "internalType": "uint64"
          },
          {
            "name": "assurance",
            "type": "uint8",
            "internalType": "uint8"
          },
          {
            "name": "evidence",
            "type": "bytes32",
            "internalType": "bytes32"
          }
        ]
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "stateMutability": "pure"
  },
  {
    "type": "function",
    "name": "receiptKeyCounts",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "key",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bool",
        "internalType": "bool"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "receiptsPunished",
    "inputs": [
      {
        "name": "place",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "bool",
        "internalType": "bool"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "refundOf",
    "inputs": [
      {
        "name": "challenger",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [
      {
        "name": "",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "function",
    "name": "startWithdrawal",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "amount",
        "type": "uint256",
        "internalType": "uint256"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "takeRefund",
    "inputs": [
      {
        "name": "recipient",
        "type": "address",
        "internalType": "address"
      }
    ],
    "outputs": [],
    "stateMutability": "nonpayable"
  },
  {
    "type": "function",
    "name": "withdrawalDelay",
    "inputs": [],
    "outputs": [
      {
        "name": "",
        "type": "uint64",
        "internalType": "uint64"
      }
    ],
    "stateMutability": "view"
  },
  {
    "type": "event",
    "name": "Answered",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "digest",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "index",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "Bonded",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "from",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      },
      {
        "name": "total",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "ChallengeLost",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "digest",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "Challenged",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "digest",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "challenger",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "deadline",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "Collected",
    "inputs": [
      {
        "name": "registry",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "agentId",
        "type": "uint256",
        "indexed": true,
        "internalType": "uint256"
      },
      {
        "name": "recipient",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "ContradictedHead",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "size",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      },
      {
        "name": "signedRoot",
        "type": "bytes32",
        "indexed": false,
        "internalType": "bytes32"
      },
      {
        "name": "root",
        "type": "bytes32",
        "indexed": false,
        "internalType": "bytes32"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "HeadKeyNoted",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "key",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "until",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "Refunded",
    "inputs": [
      {
        "name": "challenger",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "recipient",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "RetiredReceiptKeyNoted",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "key",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "until",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "Slashed",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      },
      {
        "name": "registry",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "agentId",
        "type": "uint256",
        "indexed": true,
        "internalType": "uint256"
      },
      {
        "name": "toAgent",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "TwoReceipts",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "place",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "first",
        "type": "bytes32",
        "indexed": false,
        "internalType": "bytes32"
      },
      {
        "name": "second",
        "type": "bytes32",
        "indexed": false,
        "internalType": "bytes32"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "WithdrawalCancelled",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "WithdrawalCompleted",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "recipient",
        "type": "address",
        "indexed": true,
        "internalType": "address"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      }
    ],
    "anonymous": false
  },
  {
    "type": "event",
    "name": "WithdrawalStarted",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "indexed": true,
        "internalType": "bytes32"
      },
      {
        "name": "amount",
        "type": "uint256",
        "indexed": false,
        "internalType": "uint256"
      },
      {
        "name": "readyAt",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      },
      {
        "name": "lapsesAt",
        "type": "uint64",
        "indexed": false,
        "internalType": "uint64"
      }
    ],
    "anonymous": false
  },
  {
    "type": "error",
    "name": "AlreadyChallenged",
    "inputs": []
  },
  {
    "type": "error",
    "name": "AlreadyNoted",
    "inputs": [
      {
        "name": "key",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "AlreadyPunished",
    "inputs": []
  },
  {
    "type": "error",
    "name": "ChallengesOpen",
    "inputs": [
      {
        "name": "openChallenges",
        "type": "uint256",
        "internalType": "uint256"
      }
    ]
  },
  {
    "type": "error",
    "name": "DifferentPlaces",
    "inputs": []
  },
  {
    "type": "error",
    "name": "KeyInUse",
    "inputs": [
      {
        "name": "key",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "Lapsed",
    "inputs": [
      {
        "name": "lapsesAt",
        "type": "uint64",
        "internalType": "uint64"
      }
    ]
  },
  {
    "type": "error",
    "name": "NoBond",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ]
  },
  {
    "type": "error",
    "name": "NoContradiction",
    "inputs": []
  },
  {
    "type": "error",
    "name": "NoOpenChallenge",
    "inputs": []
  },
  {
    "type": "error",
    "name": "NotAContract",
    "inputs": [
      {
        "name": "account",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotAHeadKey",
    "inputs": [
      {
        "name": "signer",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotAReceiptKey",
    "inputs": [
      {
        "name": "signer",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotAgentOwner",
    "inputs": [
      {
        "name": "caller",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotDue",
    "inputs": [
      {
        "name": "dueAt",
        "type": "uint256",
        "internalType": "uint256"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotIncluded",
    "inputs": []
  },
  {
    "type": "error",
    "name": "NotLogOwner",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      },
      {
        "name": "caller",
        "type": "address",
        "internalType": "address"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotReady",
    "inputs": [
      {
        "name": "readyAt",
        "type": "uint64",
        "internalType": "uint64"
      }
    ]
  },
  {
    "type": "error",
    "name": "NotTheRoot",
    "inputs": []
  },
  {
    "type": "error",
    "name": "NothingDue",
    "inputs": []
  },
  {
    "type": "error",
    "name": "NothingPending",
    "inputs": []
  },
  {
    "type": "error",
    "name": "SameReceipt",
    "inputs": []
  },
  {
    "type": "error",
    "name": "StillOpen",
    "inputs": [
      {
        "name": "deadline",
        "type": "uint64",
        "internalType": "uint64"
      }
    ]
  },
  {
    "type": "error",
    "name": "TooLate",
    "inputs": [
      {
        "name": "deadline",
        "type": "uint64",
        "internalType": "uint64"
      }
    ]
  },
  {
    "type": "error",
    "name": "TransferFailed",
    "inputs": []
  },
  {
    "type": "error",
    "name": "UnknownLog",
    "inputs": [
      {
        "name": "logId",
        "type": "bytes32",
        "internalType": "bytes32"
      }
    ]
  },
  {
    "type": "error",
    "name": "WrongChallengeBond",
    "inputs": []
  },
  {
    "type": "error",
    "name": "WrongOrder",
    "inputs": []
  },
  {
    "type": "error",
    "name": "ZeroAddress",
    "inputs": []
  },
  {
    "type": "error",
    "name": "ZeroAmount",
    "inputs": []
  },
  {
    "type": "error",
    "name": "ZeroDuration",
    "inputs": []
  }
] as const;
