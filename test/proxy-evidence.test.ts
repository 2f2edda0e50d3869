// A TEE's signature over exactly the bytes of a call: fetched in time, checked, and carried by the receipt; anything less is no
// evidence.
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QwenStandIn } from '../dev/qwen-stand-in.ts';
import { checkEvidence } from '../worker/evidence.ts';
import { sha256Hex } from './proxy-hash.ts';
import { receiptOf } from './proxy-receipt.ts';
import { type ProxyStack, readStream, settled, startProxyStack, upstream } from './proxy-stack.ts';

const tee = privateKeyToAccount(`0x${'7e'.repeat(32)}`);
const stranger = privateKeyToAccount(`0x${'57'.repeat(32)}`);
const teeKey = `0x${'7e'.repeat(32)}` as const;

let proxy: ProxyStack;
beforeAll(async () => {
  const signed = (standIn: QwenStandIn | undefined, kind: string, signer: string, over: object = {}) => ({
    evidence: { kind, url: `${standIn?.url}/signature`, signer, timeoutMs: 500, ...over },
  });
  proxy = await startProxyStack({
    standIns: [{ teeKey, dialect: '0g-router' }, { teeKey }, {}],
    upstreams: ([broker, phala, plain]) => [
      upstream('0g', broker, {
        dialect: '0g-router',
        models: ['qwen-plus'],
        ...signed(broker, '0g', tee.address),
      }),
      upstream('phala', phala, {
        models: ['qwen-flash'],
        ...signed(phala, 'signature-endpoint', tee.address),
      }),
      upstream('expects-another', broker, {
        dialect: '0g-router',
        models: ['qwen3-max'],
        ...signed(broker, '0g', stranger.address),
      }),
      // It answers, but its signatures are elsewhere, where nothing answers.
      upstream('late', plain, {
        models: ['qwen3-coder-plus'],
        ...signed(plain, '0g', tee.address, { url: 'http://127.0.0.1:1/signature' }),
      }),
    ],
  });
});
afterAll(() => proxy?.close());

const ask = (model: string, stream: boolean) =>
  proxy.post('/v1/chat/completions', {
    model,
    stream,
    max_tokens: 60,
    messages: [{ role: 'user', content: 'Say “Grüße, 世界”' }],
  });

/** The receipt of a call, and the bundle that came with it. */
async function call(model: string, stream: boolean) {
  const response = await ask(model, stream);
  const text = await response.text();
  const receipt = stream ? readStream(text).receipt : receiptOf(response.headers);
  const base64 = stream
    ? /^: tallystick-evidence (\S+)$/m.exec(text)?.[1]
    : (response.headers.get('tallystick-evidence') ?? undefined);
  if (!receipt) throw new Error('no receipt');
  return { receipt, bundle: base64 === undefined ? undefined : Buffer.from(base64, 'base64'), text };
}

describe.each([true, false])('stream: %s', (stream) => {
  test.each([
    ['qwen-plus', '0g', 0],
    ['qwen-flash', 'signature-endpoint', 1],
  ] as const)('%s: the receipt carries what the TEE signed (%s)', async (model, kind, at) => {
    const { receipt, bundle, text } = await call(model, stream);
    expect(receipt.assurance).toBe(1);
    if (!bundle) throw new Error('no evidence came');
    expect(receipt.evidence).toBe(sha256Hex(bundle));
    const evidence = JSON.parse(bundle.toString()) as Record<string, string>;
    expect(evidence).toMatchObject({ kind, signer: tee.address.toLowerCase() });
    // It is about the bytes that went up and came back.
    const sent = proxy.standIns[at]?.requests.findLast(({ method }) => method === 'POST')?.body;
    expect(evidence['text']).toBe(
      `${sha256Hex(sent ?? '').slice(2)}:${receipt.upstreamResponseHash.slice(2)}`,
    );
    expect(receipt.forwardedHash).toBe(sha256Hex(sent ?? ''));
    if (stream) {
      expect(text.indexOf(': tallystick-evidence')).toBeLessThan(text.indexOf(': tallystick-receipt'));
      expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    }
  });

  test.each(['qwen3-max', 'qwen3-coder-plus'])(
    '%s: signed by another key, or not in time: the gateway alone',
    async (model) => {
      const { receipt, bundle } = await call(model, stream);
      expect(receipt).toMatchObject({ assurance: 0, evidence: `0x${'00'.repeat(32)}` });
      expect(bundle).toBeUndefined();
      expect((await settled(proxy)).held).toBe(0n);
    },
  );
});

describe('a signature', async () => {
  const forwarded = sha256Hex('request') as `0x${string}`;
  const response = sha256Hex('response') as `0x${string}`;
  const text = `${forwarded.slice(2)}:${response.slice(2)}`;
  const signature = await tee.signMessage({ message: text });
  const source = { signer: tee.address.toLowerCase() as `0x${string}` };
  const good = { text, signature, signing_address: tee.address, signing_algo: 'ecdsa' };
  const check = (answer: unknown) => checkEvidence(source, answer, forwarded, response);
  const v = Number.parseInt(signature.slice(-2), 16) - 27;

  test('counts as brokers spell it: bare hex, recovery 0 or 1, no algorithm', async () => {
    expect(check(good)).toEqual({ text, signature });
    expect(check({ text, signature: `${signature.slice(2, -2)}0${v}` })).toEqual({ text, signature });
    expect(check({ ...good, signing_address: stranger.address })).toBeDefined();
  });

  test.each<[string, () => unknown]>([
    ['over another response', async () => ({ ...good, text: `${forwarded.slice(2)}:${forwarded.slice(2)}` })],
    [
      'over other bytes, well signed',
      async () => ({ text: 'x', signature: await tee.signMessage({ message: 'x' }) }),
    ],
    ['by somebody else', async () => ({ ...good, signature: await stranger.signMessage({ message: text }) })],
    ['of another algorithm', () => ({ ...good, signing_algo: 'ed25519' })],
    ['cut short', () => ({ ...good, signature: signature.slice(0, -2) })],
    ['that is none', () => ({ ...good, signature: null })],
    ['in no answer', () => undefined],
  ])('%s is no evidence', async (_, answer) => {
    expect(check(await answer())).toBeUndefined();
  });
});
