// 0G DA through its HTTP side-car (0g-da-op-plasma's daserver): the disperser itself speaks only gRPC.
//
//   (nothing) -> dispersed, the commitment is known -> proven: DAEntrance holds the signed commitment
//
// PUT answers only when the blob is final, after as long as 270 s. The side-car has no way to be asked "did you take this
// already?", so a PUT whose answer was lost is sent again and may be dispersed, and paid for by the side-car's account, a
// second time. That is this layer's known cost; 0G Storage has none.
import type { Hex } from 'viem';
import { toHex } from '../../protocol/hex.ts';
import { ok, refuse } from '../../protocol/result.ts';
import { decodeCommitment } from '../../protocol/zero-g/da-reference.ts';
import type { DaLayer } from './da-port.ts';
import { exchange, type Fetch } from './zero-g-wire.ts';

/** Longer than the side-car's own patience, so that its answer is heard. */
const putTimeoutMs = 300_000;
const answerBytesMax = 4_096;
/** The disperser's limit on a blob. */
const blobBytesMax = 32_505_852;

export type DaLayerPorts = {
  /** The side-car's base URL. */
  readonly url: string;
  readonly fetch: Fetch;
  /** Whether there is a contract at DAEntrance's address at all. Networks without one are documented with an address. */
  readonly hasEntrance: () => Promise<boolean>;
  /** `DAEntrance.commitmentExists`: whether enough of the quorum has signed for its slices. */
  readonly commitmentExists: (commitment: {
    readonly root: Hex;
    readonly epoch: bigint;
    readonly quorumId: bigint;
  }) => Promise<boolean>;
  readonly timeoutMs?: number;
};

/** The part of DAEntrance that says whether a blob is available. */
export const daEntranceAbi = [
  {
    type: 'function',
    name: 'commitmentExists',
    stateMutability: 'view',
    inputs: [
      { name: 'dataRoot', type: 'bytes32' },
      { name: 'epoch', type: 'uint256' },
      { name: 'quorumId', type: 'uint256' },
    ],
    outputs: [{ name: '', type: 'bool' }],
  },
] as const;

/** The layer over 0G DA. */
export function zeroGDaLayer(ports: DaLayerPorts): DaLayer {
  const url = ports.url.replace(/\/+$/, '');
  return {
    async advance(file, progress = {}) {
      const known = progress['commitment'];
      if (known === undefined) {
        // First the cheap question: without the contract nothing could ever be proven, and dispersing costs.
        if (!(await ports.hasEntrance())) return refuse('there is no code at the address of DAEntrance');
        if (file.bytes.length > blobBytesMax) return refuse(`${file.bytes.length} bytes exceed a DA blob`);
        const answer = await exchange(
          ports.fetch,
          `${url}/put/`,
          { method: 'PUT', body: file.bytes.slice().buffer as ArrayBuffer },
          { timeoutMs: ports.timeoutMs ?? putTimeoutMs, maxBytes: answerBytesMax },
        );
        if (!answer.ok) return refuse(`side-car: ${JSON.stringify(answer.error)}`);
        const { status, body } = answer.value;
        if (status !== 200) return refuse(`side-car: HTTP ${status}`);
        const commitment = toHex(body);
        if (decodeCommitment(commitment) === undefined) return refuse('side-car: not a commitment');
        return ok({ state: 'waiting', progress: { commitment } });
      }
      const commitment = decodeCommitment(known);
      if (commitment === undefined) return refuse('the commitment kept does not read');
      if (!(await ports.commitmentExists(commitment))) return ok({ state: 'waiting', progress });
      return ok({
        state: 'available',
        item: { kind: '0g-da', state: 'proven', commitment: toHex(commitment.bytes) },
      });
    },
  };
}
