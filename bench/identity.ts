// How fast the gateway's door is: full verifications of a signed request per second, inside workerd, beside the same with
// viem's `recoverMessageAddress` in place of our hash and recovery; and the bare recoveries.
//
//   npm run bench -- identity
//
// All cases take turns in short slices within one run, and the median slice counts, so that what else the machine does touches
// all alike.
import { privateKeyToAccount } from 'viem/accounts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';
import type { Setup, SignedRequest } from './identity-worker.ts';
import { median, publish, rowOf } from './report.ts';

const signers = 32;
const rounds = 60;
/** A slice takes about this long. */
const sliceMs = 25;
const chainId = 16_602;
const now = 1_800_000_000;
const aim = 8;

const requests = await Promise.all(
  Array.from({ length: signers }, async (_, i): Promise<SignedRequest> => {
    const account = privateKeyToAccount(`0x${(i + 1).toString(16).padStart(64, '7')}`);
    const body = JSON.stringify({
      model: 'qwen-plus',
      messages: [{ role: 'user', content: `Say hello to ${i}.` }],
    });
    // What the stock openai client sends along.
    const headers = [
      ['content-type', 'application/json'],
      ['accept', 'application/json'],
      ['user-agent', 'OpenAI/JS 7.57.0'],
      ['x-stainless-lang', 'js'],
      ['x-stainless-retry-count', '0'],
    ] as const;
    const url = 'https://gateway.example/v1/chat/completions';
    const signed = await signRequest({
      request: { method: 'POST', url, headers, body: new TextEncoder().encode(body) },
      keyid: { chainId, address: account.address },
      signMessage: (raw) => account.signMessage({ message: { raw } }),
      agentId: `eip155:${chainId}:0x8004a818bfb912233c491871b3d84c89a494bd9e:${i}`,
      nonce: crypto.randomUUID(),
      created: now,
      expires: now + 60,
    });
    return {
      url,
      headers: [...headers, ...Object.entries(signed.headers)],
      body,
      signer: account.address.toLowerCase(),
    };
  }),
);

const workerd = await runInWorkerd('bench/identity-worker.ts');
try {
  const post = async (route: string, body?: string): Promise<Response> => {
    const response = await fetch(workerd.url + route, {
      method: 'POST',
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
    return response;
  };
  const setup: Setup = { requests, now: now + 1, chainId };
  const names = (await (await post('/setup', JSON.stringify(setup))).json()) as string[];
  const slice = async (name: string, times: number): Promise<number> => {
    const started = performance.now();
    await (await post(`/?case=${encodeURIComponent(name)}&times=${times}`)).text();
    return performance.now() - started;
  };

  // Warm: the compilers' last tier comes late, and a slice's size has to be known.
  const sizes = new Map<string, number>();
  for (const name of names) {
    await slice(name, 2000);
    const ms = await slice(name, 1000);
    sizes.set(name, Math.max(50, Math.round((1000 * sliceMs) / ms)));
  }
  const took = new Map<string, number[]>(names.map((name) => [name, []]));
  const empty: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      empty.push(await slice(name, 0));
      took.get(name)?.push(await slice(name, sizes.get(name) ?? 1));
    }
    if (round % 15 === 14) console.log(`${round + 1} of ${rounds} rounds`);
  }

  // What asking takes is the same for all; its median, because one slow empty slice may take longer than its neighbour's work.
  const askingMs = median(empty);
  const samplesOf = (name: string): number[] =>
    (took.get(name) ?? []).map((ms) => ((sizes.get(name) ?? 1) * 1000) / (ms - askingMs));
  // Of slices that stood next to each other: what slows the machine down for a while slows both.
  const times = (name: string, other: string): number =>
    median(samplesOf(name).map((rate, round) => rate / (samplesOf(other)[round] ?? Number.NaN)));
  const yardstick = { full: 'full: ours, viem’s recovery', recover: 'recover: viem' };
  const seen = times('full: ours', yardstick.full);
  publish({
    name: 'identity',
    title: 'Verification of a signed request',
    method: [
      `Inside workerd, one request at a time, ${signers} signers, ${rounds} slices of about ${sliceMs} ms each; all cases take turns in one run.`,
      '"full" is parsing, coverage, content digest, signature base, hash, recovery and comparison of a signed chat completion; what is between the rows is the hash and recovery alone, except for http-message-signatures, which checks neither the digest nor most of what the draft demands.',
      'ox’s wasm is libsecp256k1; noble is the plain twin that the tests hold ours against.',
    ],
    rows: names.map((name) =>
      rowOf(
        name,
        '/s',
        samplesOf(name),
        `${times(name, name.startsWith('full') ? yardstick.full : yardstick.recover).toFixed(1)} x viem`,
      ),
    ),
    aims: [
      {
        aim: `a full verification at least ${aim} times as fast as with viem's recoverMessageAddress in place of our hash and recovery`,
        seen: `${seen.toFixed(1)} times`,
        met: seen >= aim,
      },
    ],
  });
} finally {
  await workerd.close();
}
