// What the chain costs: ours from forge's snapshots, which `npm test` holds to; 0G Compute's settlement and a payment of x402's exact
// scheme run here on their own bytecode; x402's batch-settlement from what it publishes.
//
//   node bench/gas.ts
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { mnemonicToAccount } from 'viem/accounts';
import { startAnvil } from '../dev/anvil.ts';
import { readerOf, walletOf } from '../dev/clients.ts';
import { publish, type Row, rowOf } from './report.ts';
import { batchSettlementGas, measureExact } from './x402.ts';
import { fetchBytecode, measureSettlement } from './zero-g-compute.ts';

const snapshot = (contract: string): Record<string, string> =>
  JSON.parse(
    readFileSync(path.resolve(import.meta.dirname, `../contracts/snapshots/${contract}.json`), 'utf8'),
  ) as Record<string, string>;
const vault = snapshot('AgentVault');
const anchor = snapshot('ReceiptAnchor');
const gasOf = (from: Record<string, string>, name: string): number => {
  const gas = Number(from[name]);
  if (!Number.isInteger(gas)) throw new Error(`the snapshots have no ${name}`);
  return gas;
};

console.log('0G Compute and x402, on their own bytecode ...');
const chainId = 31_337;
const anvil = await startAnvil({ chainId, blockTime: 0, hardfork: 'cancun' });
const batches = [1, 10, 50];
const chain = {
  url: anvil.url,
  chainId,
  reader: readerOf(anvil.url, chainId),
  admin: walletOf(
    anvil.url,
    chainId,
    mnemonicToAccount('test test test test test test test test test test test junk'),
  ),
};
const { theirs, x402Exact } = await (async () => {
  try {
    return {
      theirs: await measureSettlement(chain, fetchBytecode(), batches),
      x402Exact: Number(await measureExact(chain)),
    };
  } finally {
    await anvil.close();
  }
})();
const x402Batch = batchSettlementGas();

const row = (what: string, gas: number, ratio?: string): Row => rowOf(what, 'gas', [gas], ratio);
const claimOf100 = gasOf(vault, 'claim x100 per claim');
const times = (gas: number): string => `${(gas / claimOf100).toFixed(1)} x a claim in 100`;
const zeroG = batches.map((users) => {
  const each = Math.round(Number(theirs.get(users) ?? 0n) / users);
  return row(`0G settlement of ${users}, a user (at most 50)`, each, times(each));
});
const anchored = gasOf(anchor, 'anchor 1,000,003 -> 1,010,007');
// Each of 100 agents is claimed for twice a day, as `settlement.everySeconds` has it by default (docs/log.md).
const requestsADay = 240_000;
const claimsADay = 200;
const settlementEach = (claimsADay * claimOf100) / requestsADay;

publish({
  name: 'gas',
  title: 'Gas: whole transactions, calldata and the intrinsic 21,000 included',
  method: [
    'Ours: `contracts/snapshots/`, made by forge from realistic state (accounts claimed from before) and checked by every `npm test`.',
    '0G Compute: LedgerManager and InferenceServing of 0G’s SDK 0.9.0, whose bytecode is mainnet’s, run on anvil behind EIP-1167 proxies, users settled with before.',
    'x402 exact: a transfer by authorization (EIP-3009) of Circle’s FiatTokenV2_2 behind its proxy, run on anvil on the bytecode that Stargate’s SDK 1.1.12 carries, which is the real token’s code; payer and payee hold some already.',
    'x402 batch-settlement: not run here, because no npm package has its bytecode. Its own published snapshots (claim of 1: 40,252, of 10: 192,043; settle: 31,204) are of calls with warm storage; the 21,000 and the call data of a transaction, computed from its interface, are added. A real one costs more.',
    'A claim’s cost grows with the batch only by the row; an anchor’s with the logarithm of the log; inclusion’s likewise.',
  ],
  rows: [
    row('deposit', gasOf(vault, 'deposit')),
    row('claim, alone', gasOf(vault, 'claim x1 per claim'), times(gasOf(vault, 'claim x1 per claim'))),
    row('claim, in 10', gasOf(vault, 'claim x10 per claim'), times(gasOf(vault, 'claim x10 per claim'))),
    row('claim, in 100', claimOf100, '1'),
    ...zeroG,
    row('x402 exact, a request', x402Exact, times(x402Exact)),
    row('x402 batch-settlement, claim alone', x402Batch.claimOfOne, times(x402Batch.claimOfOne)),
    row(
      'x402 batch-settlement, claim in 10, a channel',
      Math.round(x402Batch.claimOfTen / 10),
      times(x402Batch.claimOfTen / 10),
    ),
    row('x402 batch-settlement, settle', x402Batch.settle),
    row('anchor, first', gasOf(anchor, 'anchor first')),
    row('anchor, 1,000 -> 2,000 leaves', gasOf(anchor, 'anchor 1,000 -> 2,000')),
    row('anchor, 100,003 -> 101,007 leaves', gasOf(anchor, 'anchor 100,003 -> 101,007')),
    row('anchor, 1,000,003 -> 1,010,007 leaves', anchored),
    row('inclusion on chain, in 1,000,003', gasOf(anchor, 'verifyInclusion in 1,000,003')),
    row('settlement, a request (240,000 a day, 100 agents)', settlementEach),
  ],
  aims: [
    {
      aim: 'a claim in a batch of 100 at most 15,000',
      seen: claimOf100.toLocaleString('en'),
      met: claimOf100 <= 15_000,
    },
    {
      aim: 'anchoring onto a million leaves at most 65,000',
      seen: anchored.toLocaleString('en'),
      met: anchored <= 65_000,
    },
    {
      aim: 'settlement at 240,000 requests a day over 100 agents at most 20 a request',
      seen: settlementEach.toFixed(1),
      met: settlementEach <= 20,
    },
  ],
});
