/** What was looked at in a piece of evidence, and what came of it. */

/** `unchecked`: only the chain can say, and it was not asked or did not answer. */
export type FindingState = 'holds' | 'fails' | 'unchecked';

/** `name` is stable; `detail` is a sentence for people. */
export type Finding = { readonly name: FindingName; readonly state: FindingState; readonly detail: string };

export type FindingName =
  /** The receipts name the log of the file. */
  | 'log'
  /** Both receipts are for the same account and sequence number. */
  | 'same_place'
  /** They are two receipts and not one. */
  | 'different'
  /** Somebody's key signed this: a receipt, or a head. */
  | 'first_signature'
  | 'second_signature'
  | 'earlier_signature'
  | 'later_signature'
  | 'signature'
  /** That key is one of the log's. */
  | 'first_key'
  | 'second_key'
  | 'earlier_key'
  | 'later_key'
  | 'key'
  /** The later head is at least as large as the earlier. */
  | 'order'
  /** The proof shows which root the later tree has at the earlier's size. */
  | 'begins'
  /** That is another root than the one that was signed. */
  | 'contradiction'
  /** The later head is the one that the anchor holds. */
  | 'later_anchored'
  /** The receipt's `mergeBy` is over. */
  | 'due';

/** A finding that the file itself settles. */
export const finding = (name: FindingName, holds: boolean, right: string, wrong: string): Finding =>
  holds ? { name, state: 'holds', detail: right } : { name, state: 'fails', detail: wrong };

export const unchecked = (name: FindingName, detail: string): Finding => ({
  name,
  state: 'unchecked',
  detail,
});
