// What a gateway serves, against the tree rebuilt without it. Only where one is given: an audit needs none.
import { toHex } from '../protocol/hex.ts';
import { openCheckpoint } from '../protocol/log/checkpoint.ts';
import { encodeEntries } from '../protocol/log/entry-bundle.ts';
import { sameHash, verifyConsistency } from '../protocol/log/merkle.ts';
import type { NoteKey } from '../protocol/log/note.ts';
import { tilePath } from '../protocol/log/tile-path.ts';
import {
  consistencyProofFrom,
  type TileBytes,
  tileSourceOf,
  tilesForConsistency,
} from '../protocol/log/tiles.ts';
import type { Finding } from './audit-findings.ts';
import type { AuditTree, RebuiltTile } from './audit-tree.ts';

const atOnce = 6;

export class AuditedGateway {
  readonly #url: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly findings: Finding[] = [];
  tiles = 0;
  #isGone = false;

  constructor(url: string, fetch: typeof globalThis.fetch) {
    this.#url = url.replace(/\/+$/, '');
    this.#fetch = fetch;
  }

  /** Compares served tiles, and the entries beside them, with the rebuilt ones. */
  async compare(tiles: readonly RebuiltTile[]): Promise<void> {
    const wanted = tiles.flatMap(({ level, index, bytes, entries }) => {
      const width = bytes.length / 32;
      const hashes = { path: tilePath(level, index, width), bytes };
      const bundle = entries?.length
        ? [{ path: tilePath('entries', index, width), bytes: encodeEntries(entries) }]
        : [];
      return [hashes, ...bundle];
    });
    for (let at = 0; at < wanted.length && !this.#isGone; at += atOnce) {
      await Promise.all(wanted.slice(at, at + atOnce).map((tile) => this.#compareOne(tile)));
    }
  }

  /** The served checkpoint: signed, and of a tree that continues the rebuilt one. */
  async compareCheckpoint(tree: AuditTree, keys: readonly NoteKey[]): Promise<void> {
    if (this.#isGone || tree.size === 0) return;
    const bytes = await this.#get('checkpoint');
    if (bytes === undefined) return;
    const wrong = (detail: string): void => {
      this.findings.push({
        severity: 'wrong',
        code: 'gateway_checkpoint',
        where: `${this.#url}/log/checkpoint`,
        detail,
      });
    };
    const opened = openCheckpoint(new TextDecoder().decode(bytes), keys);
    if (!opened.ok) return wrong(opened.error);
    const { size, root } = opened.value.checkpoint;
    if (size < tree.size) return wrong(`it has ${size} entries, the chain ${tree.size}`);
    const fetched: TileBytes[] = [];
    for (const { level, index, width } of size === tree.size ? [] : tilesForConsistency(tree.size, size)) {
      const tile = await this.#get(tilePath(level, index, width));
      if (tile !== undefined) fetched.push({ level, index, bytes: tile });
    }
    const proof = consistencyProofFrom(tileSourceOf(fetched), tree.size, size);
    const isGrown =
      size === tree.size
        ? sameHash(root, tree.root)
        : proof.ok &&
          verifyConsistency({
            oldRoot: tree.root,
            oldSize: tree.size,
            newRoot: root,
            newSize: size,
            proof: proof.value,
          });
    if (!isGrown) {
      wrong(`${size} entries with root ${toHex(root)} do not continue the anchored ${tree.size}`);
    }
  }

  async #compareOne({ path, bytes }: { readonly path: string; readonly bytes: Uint8Array }): Promise<void> {
    const served = await this.#get(path);
    if (served === undefined) return;
    this.tiles += 1;
    if (sameHash(served, bytes)) return;
    const at = served.findIndex((byte, i) => byte !== bytes[i]);
    const detail =
      served.length === bytes.length
        ? `byte ${at} is not what the published entries make it`
        : `${served.length} bytes, not ${bytes.length}`;
    this.findings.push({
      severity: 'wrong',
      code: 'gateway_tile',
      where: `${this.#url}/log/${path}`,
      detail,
    });
  }

  async #get(path: string): Promise<Uint8Array | undefined> {
    const url = `${this.#url}/log/${path}`;
    try {
      const response = await this.#fetch(url, { signal: AbortSignal.timeout(20_000) });
      if (response.ok) return new Uint8Array(await response.arrayBuffer());
      const detail = `HTTP ${response.status}`;
      this.findings.push({ severity: 'wrong', code: 'gateway_unreadable', where: url, detail });
    } catch (error) {
      if (!this.#isGone) {
        this.findings.push({
          severity: 'unchecked',
          code: 'gateway_unreadable',
          where: this.#url,
          detail: String(error),
        });
      }
      this.#isGone = true;
    }
    return undefined;
  }
}
