import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Hex } from 'viem';
import type { Segment } from '../../protocol/zero-g/segment-check.ts';

/** A file's content: its root, and its length, which the root does not commit to. */
export interface FileId {
  readonly root: Hex;
  readonly size: number;
}

export interface SegmentStore {
  get(file: FileId, index: number): Segment | undefined;
  put(file: FileId, segment: Segment): void;
}

const keyOf = (file: FileId): string => `${file.root}.${file.size}`;

/** Segments in memory and, given a folder, one file each in it, so that a restarted node still has them. */
export function segmentStore(dir?: string): SegmentStore {
  const segments = new Map<string, Segment>();
  if (dir !== undefined) {
    mkdirSync(dir, { recursive: true });
    for (const name of readdirSync(dir).filter((entry) => entry.endsWith('.json'))) {
      const stored: { data: string; index: number; proof: Segment['proof'] } = JSON.parse(
        readFileSync(path.join(dir, name), 'utf8'),
      );
      const bytes = new Uint8Array(Buffer.from(stored.data, 'base64'));
      segments.set(name.slice(0, -'.json'.length), { index: stored.index, bytes, proof: stored.proof });
    }
  }
  return {
    get: (file, index) => segments.get(`${keyOf(file)}.${index}`),
    put(file, segment) {
      const name = `${keyOf(file)}.${segment.index}`;
      segments.set(name, segment);
      if (dir === undefined) return;
      const { index, bytes, proof } = segment;
      const json = JSON.stringify({ index, proof, data: Buffer.from(bytes).toString('base64') });
      // Written aside and renamed: a kill in between leaves no half segment to trip over at the next start.
      const target = path.join(dir, `${name}.json`);
      writeFileSync(`${target}.part`, json);
      renameSync(`${target}.part`, target);
    },
  };
}
