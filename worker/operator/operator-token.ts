import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Env } from '../../durable-objects/env.ts';
import { operatorTokenMin } from '../../protocol/operator/deployment-facts.ts';
import type { Problem } from '../problem.ts';

/**
 * Why a request is not the operator's; `undefined` when it is. Where no token is set (or one that can be guessed) the
 * operator's routes are not there. Compared by hash, every byte of it, so that time tells nothing.
 */
export function operatorProblem(request: Request, env: Env): Problem | undefined {
  const token = env.OPERATOR_TOKEN ?? '';
  if (token.length < operatorTokenMin) {
    return { status: 404, code: 'not_found', detail: 'There is nothing here.' };
  }
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? '';
  const [a, b] = [sha256(utf8ToBytes(given)), sha256(utf8ToBytes(token))];
  let difference = 0;
  for (const [at, byte] of a.entries()) difference |= byte ^ (b[at] ?? 0);
  if (difference === 0) return undefined;
  return {
    status: 401,
    code: 'operator_token_wrong',
    detail: 'Authorization: Bearer with the deployment’s OPERATOR_TOKEN is needed here.',
    headers: { 'www-authenticate': 'Bearer' },
  };
}
