/**
 * A stand-in for 0G DA's HTTP side-car (0g-da-op-plasma's daserver) and for the part of DAEntrance that says whether a blob
 * is available. It is not 0G's software.
 *
 * Real: `PUT /put/` at exactly that path, the raw body in, 50 raw bytes of commitment out, and only when the blob is final;
 * `GET /get/0x<hex>` with its 400 and 404; the commitment's layout; `commitmentExists`.
 *
 * Not real: the storage root is a plain hash, nothing is encoded, signed or sampled, and nobody is paid.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Address,
  createTestClient,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  http,
  keccak256,
} from 'viem';

/**
 * DAEntrance as far as `commitmentExists(bytes32,uint256,uint256)` goes: answers what is stored under the hash of its three
 * arguments.
 *
 *   calldatacopy(0, 4, 96)  keccak256(0, 96)  selector == 0x6a53525d ? return sload : stop
 */
const entranceCode: Hex =
  '0x60606004600037606060002060003560e01c636a53525d1460205700000000005b5460005260206000f3';

export interface DaSideCarOptions {
  readonly rpcUrl: string;
  /** Where DAEntrance's stand-in is put on the local chain. */
  readonly entrance?: Address;
  readonly port?: number;
}

export interface DaSideCarFaults {
  /** Connections are cut without an answer. */
  down: boolean;
  /** How long a blob takes to become final, in milliseconds. */
  finalMs: number;
  /** The side-car gives up after this long: HTTP 500, though the blob may have been dispersed. The real one takes 270 s. */
  patienceMs: number;
  /** The quorum does not sign: the commitment is answered and never exists on chain. */
  neverSigned: boolean;
}

export interface DaSideCar {
  readonly url: string;
  readonly entrance: Address;
  readonly faults: DaSideCarFaults;
  /** How many blobs were dispersed: what its account has paid for. */
  readonly dispersed: () => number;
  /** Lets the quorum sign for what it has not signed for. */
  sign(): Promise<void>;
  close(): Promise<void>;
}

const EPOCH = 7n;
const QUORUM = 1n;

export async function startDaSideCar(options: DaSideCarOptions): Promise<DaSideCar> {
  const { rpcUrl, entrance = '0x00000000000000000000000000000000000da001', port = 0 } = options;
  const chain = createTestClient({ mode: 'anvil', transport: http(rpcUrl) });
  await chain.setCode({ address: entrance, bytecode: entranceCode });
  const faults: DaSideCarFaults = { down: false, finalMs: 0, patienceMs: 270_000, neverSigned: false };
  const blobs = new Map<Hex, Uint8Array>();
  const unsigned = new Set<Hex>();
  let dispersals = 0;

  async function signFor(root: Hex): Promise<void> {
    const words = [{ type: 'bytes32' }, { type: 'uint256' }, { type: 'uint256' }] as const;
    await chain.setStorageAt({
      address: entrance,
      index: keccak256(encodeAbiParameters(words, [root, EPOCH, QUORUM])),
      value: `0x${'00'.repeat(31)}01`,
    });
  }

  async function put(body: Uint8Array): Promise<{ status: number; body: Uint8Array }> {
    dispersals += 1;
    const root = keccak256(body);
    const commitment = new Uint8Array(50);
    const view = new DataView(commitment.buffer);
    commitment.set([0x01, 0x47]);
    view.setBigUint64(2, EPOCH, true);
    view.setBigUint64(10, QUORUM, true);
    commitment.set(hexToBytes(root), 18);
    blobs.set(`0x${Buffer.from(commitment).toString('hex')}`, body);
    const isPatient = faults.finalMs <= faults.patienceMs;
    await sleep(Math.min(faults.finalMs, faults.patienceMs));
    if (faults.neverSigned) unsigned.add(root);
    else await signFor(root);
    return isPatient ? { status: 200, body: commitment } : { status: 500, body: new Uint8Array(0) };
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (faults.down) {
      request.socket.destroy();
      return;
    }
    const path = request.url ?? '';
    if (request.method === 'PUT' && path === '/put/') {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const { status, body } = await put(new Uint8Array(Buffer.concat(parts)));
      response.writeHead(status).end(body);
      return;
    }
    const hex = /^\/get\/(.*)$/.exec(path)?.[1];
    if (request.method !== 'GET' || hex === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (!/^0x([0-9a-f]{2})+$/.test(hex)) {
      response.writeHead(400).end();
      return;
    }
    const blob = blobs.get(hex as Hex);
    if (blob === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(blob);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the side-car has no port');

  return {
    url: `http://127.0.0.1:${address.port}`,
    entrance,
    faults,
    dispersed: () => dispersals,
    async sign() {
      for (const root of unsigned) await signFor(root);
      unsigned.clear();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
