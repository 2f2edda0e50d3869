import { expect } from 'vitest';
import { startedWorkerds } from '../dev/processes.ts';
import type { Stack } from '../dev/stack.ts';
import { until } from './money.ts';

/** workerd itself, this test's. */
function workerd(): number {
  const found = startedWorkerds();
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} workerd processes`);
  return only;
}

/** SIGKILL: what was not on disk is gone. Returns when another one answers, over the same state. */
export async function killWorkerd(stack: Pick<Stack, 'gatewayUrl'>): Promise<void> {
  const pid = workerd();
  process.kill(pid, 'SIGKILL');
  await until(
    async () =>
      fetch(`${stack.gatewayUrl}/v1/models`).then(
        (response) => response.text().then(() => response.ok),
        () => false,
      ),
    (isUp) => isUp,
  );
  expect(workerd()).not.toBe(pid);
}
