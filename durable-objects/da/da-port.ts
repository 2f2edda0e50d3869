import type { Result } from '../../protocol/result.ts';
import type { DaReference } from '../../protocol/zero-g/da-reference.ts';

/** A file to be made available: the same bytes under the same name, however often it is asked for. */
export type DaFile = { readonly name: string; readonly bytes: Uint8Array };

/** How far a file has come, in the layer's own words. Kept durably by the caller and handed back. */
export type DaProgress = Readonly<Record<string, string>>;

export type DaOutcome =
  /** Under way: ask again with this progress. */
  | { readonly state: 'waiting'; readonly progress: DaProgress }
  /** It can be had: `node-confirmed` or `proven`, never merely announced. */
  | { readonly state: 'available'; readonly item: DaReference };

/** A place where files are published. */
export type DaLayer = {
  /**
   * Does what can be done now. Safe to repeat at any point with the progress last returned, also after an answer was
   * lost. The refusal is for the operator's eyes: the same call may succeed later. May throw what its transport throws.
   */
  advance(file: DaFile, progress: DaProgress | undefined): Promise<Result<DaOutcome, string>>;
};
