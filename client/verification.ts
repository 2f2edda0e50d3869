// What `import … from 'tallystick/verify'` gives: everything a doubter needs, none of it asking the gateway for its opinion.
// biome-ignore-all lint/performance/noBarrelFile: the door of a package is the one place where a barrel is meant.
export { type Evidence, formatEvidence, parseEvidence } from '../protocol/evidence/evidence.ts';
export { decodeFile } from '../protocol/log/blob.ts';
export { parseCheckpoint } from '../protocol/log/checkpoint.ts';
export { leafHash, rootOf, verifyConsistency, verifyInclusion } from '../protocol/log/merkle.ts';
export { parseTlogProof } from '../protocol/log/tlog-proof.ts';
export {
  type Receipt,
  receiptDigest,
  receiptFromJson,
  receiptSigner,
  receiptToJson,
  type SignedReceipt,
} from '../protocol/receipt.ts';
export { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
export { type BlobEvidence, verifyBlobRoot } from './blob-evidence.ts';
export { type EvidenceReport, readBond, submissionOf, verifyEvidence } from './evidence.ts';
export { findOverdue, type Overdue } from './overdue-receipts.ts';
export {
  type AnchoredHead,
  type AnchorReading,
  type Check,
  type CheckName,
  isVerified,
  type ReceiptEvidence,
  receiptChecks,
} from './receipt-evidence.ts';
export {
  formatReceiptFile,
  parseReceiptFile,
  type ReceiptFile,
  verifyReceiptFile,
} from './receipt-file.ts';
export {
  type Anchoring,
  type FetchProofOptions,
  fetchProofFor,
  type LogLocation,
  readAnchor,
  readAnchored,
  type VerifyReceiptOptions,
  verifyReceipt,
} from './verify.ts';
