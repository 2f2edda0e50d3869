import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAgentId, parseAgentId } from '../protocol/identity/agent-id.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

const REGISTRY = '0x8004a169fb4a3325136eb29fa0ceb6d2e539a432';
const UINT256_MAX = 2n ** 256n - 1n;

test('an Agent-Id has one spelling, and it is read back as written', () => {
  const agent = fc.record({
    chainId: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    registry: fc
      .uint8Array({ minLength: 20, maxLength: 20 })
      .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}` as const),
    agentId: fc.bigInt({ min: 0n, max: UINT256_MAX }),
  });
  fc.assert(
    fc.property(agent, (value) => {
      expect(parseAgentId(formatAgentId(value))).toEqual({ ok: true, value });
    }),
    { seed: 8004, numRuns: runs(200) },
  );
});

test('token id 0 is a real agent, and the largest uint256 is one too', () => {
  expect(parseAgentId(`eip155:1:${REGISTRY}:0`)).toEqual({
    ok: true,
    value: { chainId: 1, registry: REGISTRY, agentId: 0n },
  });
  expect(parseAgentId(`eip155:1:${REGISTRY}:${UINT256_MAX}`).ok).toBe(true);
});

test.each([
  ['empty', ''],
  ['upper-case hex', `eip155:1:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432:0`],
  ['upper-case prefix', `EIP155:1:${REGISTRY}:0`],
  ['leading zero in the chain', `eip155:01:${REGISTRY}:0`],
  ['chain 0', `eip155:0:${REGISTRY}:0`],
  ['leading zero in the token', `eip155:1:${REGISTRY}:00`],
  ['signed token', `eip155:1:${REGISTRY}:-1`],
  ['hex token', `eip155:1:${REGISTRY}:0x1`],
  ['no token', `eip155:1:${REGISTRY}`],
  ['empty token', `eip155:1:${REGISTRY}:`],
  ['short registry', `eip155:1:${REGISTRY.slice(0, -1)}:0`],
  ['another namespace', `solana:1:${REGISTRY}:0`],
  ['chain beyond 2^53', `eip155:9007199254740992:${REGISTRY}:0`],
  ['token beyond uint256', `eip155:1:${REGISTRY}:${UINT256_MAX + 1n}`],
  ['a long token', `eip155:1:${REGISTRY}:${'9'.repeat(10_000)}`],
  ['space before', ` eip155:1:${REGISTRY}:0`],
  ['line feed after', `eip155:1:${REGISTRY}:0\n`],
  ['two ids', `eip155:1:${REGISTRY}:0, eip155:1:${REGISTRY}:1`],
  ['Arabic digits', `eip155:1:${REGISTRY}:٣`],
])('refuses %s', (_, text) => {
  expect(parseAgentId(text)).toMatchObject({ ok: false, error: expect.stringContaining('Agent-Id') });
});
